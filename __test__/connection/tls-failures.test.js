// @ts-check
// @configurations first
// Handshakes that fail: each with a code, and with a message that gives the reason.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const net = require('node:net')
const tls = require('node:tls')
const { test, after } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { certificate } = require('../../scripts/servers/certificates.js')
const { withListener } = require('../support/listener.js')
const { failureOf } = require('../support/drivers.js')
const { startTlsServer } = require('../../scripts/servers/tls-server.js')
const { inTime } = require('../support/waiting.js')

const started = startTlsServer()
after(async () => (await started).stop())

const ca = certificate({ name: 'Test CA', ca: true })
const identity = certificate({ name: 'db', issuer: ca, names: ['127.0.0.1', 'localhost'] })

/** All TLS alerts that are errors, and undefined numbers. https://www.rfc-editor.org/rfc/rfc8446#section-6 */
const ALERTS = [
  ...[0, 10, 20, 21, 22, 30, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 60, 70, 71, 80, 86, 90, 100, 109, 110],
  ...[111, 112, 113, 114, 115, 116, 120, 121, 200, 255],
]

/** @type {string[]} */
const codes = []
after(() => console.log(`# figure: ${ALERTS.length} alerts, codes ${[...new Set(codes)].sort().join(', ')}`))

/**
 * A call of an adapter to the test's own server on this port.
 *
 * @param {number} port
 * @param {object} ssl
 */
async function failureAt(port, ssl) {
  const adapter = new PostgresAdapter({ host: '127.0.0.1', port, user: 'x', database: 'x', password: 'secret', ssl })
  try {
    return await inTime('the failure', failureOf(adapter.has('x')))
  } finally {
    await adapter.disconnect()
  }
}

/** @param {any} error */
function assertExplained(error, what = '') {
  assert.equal(typeof error.code, 'string', `${what}: ${error.message} has no code`)
  assert.ok(error.message.length > 20, `${what}: ${error.message}`)
  codes.push(error.code)
}

test('each alert of a server has a code, before and after Node has accepted its certificate', async () => {
  for (const number of ALERTS) {
    let connections = 0
    const behave = (/** @type {net.Socket} */ socket) => {
      const isFirst = connections++ === 0
      socket.once('data', () => {
        socket.write('S')
        if (isFirst && isJudged) return void accept(socket)
        socket.once('data', () => socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, number])))
      })
    }
    let isJudged = false
    await withListener(behave, async (port) => {
      for (const [ssl, judged] of /** @type {[object, boolean][]} */ ([
        [{ ca: ca.pem }, false],
        [{ ca: ca.pem }, true],
        [{ rejectUnauthorized: false }, false],
      ])) {
        connections = 0
        isJudged = judged
        assertExplained(await failureAt(port, ssl), `alert ${number}, ${Object.keys(ssl)}, ${judged}`)
      }
    })
  }
})

/** Speaks TLS with the certificate that the clients trust. */
function accept(/** @type {net.Socket} */ socket) {
  const secure = new tls.TLSSocket(socket, {
    isServer: true,
    secureContext: tls.createSecureContext({ cert: identity.pem, key: identity.keyPem }),
  })
  secure.on('error', () => {})
}

test('the error for a signature changed in transit names the reason and the key', async () => {
  const server = await started
  await server.serve(identity, { settings: { ssl_max_protocol_version: 'TLSv1.2' } })
  let connections = 0
  const behave = (/** @type {net.Socket} */ client) => {
    const isFirst = connections++ === 0
    const upstream = net.connect(server.port, '127.0.0.1')
    upstream.on('error', () => {})
    client.on('close', () => upstream.destroy())
    client.pipe(upstream)
    upstream.on('data', (data) => client.write(isFirst ? data : withOtherSignature(data)))
    upstream.on('end', () => client.end())
  }
  await withListener(behave, async (port) => {
    const error = await failureAt(port, { ca: ca.pem })
    assert.equal(error.code, 'ERR_GOSCOPE_TLS')
    assert.match(error.message, /signed it by another key.*key of type ec prime256v1/)
  })
})

/** The last byte of the signature in a ServerKeyExchange that is followed by a ServerHelloDone. */
function withOtherSignature(/** @type {Buffer} */ data) {
  const done = data.lastIndexOf(Buffer.from([0x16, 3, 3, 0, 4, 14, 0, 0, 0]))
  const changed = Buffer.from(data)
  if (done > 0) changed.writeUInt8(changed.readUInt8(done - 1) ^ 1, done - 1)
  return changed
}

test("a client's DSA key is refused by its type", async () => {
  const server = await started
  await server.serve(identity, { clientCa: ca.pem, rules: ['hostssl all all all cert'] })
  const { privateKey: key } = crypto.generateKeyPairSync('dsa', { modulusLength: 2048, divisorLength: 256 })
  const own = certificate({ name: 'postgres', issuer: ca, key })
  const ssl = { ca: ca.pem, cert: own.pem, key: own.keyPem }
  for (const from of [{}, { max: 1 }]) {
    const error = await failureOf(new PostgresAdapter({ ...server.config, ...from, ssl }).has('x'))
    assert.equal(error.code, 'ERR_GOSCOPE_TLS')
    assert.match(error.message, /key is of type dsa 2048 bits.*Use one of RSA/)
  }
})

test('a server without TLS, and one with an unexpected answer, are refused with a code', async () => {
  for (const [answer, message] of /** @type {[string, RegExp][]} */ ([
    ['N', /does not support SSL/],
    ['E', /error establishing an SSL/],
  ])) {
    await withListener(
      (socket) => socket.once('data', () => socket.write(answer)),
      async (port) => {
        for (const ssl of [{ ca: ca.pem }, { rejectUnauthorized: false }]) {
          const error = await failureAt(port, ssl)
          assert.equal(error.code, 'ERR_GOSCOPE_TLS')
          assert.match(error.message, message)
        }
      },
    )
  }
})
