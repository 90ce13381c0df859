// @ts-check
// @configurations first, last
// This package accepts exactly the server certificates that pg accepts, and refuses the others with the same error.
'use strict'

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const crypto = require('node:crypto')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test, after } = require('node:test')
const { certificate, rsa } = require('../../scripts/servers/certificates.js')
const { outcomes } = require('../support/drivers.js')
const { startTlsServer } = require('../../scripts/servers/tls-server.js')
const { variants } = require('../support/variants.js')

const started = startTlsServer()
after(async () => (await started).stop())
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-tls-'))
after(() => fs.rmSync(folder, { recursive: true, force: true }))

const ca = certificate({ name: 'Test CA', ca: true, key: rsa() })
const intermediate = certificate({ name: 'Test intermediate', issuer: ca, ca: true })
const stranger = certificate({ name: 'Somebody else', ca: true })
const HOSTS = ['127.0.0.1', 'localhost']

/** @type {Record<string, { identity: import('../../scripts/servers/certificates.js').Identity, chain?: string, settings?: Record<string, string> }>} */
const SERVERS = {
  'names the host': { identity: certificate({ name: 'db', issuer: ca, names: HOSTS }) },
  'names the host, over TLS 1.2': {
    identity: certificate({ name: 'db', issuer: ca, names: HOSTS }),
    settings: { ssl_max_protocol_version: 'TLSv1.2' },
  },
  'is of an RSA key': { identity: certificate({ name: 'db', issuer: ca, key: rsa(), names: HOSTS }) },
  'is of an RSA key, over TLS 1.2': {
    identity: certificate({ name: 'db', issuer: ca, key: rsa(), names: HOSTS }),
    settings: { ssl_max_protocol_version: 'TLSv1.2' },
  },
  'has expired': { identity: certificate({ name: 'db', issuer: ca, names: HOSTS, from: -10, to: -1 }) },
  'is not yet valid': { identity: certificate({ name: 'db', issuer: ca, names: HOSTS, from: 2 }) },
  'names another host': { identity: certificate({ name: 'db', issuer: ca, names: ['db.example.com', '10.0.0.1'] }) },
  'names an address alone': { identity: certificate({ name: 'db', issuer: ca, names: ['127.0.0.1'] }) },
  'has only a CN, the host': { identity: certificate({ name: 'localhost', issuer: ca }) },
  'has only a CN, another': { identity: certificate({ name: 'db.example.com', issuer: ca }) },
  'is X.509 v1': { identity: certificate({ name: 'localhost', issuer: ca, version: 1 }) },
  'is X.509 v1, over TLS 1.2': {
    identity: certificate({ name: 'localhost', issuer: ca, version: 1, key: rsa() }),
    settings: { ssl_max_protocol_version: 'TLSv1.2' },
  },
  'is its own CA': { identity: certificate({ name: 'localhost', ca: true, names: HOSTS }) },
  'is self-signed, and no CA': { identity: certificate({ name: 'localhost', names: HOSTS }) },
  'comes with its intermediate': {
    identity: certificate({ name: 'db', issuer: intermediate, names: HOSTS }),
    chain: intermediate.pem,
  },
  'comes without its intermediate': { identity: certificate({ name: 'db', issuer: intermediate, names: HOSTS }) },
  'comes with the whole chain': {
    identity: certificate({ name: 'db', issuer: intermediate, names: HOSTS }),
    chain: intermediate.pem + ca.pem,
  },
  'is of a stranger': { identity: certificate({ name: 'db', issuer: stranger, names: HOSTS }), chain: stranger.pem },
}

for (const [title, { identity, ...serving }] of variants(Object.entries(SERVERS), 8)) {
  test(`a certificate that ${title}`, async () => {
    const server = await started
    await server.serve(identity, serving)
    let accepted = 0
    let refused = 0
    for (const ssl of [
      true,
      { rejectUnauthorized: false },
      { ca: ca.pem },
      { ca: [stranger.pem, Buffer.from(identity.pem)] },
    ]) {
      for (const host of HOSTS) {
        const { theirs, ours, withoutPool } = await outcomes({ ...server.config, host, ssl: ssl })
        const where = `${host}, ssl ${JSON.stringify(ssl).slice(0, 40)}`
        assert.deepEqual(ours, theirs, where)
        assert.deepEqual(withoutPool, theirs, where)
        if ('seen' in ours) {
          accepted++
          assert.equal(ours.seen.ssl, 't')
        } else {
          refused++
          assert.ok(ours.refused.code, where)
        }
      }
    }
    // Each certificate is accepted without verification, and refused if no root is known.
    assert.ok(accepted >= 2 && refused >= 2, `${accepted} accepted, ${refused} refused`)
  })
}

test('servername is the name that is verified for an address', async () => {
  const server = await started
  await server.serve(certificate({ name: 'db', issuer: ca, names: ['db.example.com'] }))
  for (const [host, servername] of [
    ['127.0.0.1', 'db.example.com'],
    ['127.0.0.1', 'other.example.com'],
    // pg verifies the host, whatever else is set.
    ['localhost', 'db.example.com'],
  ]) {
    const { theirs, ours } = await outcomes({ ...server.config, host, ssl: { ca: ca.pem, servername } })
    assert.deepEqual(ours, theirs, `${host} ${servername}`)
  }
})

