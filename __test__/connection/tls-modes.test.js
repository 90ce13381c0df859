// @ts-check
// @configurations first
// The ways to request TLS without an `ssl` object: the connection string and the environment.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test, after } = require('node:test')
const { certificate } = require('../../scripts/servers/certificates.js')
const { outcomes, withEnvironment, withGivenCode } = require('../support/drivers.js')
const { startTlsServer } = require('../../scripts/servers/tls-server.js')

const started = startTlsServer()
after(async () => (await started).stop())
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-tls-modes-'))
after(() => fs.rmSync(folder, { recursive: true, force: true }))

const ca = certificate({ name: 'Test CA', ca: true })
const good = certificate({ name: 'db', issuer: ca, names: ['127.0.0.1', 'localhost'] })
const wrongHost = certificate({ name: 'db', issuer: ca, names: ['db.example.com'] })
const client = certificate({ name: 'postgres', issuer: ca })

/** @param {Record<string, string>} contents */
function files(contents) {
  return Object.entries(contents).map(([name, content]) => {
    const file = path.join(folder, name)
    fs.writeFileSync(file, content, { mode: 0o600 })
    return file
  })
}
const [rootFile, certFile, keyFile] = files({
  'root.crt': ca.pem,
  'client.crt': client.pem,
  'client.key': client.keyPem,
})

const MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify']

/** @type {[string, import('../../scripts/servers/certificates.js').Identity | null][]} */
const SERVERS = [
  ['a good certificate', good],
  ['a certificate of another host', wrongHost],
  ['no TLS', null],
]

for (const [title, identity] of SERVERS) {
  test(`every sslmode, on a server with ${title}`, async () => {
    const server = await started
    await server.serve(identity, { clientCa: identity ? ca.pem : undefined })
    const { host, port, user, password, database } = server.config
    let accepted = 0
    for (const mode of MODES) {
      for (const more of [
        '',
        `&sslrootcert=${rootFile}`,
        `&uselibpqcompat=true`,
        `&uselibpqcompat=true&sslrootcert=${rootFile}`,
        `&sslrootcert=${rootFile}&sslcert=${certFile}&sslkey=${keyFile}`,
      ]) {
        const connectionString = `postgres://${user}:${password}@${host}:${port}/${database}?sslmode=${mode}${more}`
        const { theirs, ours, withoutPool } = await outcomes({ connectionString })
        const expected = 'refused' in theirs ? { refused: withGivenCode(theirs.refused) } : theirs
        assert.deepEqual(ours, expected, `${mode} ${more}`)
        assert.deepEqual(withoutPool, expected, `${mode} ${more}`)
        if (!('seen' in ours)) continue
        accepted++
        // Plaintext only if it was requested.
        assert.equal(ours.seen.ssl, mode === 'disable' ? 'f' : 't', `${mode} ${more}`)
      }
    }
    assert.ok(accepted >= 5, `${accepted} accepted`)
  })
}

test('ssl=true, ssl=0 and an ssl object beside the string', async () => {
  const server = await started
  await server.serve(good)
  const { host, port, user, password, database } = server.config
  const url = `postgres://${user}:${password}@${host}:${port}/${database}`
  for (const config of [
    { connectionString: `${url}?ssl=true` },
    { connectionString: `${url}?ssl=0` },
    { connectionString: url, ssl: { ca: ca.pem } },
    { connectionString: `${url}?sslmode=require`, ssl: { rejectUnauthorized: false } },
    { connectionString: `${url}?sslmode=no-verify`, ssl: true },
  ]) {
    const { theirs, ours, withoutPool } = await outcomes(config)
    assert.deepEqual(ours, theirs, JSON.stringify(config))
    assert.deepEqual(withoutPool, theirs, JSON.stringify(config))
  }
})

test('PGSSLMODE', async () => {
  const server = await started
  await server.serve(good)
  for (const mode of MODES) {
    await withEnvironment({ PGSSLMODE: mode }, async () => {
      const { theirs, ours, withoutPool } = await outcomes(server.config)
      assert.deepEqual(ours, theirs, mode)
      assert.deepEqual(withoutPool, theirs, mode)
    })
  }
})

test('sslnegotiation=direct', async () => {
  const server = await started
  await server.serve(good)
  const { theirs, ours, withoutPool } = await outcomes(
    /** @type {any} */ ({ ...server.config, ssl: { ca: ca.pem }, sslnegotiation: 'direct' }),
  )
  assert.ok('seen' in theirs)
  assert.deepEqual([ours, withoutPool], [theirs, theirs])
})

test('a root certificate file that does not exist', async () => {
  const server = await started
  const { host, port, user, password, database } = server.config
  const connectionString = `postgres://${user}:${password}@${host}:${port}/${database}?sslrootcert=${folder}/none`
  const { ours, withoutPool } = await outcomes({ connectionString }).catch(() => ({ ours: null, withoutPool: null }))
  // pg throws this out of `connect`, before there is a connection.
  for (const outcome of [ours, withoutPool]) {
    if (outcome) assert.ok('refused' in outcome && outcome.refused.code === 'ENOENT')
  }
})
