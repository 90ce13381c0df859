// @ts-check
// @configurations first, last
// Keys of every type that pg accepts, of servers and of clients. Native TLS does not implement some types: Node's
// `crypto` checks and makes those signatures. What is still impossible fails with a code and a message that names the
// key.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { test, after } = require('node:test')
const signatures = require('../../lib/connecting/signatures.js')
const { certificate, rsa } = require('../../scripts/servers/certificates.js')
const { comparable, failureOf, outcomes } = require('../support/drivers.js')
const { startTlsServer } = require('../../scripts/servers/tls-server.js')
const { variants } = require('../support/variants.js')
const { inTime } = require('../support/waiting.js')
const { PostgresAdapter } = require('goscope-postgres')

const started = startTlsServer({ log_connections: 'on' })
after(async () => (await started).stop())

const ca = certificate({ name: 'Test CA', ca: true })
const NAMES = ['127.0.0.1', 'localhost']

/** The types of Node know only the form with encodings. */
const rsaPss = (/** @type {object} */ options) => /** @type {any} */ (crypto.generateKeyPairSync)('rsa-pss', options)

const KEYS = {
  'P-521': crypto.generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey,
  Ed448: crypto.generateKeyPairSync('ed448').privateKey,
  'RSA-PSS': rsaPss({ modulusLength: 2048 }).privateKey,
  'RSA-PSS with SHA-256': rsaPss({
    modulusLength: 2048,
    hashAlgorithm: 'sha256',
    mgf1HashAlgorithm: 'sha256',
    saltLength: 32,
  }).privateKey,
  'RSA-PSS with SHA-384': rsaPss({
    modulusLength: 3072,
    hashAlgorithm: 'sha384',
    mgf1HashAlgorithm: 'sha384',
    saltLength: 48,
  }).privateKey,
  'RSA-1024': crypto.generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey,
  secp256k1: crypto.generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey,
  'RSA-4096': crypto.generateKeyPairSync('rsa', { modulusLength: 4096 }).privateKey,
  Ed25519: crypto.generateKeyPairSync('ed25519').privateKey,
}

/** What our TLS 1.2 cannot do: the curve is no group of its key exchange, or no cipher of ours has the signature. */
const ONLY_TLS13 = ['P-521', 'Ed448', 'RSA-PSS', 'RSA-PSS with SHA-256', 'RSA-PSS with SHA-384', 'secp256k1']

/** The types that worked, of servers and clients. @type {string[]} */
const worked = []
after(() => console.log(`# figure: ${worked.join(', ')}`))

const settingsOf = (/** @type {string} */ version) => ({
  ssl_min_protocol_version: version,
  ssl_max_protocol_version: version,
})

