// @ts-check
// Node verifies a server's certificate, with the same handshake that pg makes. So `ca`, `crl`, `servername`,
// `checkServerIdentity`, NODE_EXTRA_CA_CERTS and all the rest mean what they mean to pg, and a refusal has its code.
// Native code accepts by its digest the certificate that Node has accepted, and no other.
'use strict'

const crypto = require('node:crypto')
const net = require('node:net')
const tls = require('node:tls')
const { coded, failedWrite, terminated } = require('../errors.js')
const { HostError } = require('../error-registry.js')
const { after, now } = require('../clock.js')
const { typeOf } = require('./signatures.js')

// A certificate that was accepted a minute ago is not verified again; nor is that of a connection that stays open.
const VERDICT_MS = 60_000

// How many handshakes look for an unknown certificate that a connection has met.
const LOOKS = 3

// The protocol's SSLRequest: https://www.postgresql.org/docs/current/protocol-message-formats.html
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])

/**
 * @typedef {object} Server
 * @property {string} host
 * @property {number} port
 * @property {true | Record<string, any>} ssl
 * @property {boolean} direct whether TLS begins without asking the server
 * @property {number} timeout in ms; 0 for none
 */

/** The certificates that were accepted, for one pool. */
class CertificateVerifier {
  /** Until when each certificate of a server is trusted, by the clock of lib/clock.js. @type {Map<string, Map<string, number>>} */
  #verdicts = new Map()
  /** @type {Map<string, Promise<string>>} */
  #underWay = new Map()
  /** @type {Map<string, string>} */
  #seen = new Map()

  /**
   * The certificates to accept, by their digests; any certificate, if the application wants no verification.
   *
   * @param {Server} server
   * @param {boolean} again because it shows one that is not known yet
   * @returns {Promise<'any' | { only: string[] }>}
   */
  async trust(server, again) {
    const name = nameOf(server)
    if (server.ssl !== true && server.ssl.rejectUnauthorized === false) {
      // Native code and the server have no TLS parameters in common. An error of Node's gives the reason;
      // otherwise what Node has seen does.
      if (again) await this.#verify(name, server)
      return 'any'
    }
    const known = this.#knownOf(name)
    const before = known.size
    if (before > 0 && !again) return { only: [...known.keys()] }
    // Behind a load balancer, servers with several certificates may alternate, so verdicts add up. If they alternate
    // strictly, every other handshake meets the server that has been verified already.
    for (let look = 0; look < (again ? LOOKS : 1) && known.size === before; look++) {
      known.set(await this.#verify(name, server), now() + VERDICT_MS)
    }
    return { only: [...known.keys()] }
  }

  /**
   * The outcome of the last handshake with a server, for an error that says why native code has none.
   *
   * @param {Server} server
   */
  seenOf(server) {
    return this.#seen.get(nameOf(server))
  }

  /**
   * The verdicts on a server that have not expired.
   *
   * @param {string} name
   */
  #knownOf(name) {
    const known = this.#verdicts.get(name) ?? new Map()
    this.#verdicts.set(name, known)
    for (const [digest, until] of known) if (now() >= until) known.delete(digest)
    return known
  }

  /**
   * One handshake for all the connections that are being opened at once.
   *
   * @param {string} name
   * @param {Server} server
   */
  #verify(name, server) {
    let judgement = this.#underWay.get(name)
    if (!judgement) {
      const seen = (/** @type {string} */ what) => this.#seen.set(name, what)
      judgement = certificateOf(server, seen).finally(() => this.#underWay.delete(name))
      this.#underWay.set(name, judgement)
    }
    return judgement
  }
}

/**
 * Makes pg's handshake up to the start of a session, and no further.
 *
 * @param {Server} server
 * @param {(what: string) => void} seen takes what the server has shown
 * @returns {Promise<string>} the SHA-256 of the certificate that Node accepted, base64
 */
async function certificateOf({ host, port, ssl, direct, timeout }, seen) {
  const options = ssl === true ? {} : ssl
  const socket = net.connect(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port })
  const cancelTimeout = timeoutOf(timeout) > 0 ? after(timeout, () => socket.destroy()) : () => {}
  /** @type {unknown} */
  let ownError
  try {
    await happens(socket, 'connect')
    if (!direct) await requestTls(socket)
    const secure = tls.connect({
      socket,
      host,
      ...options,
      // A spread omits accessors and hidden properties, such as the key that pg hides.
      ...('key' in options && { key: options.key }),
      ...(direct && { ALPNProtocols: ['postgresql'] }),
      ...(net.isIP(host) === 0 && { servername: host }),
      ...(options.checkServerIdentity && {
        checkServerIdentity: (/** @type {string} */ name, /** @type {any} */ certificate) =>
          (ownError = options.checkServerIdentity(name, certificate)),
      }),
    })
    secure.on('error', () => {})
    await happens(secure, 'secureConnect').catch((error) => {
      throw String(error.code).startsWith('ERR_SSL_') ? failedWrite(error.message) : error
    })
    const { raw } = secure.getPeerCertificate()
    seen(describeTlsOf(secure, raw))
    return crypto.createHash('sha256').update(raw).digest('base64')
  } catch (error) {
    // An error of the application's own function stays as it is.
    throw error === ownError ? error : new HostError(error)
  } finally {
    cancelTimeout()
    socket.destroy()
  }
}

/**
 * A time that a timer can wait for; 0 for none. If the time is longer than a timer can wait, Node would fire the
 * timer at once.
 *
 * @param {number} ms
 */
const timeoutOf = (ms) => (ms > 0 && ms < 2 ** 31 ? ms : 0)

/** @param {{ host: string, port: number }} server */
const nameOf = ({ host, port }) => `${host} ${port}`

/**
 * @param {tls.TLSSocket} socket
 * @param {Buffer} certificate
 */
function describeTlsOf(socket, certificate) {
  const type = typeOf(new crypto.X509Certificate(certificate).publicKey)
  const { name: group } = /** @type {{ name?: string }} */ (socket.getEphemeralKeyInfo() ?? {})
  const exchange = group ? ` and the key exchange ${group}` : ''
  return `${socket.getProtocol()} with the cipher ${socket.getCipher()?.name} and a key of type ${type}${exchange}`
}

/** @param {net.Socket} socket */
async function requestTls(socket) {
  socket.write(SSL_REQUEST)
  const answer = (await happens(socket, 'data')).toString('latin1')
  if (answer === 'S') return
  const message =
    answer === 'N' ? 'The server does not support SSL connections' : 'There was an error establishing an SSL connection'
  throw coded(new Error(message), 'ERR_GOSCOPE_TLS')
}

/**
 * Waits for an event of a socket that may fail or close first.
 *
 * @param {net.Socket} socket
 * @param {string} event
 * @returns {Promise<any>}
 */
function happens(socket, event) {
  return new Promise((resolve, reject) => {
    socket.once(event, resolve)
    socket.once('error', reject)
    socket.once('close', () => reject(terminated()))
  })
}

module.exports = { CertificateVerifier, timeoutOf }