test('checkServerIdentity decides, and its own error reaches the caller', async () => {
  const server = await started
  const identity = certificate({ name: 'db', issuer: ca, names: ['db.example.com'] })
  await server.serve(identity)
  /** @type {any[]} */
  const asked = []
  const pinned = (/** @type {string} */ host, /** @type {any} */ { fingerprint256 }) => {
    asked.push([host, fingerprint256])
    return undefined
  }
  const { theirs, ours, withoutPool } = await outcomes({
    ...server.config,
    ssl: { ca: ca.pem, checkServerIdentity: pinned },
  })
  assert.ok('seen' in theirs)
  assert.deepEqual([ours, withoutPool], [theirs, theirs])
  const { fingerprint256 } = new crypto.X509Certificate(identity.pem)
  assert.deepEqual(asked, Array(3).fill(['127.0.0.1', fingerprint256]))

  class NotPinned extends Error {}
  const objection = Object.assign(new NotPinned('not the certificate that we know'), { code: 'ERR_PIN' })
  const refusing = await outcomes({ ...server.config, ssl: { ca: ca.pem, checkServerIdentity: () => objection } })
  assert.deepEqual(refusing.ours, refusing.theirs)
  assert.ok('refused' in refusing.ours)
  assert.deepEqual([refusing.ours.refused.class, refusing.ours.refused.code], ['NotPinned', 'ERR_PIN'])
})

test('a certificate revocation list that cannot be read', async () => {
  const server = await started
  await server.serve(certificate({ name: 'db', issuer: ca, names: HOSTS }))
  // A revocation list that Node cannot use is an error. It is not ignored.
  const { theirs, ours } = await outcomes({ ...server.config, ssl: { ca: ca.pem, crl: 'no such list' } })
  assert.ok('refused' in theirs)
  assert.deepEqual(ours, theirs)
})

test('NODE_EXTRA_CA_CERTS and NODE_TLS_REJECT_UNAUTHORIZED', async () => {
  const server = await started
  await server.serve(certificate({ name: 'db', issuer: ca, names: HOSTS }))
  const file = path.join(folder, 'ca.crt')
  fs.writeFileSync(file, ca.pem)
  const script = `
    const { PostgresAdapter } = require('goscope-postgres')
    const adapter = new PostgresAdapter({ ...JSON.parse(process.argv[1]), ssl: true })
    adapter.has('x').then(() => 'accepted', ({ code }) => code).then((outcome) => { console.log(outcome); return adapter.disconnect() })`
  const run = (/** @type {NodeJS.ProcessEnv} */ env) =>
    execFileSync(process.execPath, ['-e', script, JSON.stringify(server.config)], {
      cwd: path.join(__dirname, '../..'),
      env: { ...process.env, NODE_NO_WARNINGS: '1', ...env },
      encoding: 'utf8',
    }).trim()
  assert.equal(run({}), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  assert.equal(run({ NODE_EXTRA_CA_CERTS: file }), 'accepted')
  assert.equal(run({ NODE_TLS_REJECT_UNAUTHORIZED: '0' }), 'accepted')
})

for (const [option, value] of Object.entries({
  pfx: Buffer.from('x'),
  ciphers: 'ECDHE-RSA-AES128-GCM-SHA256',
  secureProtocol: 'TLSv1_2_method',
  sigalgs: 'RSA+SHA256',
  maxVersion: 'TLSv1.1',
})) {
  test(`ssl.${option}, which native TLS does not support, is refused by name`, async () => {
    const server = await started
    const { ours } = await outcomes({ ...server.config, ssl: { rejectUnauthorized: false, [option]: value } })
    assert.ok('refused' in ours)
    assert.equal(ours.refused.code, 'ERR_INVALID_ARG_VALUE')
    assert.match(ours.refused.message, new RegExp(`ssl\\.${option}`))
  })
}

test('minVersion and maxVersion', async () => {
  const server = await started
  for (const offered of ['TLSv1.2', 'TLSv1.3']) {
    await server.serve(certificate({ name: 'db', issuer: ca, names: HOSTS }), {
      settings: { ssl_min_protocol_version: offered, ssl_max_protocol_version: offered },
    })
    for (const versions of [{ minVersion: 'TLSv1.3' }, { maxVersion: 'TLSv1.2' }, { minVersion: 'TLSv1.2' }]) {
      const ssl = /** @type {any} */ ({ ca: ca.pem, ...versions })
      const { theirs, ours } = await outcomes({ ...server.config, ssl })
      if ('seen' in theirs) assert.deepEqual(ours, theirs, `${offered} ${JSON.stringify(versions)}`)
      else
        assert.equal(
          'refused' in ours && ours.refused.code,
          theirs.refused.code,
          `${offered} ${JSON.stringify(versions)}`,
        )
    }
  }
})
