// @ts-check
// Options whose meaning native code cannot keep. They are refused by name, never ignored.
'use strict'

const { invalid } = require('../arguments.js')

const REFUSED = {
  stream: 'would replace the socket, which is native here',
  connection: "would replace pg's connection, which is native here",
  replication: 'asks for a replication session, in which no SQL runs',
  scramMaxIterations: 'is a limit that native code does not know',
}

// Options of Node's TLS that rustls has in another form or not at all.
const REFUSED_IN_SSL = {
  pfx: 'cannot be opened; give the certificate and key as PEM in `cert` and `key`',
  secureContext: 'belongs to Node; give its `ca`, `cert` and `key` themselves',
  ciphers: 'cannot be chosen: native TLS has its own list, all of them with forward secrecy',
  ecdhCurve: 'cannot be chosen',
  sigalgs: 'cannot be chosen',
  secureOptions: 'are those of OpenSSL, which is not used',
  secureProtocol: 'is a method of OpenSSL, which is not used; see `minVersion` and `maxVersion`',
  dhparam: 'is not used',
  clientCertEngine: 'is an engine of OpenSSL, which is not used',
  privateKeyEngine: 'is an engine of OpenSSL, which is not used',
  privateKeyIdentifier: 'is of an engine of OpenSSL, which is not used',
  pskCallback: 'is not supported',
  ALPNProtocols: 'cannot be chosen',
  session: 'cannot be resumed from Node',
}

/** @param {Record<string, any>} options */
function refuseOptions(options) {
  refuse('pool.options', options, REFUSED)
}

/** @param {Record<string, any>} ssl */
function refuseSslOptions(ssl) {
  refuse('pool.options.ssl', ssl, REFUSED_IN_SSL)
}

/**
 * @param {string} where
 * @param {Record<string, any>} given
 * @param {Record<string, string>} refused
 */
function refuse(where, given, refused) {
  for (const [name, why] of Object.entries(refused)) {
    if (given[name] != null && given[name] !== false) throw invalid(`${where}.${name}`, why, given[name])
  }
}

module.exports = { refuseOptions, refuseSslOptions }