for (const [type, key] of variants(Object.entries(KEYS), 3)) {
  for (const version of ['TLSv1.3', 'TLSv1.2']) {
    test(`a server's key: ${type}, ${version}`, async () => {
      const database = await started
      await database.serve(certificate({ name: 'db', issuer: ca, names: NAMES, key }), {
        settings: settingsOf(version),
      })
      for (const ssl of [{ ca: ca.pem }, { rejectUnauthorized: false }]) {
        const { theirs, ours, withoutPool } = await inTime('the outcomes', outcomes({ ...database.config, ssl }))
        if (version === 'TLSv1.2' && ONLY_TLS13.includes(type) && 'seen' in theirs) {
          for (const { refused } of /** @type {any[]} */ ([ours, withoutPool])) {
            assert.equal(refused.code, 'ERR_GOSCOPE_TLS')
            assert.match(refused.message, /TLSv1\.2 .*key of type (ec secp521r1|ec secp256k1|ed448|rsa-pss \d+ bits)/)
          }
          continue
        }
        assert.deepEqual(comparable(ours), comparable(theirs))
        assert.deepEqual(comparable(withoutPool), comparable(theirs))
        if ('seen' in ours && ssl.ca) worked.push(`server ${type} ${version}`)
      }
    })

    test(`a client's key: ${type}, ${version}`, async () => {
      const database = await started
      await database.serve(certificate({ name: 'db', issuer: ca, names: NAMES }), {
        clientCa: ca.pem,
        rules: ['hostssl all all all cert'],
        settings: settingsOf(version),
      })
      const own = certificate({ name: 'postgres', issuer: ca, key })
      const ssl = { ca: ca.pem, cert: own.pem, key: own.keyPem }
      const { theirs, ours, withoutPool } = await inTime('the outcomes', outcomes({ ...database.config, ssl }))
      if (version === 'TLSv1.2' && type.startsWith('RSA-PSS') && 'seen' in theirs) {
        for (const { refused } of /** @type {any[]} */ ([ours, withoutPool])) {
          assert.equal(refused.code, 'ERR_GOSCOPE_TLS')
          assert.match(refused.message, /the client's key of type rsa-pss \d+ bits: natively it signs in TLS 1\.3 only/)
        }
        return
      }
      assert.deepEqual(comparable(ours), comparable(theirs))
      assert.deepEqual(comparable(withoutPool), comparable(theirs))
      if ('seen' in ours) worked.push(`client ${type} ${version}`)
    })
  }
}

test('many connections at once with a client key that Node signs with, from a busy event loop', async () => {
  const database = await started
  await database.serve(certificate({ name: 'db', issuer: ca, names: NAMES, key: KEYS['P-521'] }), {
    clientCa: ca.pem,
    rules: ['hostssl all all all cert'],
  })
  const own = certificate({ name: 'postgres', issuer: ca, key: KEYS.Ed448 })
  const ssl = { ca: ca.pem, cert: own.pem, key: own.keyPem }
  const adapter = new PostgresAdapter({ ...database.config, ssl, max: 8 })
  const sets = Array.from({ length: 300 }, (_, n) => adapter.set(`k${n % 40}`, n))
  for (let n = 0; n < 5; n++) {
    const until = performance.now() + 30
    while (performance.now() < until);
    await new Promise((resolve) => setImmediate(resolve))
  }
  await inTime('the calls', Promise.all(sets))
  await inTime('the end', adapter.disconnect())
})

test('a server that cannot prove its key: refused before anything of the session is sent', async (t) => {
  const database = await started
  for (const type of /** @type {const} */ (['P-521', 'RSA-PSS', 'Ed448'])) {
    const identity = certificate({ name: 'db', issuer: ca, names: NAMES, key: KEYS[type] })
    await database.serve(identity, { settings: settingsOf('TLSv1.3') })
    // A server with the certificate but without its key has another signature. Here the message differs.
    const { isSigned } = signatures
    const checked = t.mock.method(signatures, 'isSigned', (/** @type {any} */ proof) =>
      isSigned({ ...proof, message: Buffer.from('another').toString('base64') }),
    )
    const before = database.log().length
    for (const ssl of [{ ca: ca.pem }, { rejectUnauthorized: false }]) {
      const error = await failureOf(new PostgresAdapter({ ...database.config, ssl }).has('x'))
      assert.equal(error.code, 'ERR_GOSCOPE_TLS')
      assert.match(error.message, /BadSignature.*by another key than its certificate's/)
    }
    assert.ok(checked.mock.callCount() >= 2)
    checked.mock.restore()
    // The tests' own connections have no TLS.
    const said = database.log().slice(before)
    assert.match(said, /connection received: host=127/)
    assert.doesNotMatch(said, /connection authorized: .*SSL enabled/)
  }
})

test('a signature counts only for its message, its key and a scheme of that key', () => {
  const message = Buffer.from('the transcript')
  const proof = (/** @type {crypto.KeyObject} */ key, /** @type {number} */ scheme, isTls13 = true) => ({
    scheme,
    isTls13,
    message: message.toString('base64'),
    certificate: new crypto.X509Certificate(certificate({ name: 'x', issuer: ca, key }).pem).raw.toString('base64'),
    signature: '',
  })
  const pss = (/** @type {crypto.KeyObject} */ key) => ({
    key,
    padding: crypto.constants.RSA_PKCS1_PSS_PADDING,
    saltLength: crypto.constants.RSA_PSS_SALTLEN_DIGEST,
  })
  const own = rsa()
  for (const [key, scheme, signature] of /** @type {[crypto.KeyObject, number, Buffer][]} */ ([
    [KEYS['P-521'], 0x0603, crypto.sign('sha512', message, KEYS['P-521'])],
    [KEYS.Ed448, 0x0808, crypto.sign(null, message, KEYS.Ed448)],
    [KEYS['RSA-PSS'], 0x0809, crypto.sign('sha256', message, pss(KEYS['RSA-PSS']))],
    [KEYS['RSA-1024'], 0x0804, crypto.sign('sha256', message, pss(KEYS['RSA-1024']))],
  ])) {
    const good = { ...proof(key, scheme), signature: signature.toString('base64') }
    assert.equal(signatures.isSigned(good), true, scheme.toString(16))
    assert.equal(signatures.isSigned({ ...good, message: 'AAAA' }), false)
    assert.equal(signatures.isSigned({ ...good, signature: '' }), false)
    assert.equal(signatures.isSigned({ ...good, certificate: proof(own, scheme).certificate }), false)
    for (const other of [0, 0x0201, 0x0203, 0x0403, 0x0503, 0x0807, 0xffff]) {
      assert.equal(signatures.isSigned({ ...good, scheme: other }), false, other.toString(16))
    }
  }
  const old = crypto.sign('sha256', message, KEYS['RSA-1024']).toString('base64')
  const oldProof = { ...proof(KEYS['RSA-1024'], 0x0401, false), signature: old }
  assert.equal(signatures.isSigned(oldProof), true)
  assert.equal(signatures.isSigned({ ...oldProof, isTls13: true }), false, 'TLS 1.3 has no PKCS#1 v1.5')
})

for (const cipher of ['ECDHE-RSA-AES256-SHA384', 'AES256-GCM-SHA384']) {
  test(`a server whose only cipher is ${cipher}`, async () => {
    const database = await started
    const identity = certificate({ name: 'db', issuer: ca, names: NAMES, key: rsa() })
    await database.serve(identity, { settings: { ...settingsOf('TLSv1.2'), ssl_ciphers: cipher } })
    for (const ssl of [{ ca: ca.pem }, { rejectUnauthorized: false }]) {
      const error = await failureOf(new PostgresAdapter({ ...database.config, ssl }).has('x'))
      assert.equal(error.code, 'ERR_GOSCOPE_TLS')
      assert.match(error.message, new RegExp(`TLSv1.2 with the cipher ${cipher} and a key of type rsa 2048 bits`))
    }
  })
}

for (const group of ['secp521r1', 'X448']) {
  test(`a server whose only key exchange is ${group}: the message names it, and those that are possible`, async () => {
    const database = await started
    const identity = certificate({ name: 'db', issuer: ca, names: NAMES, key: rsa() })
    await database.serve(identity, { settings: { ssl_ecdh_curve: group } })
    for (const ssl of [{ ca: ca.pem }, { rejectUnauthorized: false }]) {
      const error = await failureOf(new PostgresAdapter({ ...database.config, ssl }).has('x'))
      assert.equal(error.code, 'ERR_GOSCOPE_TLS')
      assert.match(error.message, new RegExp(`and the key exchange ${group} for Node`))
      assert.match(error.message, /X25519, P-256 or P-384/)
    }
  })
}
