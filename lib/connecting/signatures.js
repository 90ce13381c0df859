// @ts-check
// Signatures of TLS handshakes that native code cannot check or make: Node's `crypto` does.
// https://www.rfc-editor.org/rfc/rfc8446#section-4.2.3
'use strict'

const crypto = require('node:crypto')

/**
 * The meaning of a signature scheme's number in TLS: the hash, the keys that may sign so, and how RSA pads.
 *
 * @type {Record<number, { hash?: string, keys: string[], curve?: string, isPss?: boolean }>}
 */
const SCHEMES = {
  1027: { hash: 'sha256', keys: ['ec'], curve: 'prime256v1' },
  1283: { hash: 'sha384', keys: ['ec'], curve: 'secp384r1' },
  1539: { hash: 'sha512', keys: ['ec'], curve: 'secp521r1' },
  1025: { hash: 'sha256', keys: ['rsa'] },
  1281: { hash: 'sha384', keys: ['rsa'] },
  1537: { hash: 'sha512', keys: ['rsa'] },
  2052: { hash: 'sha256', keys: ['rsa'], isPss: true },
  2053: { hash: 'sha384', keys: ['rsa'], isPss: true },
  2054: { hash: 'sha512', keys: ['rsa'], isPss: true },
  2056: { keys: ['ed448'] },
  2057: { hash: 'sha256', keys: ['rsa-pss'], isPss: true },
  2058: { hash: 'sha384', keys: ['rsa-pss'], isPss: true },
  2059: { hash: 'sha512', keys: ['rsa-pss'], isPss: true },
}

/** PKCS#1 v1.5, which TLS 1.3 does not have. */
const ONLY_TLS12 = new Set([0x0401, 0x0501, 0x0601])

/**
 * How a key signs with a scheme; undefined if it may not.
 *
 * @param {crypto.KeyObject} key
 * @param {number} number
 * @param {boolean} isTls13
 */
function wayOf(key, number, isTls13) {
  const scheme = SCHEMES[number]
  if (!scheme?.keys.includes(key.asymmetricKeyType ?? '') || (isTls13 && ONLY_TLS12.has(number))) return undefined
  // In TLS 1.2 the number does not say which curve.
  if (isTls13 && scheme.curve && key.asymmetricKeyDetails?.namedCurve !== scheme.curve) return undefined
  const padding = scheme.isPss
    ? { padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: crypto.constants.RSA_PSS_SALTLEN_DIGEST }
    : {}
  return { hash: scheme.hash, key: { key, ...padding } }
}

/**
 * Whether the owner of the certificate's key has signed this.
 *
 * @param {{ scheme: number, isTls13: boolean, message: string, certificate: string, signature: string }} proof in base64
 */
function isSigned({ scheme, isTls13, message, certificate, signature }) {
  const { publicKey } = new crypto.X509Certificate(Buffer.from(certificate, 'base64'))
  const way = wayOf(publicKey, scheme, isTls13)
  return (
    way !== undefined &&
    crypto.verify(way.hash, Buffer.from(message, 'base64'), way.key, Buffer.from(signature, 'base64'))
  )
}

/**
 * @param {{ scheme: number, message: string, key: string }} toSign in base64; the key is PKCS#8
 * @returns {string} the signature, base64
 */
function sign({ scheme, message, key }) {
  const own = crypto.createPrivateKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'pkcs8' })
  const way = wayOf(own, scheme, false)
  if (!way) throw new Error(`a key of type ${own.asymmetricKeyType} cannot sign by ${scheme.toString(16)}`)
  return crypto.sign(way.hash, Buffer.from(message, 'base64'), way.key).toString('base64')
}

/**
 * The schemes with which a client's key signs if native code cannot, the best first; undefined if native code can.
 *
 * @param {crypto.KeyObject} key
 * @returns {{ schemes: number[], onlyTls12?: boolean } | undefined}
 */
function signsBy(key) {
  const schemes = schemesOfNode(key)
  const isOfOtherCurve = schemes?.includes(0x0403)
  return schemes && { schemes, ...(isOfOtherCurve && { onlyTls12: true }) }
}

/**
 * @param {crypto.KeyObject} key
 * @returns {number[] | undefined}
 */
function schemesOfNode({ asymmetricKeyType: type, asymmetricKeyDetails: details = {} }) {
  if (type === 'ed448') return [0x0808]
  if (type === 'ec') {
    if (details.namedCurve === 'secp521r1') return [0x0603]
    // Only TLS 1.2 has signatures of any curve.
    return NATIVE_CURVES.has(details.namedCurve ?? '') ? undefined : [0x0403, 0x0503, 0x0603]
  }
  const bits = details.modulusLength ?? 0
  if (type === 'rsa') return bits >= 2048 && bits <= 4096 ? undefined : RSA.filter((scheme) => fits(scheme, bits))
  if (type !== 'rsa-pss') return undefined
  // The key may name the hash with which it signs.
  const { hashAlgorithm } = details
  return RSA_PSS.filter(
    (scheme) => fits(scheme, bits) && (hashAlgorithm === undefined || SCHEMES[scheme].hash === hashAlgorithm),
  )
}

const NATIVE_CURVES = new Set(['prime256v1', 'secp384r1'])
const RSA = [0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601]
const RSA_PSS = [0x0809, 0x080a, 0x080b]

/**
 * Whether a key is long enough for hash and salt.
 *
 * @param {number} scheme
 * @param {number} bits
 */
const fits = (scheme, bits) => bits >= (16 * Number(SCHEMES[scheme].hash?.slice(3))) / 8 + 16

/**
 * The type of a key and its curve or size, for messages.
 *
 * @param {crypto.KeyObject} key
 */
function typeOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }) {
  const size = details?.namedCurve ?? (details?.modulusLength ? `${details.modulusLength} bits` : '')
  return `${type} ${size}`.trim()
}

module.exports = { isSigned, sign, signsBy, typeOf }
