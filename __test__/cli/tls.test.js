// @ts-check
// @configurations first
// The command on a server with TLS: `sslmode` keeps its meaning, and Node prints no warning about it.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, test } = require('node:test')
const { certificate } = require('../../scripts/servers/certificates.js')
const { runCommand } = require('../support/command.js')
const { startTlsServer } = require('../../scripts/servers/tls-server.js')

const started = startTlsServer()
after(async () => (await started).stop())
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-command-tls-'))
after(() => fs.rmSync(folder, { recursive: true, force: true }))

const ca = certificate({ name: 'Test CA', ca: true })
const good = certificate({ name: 'db', issuer: ca, names: ['127.0.0.1'] })
const wrongHost = certificate({ name: 'db', issuer: ca, names: ['db.example.com'] })
const rootFile = path.join(folder, 'root.crt')
fs.writeFileSync(rootFile, ca.pem)

/** They mean the same here, as with pg 8. */
const VERIFYING = ['prefer', 'require', 'verify-ca', 'verify-full']

/** @param {string} query */
async function urlWith(query) {
  const { host, port, user, password, database } = (await started).config
  return `postgres://${user}:${password}@${host}:${port}/${database}?${query}`
}

for (const mode of VERIFYING) {
  test(`sslmode=${mode}: no warning on a server that is trusted, and on one that is not`, async () => {
    const server = await started
    await server.serve(good)
    const trusted = await runCommand([
      'status',
      '--json',
      '--url',
      await urlWith(`sslmode=${mode}&sslrootcert=${rootFile}`),
    ])
    assert.deepEqual([trusted.code, trusted.stderr], [0, ''])
    assert.match(JSON.parse(trusted.stdout).server.tls, /^TLSv1\.[23]$/)

    const unknown = await runCommand(['status'], { DATABASE_URL: await urlWith(`sslmode=${mode}`) })
    assert.equal(unknown.code, 3)
    assert.match(
      unknown.stderr,
      /^goscope-postgres: .*\((UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT_LOCALLY)\)/,
    )
    assert.doesNotMatch(unknown.stderr, /[Ww]arning/i)

    await server.serve(wrongHost)
    const other = await runCommand(['status', '--url', await urlWith(`sslrootcert=${rootFile}&sslmode=${mode}`)])
    assert.equal(other.code, 3)
    assert.match(other.stderr, /^goscope-postgres: .*\(ERR_TLS_CERT_ALTNAME_INVALID\)/)
  })
}

test('the last of several modes counts, and uselibpqcompat=true has the meaning of libpq', async () => {
  const server = await started
  await server.serve(wrongHost)
  for (const query of [
    'sslmode=require&sslmode=no-verify',
    'uselibpqcompat=true&sslmode=require',
    `uselibpqcompat=true&sslmode=verify-ca&sslrootcert=${rootFile}`,
  ]) {
    const { code, stdout, stderr } = await runCommand(['status', '--json', '--url', await urlWith(query)])
    assert.deepEqual([code, stderr], [0, ''], query)
    assert.match(JSON.parse(stdout).server.tls, /^TLSv1\.[23]$/)
  }
  const { code } = await runCommand([
    'status',
    '--url',
    await urlWith(`sslmode=no-verify&sslmode=require&sslrootcert=${rootFile}`),
  ])
  assert.equal(code, 3)
})
