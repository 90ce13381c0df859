// @ts-check
// @configurations last
// @without first: other certificates of clients; here connection/tls-keys and connection/tls-modes run
// Client certificates, and passwords over TLS: the server's result for pg and for this package is the same.
'use strict'

const assert = require('node:assert/strict')
const { test, after } = require('node:test')
const { certificate, rsa } = require('../../scripts/servers/certificates.js')
const { comparable, outcomes } = require('../support/drivers.js')
const { startTlsServer } = require('../../scripts/servers/tls-server.js')

const started = startTlsServer()
after(async () => (await started).stop())

const ca = certificate({ name: 'Test CA', ca: true })
const intermediate = certificate({ name: 'Test intermediate', issuer: ca, ca: true })
const stranger = certificate({ name: 'Somebody else', ca: true })
const NAMES = ['127.0.0.1', 'localhost']
const server = certificate({ name: 'db', issuer: ca, names: NAMES })

const own = certificate({ name: 'postgres', issuer: ca })
const ofRsa = certificate({ name: 'postgres', issuer: ca, key: rsa() })
const chained = certificate({ name: 'postgres', issuer: intermediate })
const others = certificate({ name: 'somebody', issuer: ca })
const unknown = certificate({ name: 'postgres', issuer: stranger })
const expired = certificate({ name: 'postgres', issuer: ca, from: -10, to: -1 })

/**
 * @param {import('node:crypto').KeyObject} key
 * @param {string} passphrase
 */
const encrypted = (key, passphrase) =>
  String(key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase }))

const CERT_RULES = ['hostssl all all all cert']

/** @type {[string, any][]} */
const CLIENTS = [
  ['of our own', { cert: own.pem, key: own.keyPem }],
  ['in buffers and lists', { cert: [Buffer.from(own.pem)], key: [Buffer.from(own.keyPem)] }],
  ['of an RSA key', { cert: ofRsa.pem, key: ofRsa.keyPem }],
  ['with a key as PKCS#1', { cert: ofRsa.pem, key: ofRsa.key.export({ type: 'pkcs1', format: 'pem' }) }],
  [
    'with a key that has a passphrase',
    { cert: own.pem, key: encrypted(own.key, 'open sesame'), passphrase: 'open sesame' },
  ],
  [
    'with a passphrase of its own',
    { cert: own.pem, key: [{ pem: encrypted(own.key, 'sesame'), passphrase: 'sesame' }] },
  ],
  ['with a wrong passphrase', { cert: own.pem, key: encrypted(own.key, 'open sesame'), passphrase: 'close' }],
  ['without the passphrase', { cert: own.pem, key: encrypted(own.key, 'open sesame') }],
  ['with its intermediate', { cert: chained.pem + intermediate.pem, key: chained.keyPem }],
  ['without its intermediate', { cert: chained.pem, key: chained.keyPem }],
  ['of another role', { cert: others.pem, key: others.keyPem }],
  ['of an unknown CA', { cert: unknown.pem, key: unknown.keyPem }],
  ['that has expired', { cert: expired.pem, key: expired.keyPem }],
  ['with the key of another', { cert: own.pem, key: others.keyPem }],
  ['that is no certificate', { cert: 'no certificate', key: own.keyPem }],
  ['with a key that is none', { cert: own.pem, key: 'no key' }],
  ['that is not there', {}],
]

for (const version of ['TLSv1.3', 'TLSv1.2']) {
  for (const [title, client] of CLIENTS) {
    test(`${version}: a client certificate ${title}`, async () => {
      const database = await started
      const settings = { ssl_min_protocol_version: version, ssl_max_protocol_version: version }
      await database.serve(server, { clientCa: ca.pem, rules: CERT_RULES, settings })
      for (const trust of [{ ca: ca.pem }, { rejectUnauthorized: false }]) {
        const { theirs, ours, withoutPool } = await outcomes({ ...database.config, ssl: { ...trust, ...client } })
        assert.deepEqual(comparable(ours), comparable(theirs))
        assert.deepEqual(comparable(withoutPool), comparable(theirs))
        if ('seen' in ours) assert.equal(ours.seen.client_dn, '/CN=postgres')
      }
    })
  }
}

test('a server that requires a certificate in addition to the password', async () => {
  const database = await started
  await database.serve(server, {
    clientCa: ca.pem,
    rules: ['hostssl all all all scram-sha-256 clientcert=verify-full'],
  })
  for (const client of [{ cert: own.pem, key: own.keyPem }, {}]) {
    const { theirs, ours } = await outcomes({ ...database.config, ssl: { ca: ca.pem, ...client } })
    assert.deepEqual(ours, theirs)
  }
})

for (const [method, rules, settings] of /** @type {[string, string[], Record<string, string>][]} */ ([
  ['md5', ['host all all all md5'], { password_encryption: 'md5' }],
  ['password', ['host all all all password'], {}],
  ['scram-sha-256', ['host all all all scram-sha-256'], {}],
  ['trust', ['host all all all trust'], {}],
])) {
  test(`${method}, with TLS and without, the right password and a wrong one`, async () => {
    const database = await started
    await database.serve(server, { rules, settings })
    const role = `role_${method.replaceAll('-', '_')}`
    await database.query(`CREATE ROLE ${role} SUPERUSER LOGIN PASSWORD 'secret'`)
    for (const ssl of [{ ca: ca.pem }, false]) {
      for (const password of ['secret', 'wrong']) {
        const { theirs, ours, withoutPool } = await outcomes({ ...database.config, user: role, password, ssl })
        assert.deepEqual(ours, theirs, `${Boolean(ssl)} ${password}`)
        assert.deepEqual(withoutPool, theirs)
        assert.equal('seen' in ours, password === 'secret' || method === 'trust')
      }
    }
  })
}

test('a server that accepts no session without TLS', async () => {
  const database = await started
  await database.serve(server, { rules: ['hostssl all all all scram-sha-256'] })
  const { theirs, ours } = await outcomes({ ...database.config, ssl: false })
  assert.deepEqual(ours, theirs)
  assert.ok('refused' in ours && ours.refused.code === '28000')
  assert.ok('seen' in (await outcomes({ ...database.config, ssl: { ca: ca.pem } })).ours)
})
