// @ts-check
// The application's `ssl` in the form that native code accepts.
'use strict'

const { X509Certificate, createPrivateKey } = require('node:crypto')
const net = require('node:net')
const tls = require('node:tls')
const { invalid } = require('../arguments.js')
const { HostError } = require('../error-registry.js')
const { coded } = require('../errors.js')
const { refuseSslOptions } = require('./refused.js')
const { signsBy, typeOf } = require('./signatures.js')

/**
 * @param {true | Record<string, any>} ssl
 * @param {string} host
 * @param {boolean} direct whether TLS begins without asking the server
 */
function tlsSettings(ssl, host, direct) {
  const options = ssl === true ? {} : ssl
  refuseSslOptions(options)
  return {
    host,
    // As pg: the host, unless it is an address; RFC 6066 has no addresses in SNI.
    serverName: net.isIP(host) === 0 ? host : options.servername,
    ...clientCertificate(options),
    versions: versions(options),
    direct,
  }
}

/** @param {Record<string, any>} ssl */
function clientCertificate(ssl) {
  const { cert, key, passphrase } = ssl
  try {
    // Node reports the same faults with the same messages in the server's and in the client's options.
    tls.createSecureContext(ssl)
    if (!cert || !key) return {}
    const chain = [cert].flat().flatMap((pem) => String(pem).match(CERTIFICATE) ?? [pem])
    const [own] = [key].flat()
    const given =
      own?.pem === undefined ? { key: own, passphrase } : { key: own.pem, passphrase: own.passphrase ?? passphrase }
    const privateKey = createPrivateKey(given)
    const type = typeOf(privateKey)
    if (!TYPES.has(String(privateKey.asymmetricKeyType))) throw coded(new Error(unusable(type)), 'ERR_GOSCOPE_TLS')
    const exported = privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64')
    const signing = signsBy(privateKey)
    return {
      certificates: chain.map((pem) => new X509Certificate(pem).raw.toString('base64')),
      ...(signing ? { nodesKey: { key: exported, type, ...signing } } : { key: exported }),
    }
  } catch (error) {
    throw new HostError(error)
  }
}

/** The types of keys that sign in native TLS. */
const TYPES = new Set(['rsa', 'rsa-pss', 'ec', 'ed25519', 'ed448'])

const unusable = (/** @type {string} */ type) =>
  `The client's key is of type ${type}, which native TLS cannot use. Use one of RSA, of an elliptic curve, Ed25519 or Ed448`

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** @param {Record<string, any>} ssl */
function versions({ minVersion = tls.DEFAULT_MIN_VERSION, maxVersion = tls.DEFAULT_MAX_VERSION }) {
  if (!NEWER.has(maxVersion)) {
    throw invalid(
      'pool.options.ssl.maxVersion',
      'must be TLSv1.2 or TLSv1.3, the versions that native TLS speaks',
      maxVersion,
    )
  }
  if (maxVersion === 'TLSv1.2') return '1.2'
  return minVersion === 'TLSv1.3' ? '1.3' : '1.2 or 1.3'
}

const NEWER = new Set(['TLSv1.2', 'TLSv1.3'])

module.exports = { tlsSettings }
