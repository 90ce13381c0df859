// @ts-check
// @configurations first
// Servers that change, balance, lie or sit in the middle. Trust is never transferred to a certificate that was not
// verified, and nothing is ever sent in plaintext.
'use strict'

const assert = require('node:assert/strict')
const net = require('node:net')
const tls = require('node:tls')
const { test, after } = require('node:test')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { certificate } = require('../../scripts/servers/certificates.js')
const { withListener } = require('../support/listener.js')
const { failureOf, outcomes, withGivenCode } = require('../support/drivers.js')
const { startTlsServer } = require('../../scripts/servers/tls-server.js')

const started = startTlsServer()
after(async () => (await started).stop())

const ca = certificate({ name: 'Test CA', ca: true })
const stranger = certificate({ name: 'Somebody else', ca: true })
const NAMES = ['127.0.0.1', 'localhost']
const trusted = certificate({ name: 'db', issuer: ca, names: NAMES })
const rotated = certificate({ name: 'db', issuer: ca, names: NAMES })
const untrusted = certificate({ name: 'db', issuer: stranger, names: NAMES })

/** A new connection for each call. */
const EACH = { max: 1, maxUses: 1 }

test('a certificate that is exchanged for another of the same CA', async () => {
  const server = await started
  await server.serve(trusted)
  const adapter = new PostgresAdapter(new pg.Pool({ ...server.config, ...EACH, ssl: { ca: ca.pem } }))
  await adapter.set('rotated', 1)
  await server.serve(rotated)
  assert.equal(await adapter.get('rotated'), 1)
  await server.serve(trusted)
  assert.equal(await adapter.get('rotated'), 1)
  await adapter.disconnect()
})

test('an untrusted certificate, after a trusted one', async () => {
  const server = await started
  await server.serve(trusted)
  const pool = new pg.Pool({ ...server.config, ...EACH, ssl: { ca: ca.pem } })
  const adapter = new PostgresAdapter(pool)
  await adapter.set('exchanged', 1)
  await server.serve(untrusted)
  const expected = await failureOf(pool.query('SELECT 1'))
  const error = await failureOf(adapter.get('exchanged'))
  assert.deepEqual([error.code, error.message], [expected.code, expected.message])
  assert.equal(error.code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  // The server has changed. The client is not broken.
  await server.serve(trusted)
  assert.equal(await adapter.get('exchanged'), 1)
  await adapter.disconnect()
})

test('servers of several certificates that take turns, as behind a load balancer', async () => {
  const servers = [await started, await startTlsServer()]
  try {
    const rules = ['host all all all trust']
    await servers[0].serve(trusted, { rules })
    await servers[1].serve(rotated, { rules })
    let turn = 0
    const balance = (/** @type {net.Socket} */ client) => {
      const upstream = net.connect(servers[turn++ % 2].port, '127.0.0.1')
      upstream.on('error', () => client.destroy()).on('close', () => client.destroy())
      client.on('close', () => upstream.destroy())
      client.pipe(upstream).pipe(client)
    }
    await withListener(balance, async (port) => {
      const config = { ...servers[0].config, ...EACH, port, ssl: { ca: ca.pem } }
      const adapter = new PostgresAdapter(new pg.Pool(config))
      for (let n = 0; n < 10; n++) assert.equal(await adapter.has('x'), false)
      await adapter.disconnect()

      // The verifier sees one certificate, and the connection meets the other, which is untrusted.
      await servers[1].serve(untrusted, { rules })
      turn = 0
      const cautious = new PostgresAdapter(new pg.Pool(config))
      const error = await failureOf(cautious.has('x'))
      assert.equal(error.code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
      await cautious.disconnect()
    })
  } finally {
    await servers[1].stop()
  }
})

test('a forged certificate: the trusted names and key, without a valid signature', async () => {
  const server = await started
  await server.serve(trusted)
  const adapter = new PostgresAdapter(new pg.Pool({ ...server.config, ...EACH, ssl: { ca: ca.pem } }))
  await adapter.set('proof', 1)
  const { theirs, ours } = await (async () => {
    // By its issuer's name, it looks like the trusted one.
    const forged = certificate({ name: 'db', issuer: { ...stranger, name: ca.name }, names: NAMES, key: trusted.key })
    await server.serve(forged)
    return outcomes({ ...server.config, ssl: { ca: ca.pem } })
  })()
  assert.ok('refused' in theirs)
  assert.deepEqual(ours, theirs)
  assert.equal((await failureOf(adapter.get('proof'))).code, theirs.refused.code)
  await adapter.disconnect()
})

for (const [title, behave] of /** @type {[string, (socket: net.Socket) => void][]} */ ([
  ['has no TLS', (socket) => socket.once('data', () => socket.end('N'))],
  ['answers with an error', (socket) => socket.once('data', () => socket.end('E\0\0\0\x08oops\0'))],
  ['answers with something else', (socket) => socket.once('data', () => socket.end('?'))],
  ['says yes, and then nothing of TLS', (socket) => socket.once('data', () => socket.end('S'))],
  [
    'says yes, and then garbage',
    (socket) => socket.once('data', () => socket.write('S', () => socket.end('garbage, and not TLS'))),
  ],
  ['closes', (socket) => socket.once('data', () => socket.end())],
])) {
  test(`a server that ${title}: refused as by pg, and only the TLS request was sent`, async () => {
    /** @type {Buffer[]} */
    const received = []
    const listen = (/** @type {net.Socket} */ socket) => {
      let all = Buffer.alloc(0)
      socket.on('data', (data) => {
        all = Buffer.concat([all, data])
      })
      socket.on('close', () => received.push(all))
      behave(socket)
    }
    await withListener(listen, async (port) => {
      for (const ssl of [true, { rejectUnauthorized: false }]) {
        const { theirs, ours, withoutPool } = await outcomes({
          host: '127.0.0.1',
          port,
          user: 'x',
          password: 'secret',
          ssl,
        })
        assert.ok('refused' in theirs && 'refused' in ours && 'refused' in withoutPool)
        if (title !== 'says yes, and then garbage') {
          const refused = withGivenCode(theirs.refused)
          assert.deepEqual(ours, { refused })
          assert.deepEqual(withoutPool, { refused })
        }
      }
    })
    const plain = Buffer.concat(received).toString('latin1')
    assert.ok(!plain.includes('secret') && !plain.includes('user'), 'a start-up packet was sent in plaintext')
  })
}

/**
 * Terminates the client's TLS with a certificate that the client trusts, and opens its own TLS to the server.
 *
 * @param {number} port of the server
 */
function intercept(port) {
  return (/** @type {net.Socket} */ client) => {
    client.once('data', () => {
      client.write('S')
      const inside = new tls.TLSSocket(client, { isServer: true, cert: trusted.pem, key: trusted.keyPem })
      const upstream = net.connect(port, '127.0.0.1')
      upstream.write(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]))
      upstream.once('data', () => {
        const outside = tls.connect({ socket: upstream, rejectUnauthorized: false })
        for (const socket of [inside, outside])
          socket.on('error', () => client.destroy()).on('close', () => upstream.destroy())
        inside.pipe(outside).pipe(inside)
      })
      upstream.on('error', () => client.destroy())
      inside.on('error', () => upstream.destroy())
    })
  }
}

