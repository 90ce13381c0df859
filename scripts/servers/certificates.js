// @ts-check
// Certificates for tests, of every odd kind found in practice. They are written in DER here, because the tools that
// make certificates do not make X.509 v1, or are missing on some machines.
// https://www.rfc-editor.org/rfc/rfc5280#section-4.1
'use strict'

const crypto = require('node:crypto')
const net = require('node:net')

/**
 * @typedef {object} Identity
 * @property {string} name
 * @property {crypto.KeyObject} key
 * @property {string} keyPem PKCS#8
 * @property {string} pem
 */

const rsa = () => crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const ec = () => crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey

/**
 * @param {object} wanted
 * @param {string} wanted.name its CN
 * @param {Identity} [wanted.issuer] itself by default
 * @param {string[]} [wanted.names] DNS names and IP addresses
 * @param {boolean} [wanted.ca]
 * @param {1 | 3} [wanted.version]
 * @param {crypto.KeyObject} [wanted.key]
 * @param {'sha1' | 'sha256' | 'sha384' | 'sha512'} [wanted.hash]
 * @param {number} [wanted.from] in days from now
 * @param {number} [wanted.to] in days from now
 * @returns {Identity}
 */
function certificate({
  name,
  issuer,
  names = [],
  ca = false,
  version = 3,
  key = ec(),
  hash = 'sha256',
  from = -1,
  to = 30,
}) {
  const signer = issuer ?? { name, key }
  const algorithm = signatureAlgorithm(signer.key, hash)
  const parts = [
    ...(version === 3 ? [element(0xa0, integer(2))] : []),
    element(0x02, Buffer.concat([Buffer.from([1]), crypto.randomBytes(8)])),
    algorithm,
    commonName(signer.name),
    sequence(time(from), time(to)),
    commonName(name),
    crypto.createPublicKey(key).export({ type: 'spki', format: 'der' }),
    ...(version === 3 ? [element(0xa3, sequence(...extensions({ ca, names })))] : []),
  ]
  const body = sequence(...parts)
  const signature = crypto.sign(hash, body, signer.key)
  const der = sequence(body, algorithm, element(0x03, Buffer.concat([Buffer.from([0]), signature])))
  const lines = /** @type {string[]} */ (der.toString('base64').match(/.{1,64}/g))
  const pem = ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
  return { name, key, keyPem: String(key.export({ type: 'pkcs8', format: 'pem' })), pem }
}

/** @param {{ ca: boolean, names: string[] }} wanted */
function extensions({ ca, names }) {
  const alternatives = names.map((name) =>
    net.isIP(name) === 4 ? element(0x87, Buffer.from(name.split('.').map(Number))) : element(0x82, Buffer.from(name)),
  )
  return [
    ...(ca
      ? [
          sequence(
            oid('2.5.29.19'),
            element(0x01, Buffer.from([0xff])),
            element(0x04, sequence(element(0x01, Buffer.from([0xff])))),
          ),
        ]
      : []),
    ...(names.length > 0 ? [sequence(oid('2.5.29.17'), element(0x04, sequence(...alternatives)))] : []),
    // An empty list is not allowed, so the key's identifier is always included.
    sequence(oid('2.5.29.14'), element(0x04, element(0x04, crypto.randomBytes(20)))),
  ]
}

/**
 * @param {crypto.KeyObject} key
 * @param {string} hash
 */
function signatureAlgorithm(key, hash) {
  if (key.asymmetricKeyType === 'ec') {
    return sequence(oid(`1.2.840.10045.4.${{ sha1: '1', sha256: '3.2', sha384: '3.3', sha512: '3.4' }[hash]}`))
  }
  return sequence(oid(`1.2.840.113549.1.1.${{ sha1: 5, sha256: 11, sha384: 12, sha512: 13 }[hash]}`), element(0x05))
}

const commonName = (/** @type {string} */ name) =>
  sequence(element(0x31, sequence(oid('2.5.4.3'), element(0x0c, Buffer.from(name)))))

/** @param {number} days from now */
function time(days) {
  const at = new Date(Date.now() + days * 86_400_000).toISOString().replace(/[-:T]|\.\d+/g, '')
  return element(0x18, Buffer.from(at))
}

const sequence = (/** @type {Buffer[]} */ ...parts) => element(0x30, ...parts)
const integer = (/** @type {number} */ value) => element(0x02, Buffer.from([value]))

/** @param {string} dotted */
function oid(dotted) {
  const [first, second, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const part of rest) {
    const groups = [part & 0x7f]
    for (let left = part >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80)
    bytes.push(...groups)
  }
  return element(0x06, Buffer.from(bytes))
}

/**
 * @param {number} tag
 * @param {Buffer[]} parts
 */
function element(tag, ...parts) {
  const body = Buffer.concat(parts)
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body])
  const length = Buffer.from(body.length.toString(16).padStart(body.length > 0xff ? 4 : 2, '0'), 'hex')
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body])
}

module.exports = { certificate, ec, rsa }