for (const hash of /** @type {const} */ (['sha256', 'sha384', 'sha512'])) {
  test(`channel binding (${hash}) detects a man in the middle with a trusted certificate`, async () => {
    const server = await started
    await server.serve(certificate({ name: 'db', issuer: ca, names: NAMES, hash }))
    const config = { ...server.config, ssl: { ca: ca.pem } }
    const direct = await outcomes({ ...config, enableChannelBinding: true })
    assert.ok('seen' in direct.theirs)
    assert.deepEqual([direct.ours, direct.withoutPool], [direct.theirs, direct.theirs])
    await withListener(intercept(server.port), async (port) => {
      const bound = await outcomes({ ...config, port, enableChannelBinding: true })
      assert.ok('refused' in bound.theirs)
      assert.deepEqual([bound.ours, bound.withoutPool], [bound.theirs, bound.theirs])
      // Without binding, which is the default, neither pg nor this package notices.
      const unbound = await outcomes({ ...config, port })
      assert.ok('seen' in unbound.theirs)
      assert.deepEqual(unbound.ours, unbound.theirs)
    })
  })
}

test('a verified certificate is not verified again for each connection', async () => {
  const server = await started
  await server.serve(trusted)
  let connections = 0
  const pass = (/** @type {net.Socket} */ client) => {
    connections++
    const upstream = net.connect(server.port, '127.0.0.1')
    upstream.on('error', () => client.destroy()).on('close', () => client.destroy())
    client.on('close', () => upstream.destroy())
    client.pipe(upstream).pipe(client)
  }
  await withListener(pass, async (port) => {
    const adapter = new PostgresAdapter({ ...server.config, ...EACH, port, ssl: { ca: ca.pem } })
    const start = Date.now()
    for (let n = 0; n < 6; n++) await adapter.has('x')
    await adapter.disconnect()
    // One connection for the verifier in each minute, and one for each call.
    const minutes = Math.floor((Date.now() - start) / 60_000)
    assert.ok(connections >= 3 && connections <= 7 + minutes, `${connections} connections`)
  })
})
