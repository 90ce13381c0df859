// @ts-check
// Node judges a server's certificate, by the same handshake that pg makes: so `ca`, `crl`, `servername`,
// `checkServerIdentity`, NODE_EXTRA_CA_CERTS and all the rest mean what they mean to pg, and a refusal has its code.
// What it found trustworthy, native code accepts by its digest, and nothing else.
'use strict'

const crypto = require('node:crypto')
const net = require('node:net')
const tls = require('node:tls')
const { coded, failedWrite, terminated } = require('../errors.js')
const { HostError } = require('../kept-errors.js')
const { after, now } = require('../clock.js')
const { typeOf } = require('./signatures.js')

// A certificate that was good a minute ago is not looked at again; a connection that lives on is not, either.
const VERDICT_MS = 60_000

// How often a certificate that is not known yet is looked for, when a connection has met one.
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

/** The certificates that have been found trustworthy, for one pool. */
class Judge {
  /** Until when each certificate of a server is trusted, by the clock of lib/clock.js. @type {Map<string, Map<string, number>>} */
  #verdicts = new Map()
  /** @type {Map<string, Promise<string>>} */
  #underWay = new Map()
  /** @type {Map<string, string>} */
  #seen = new Map()

  /**
   * The certificates to accept, by their digests; any, where the application wants none to be looked at.
   *
   * @param {Server} server
   * @param {boolean} again because it shows one that is not known yet
   * @returns {Promise<'any' | { only: string[] }>}
   */
  async trust(server, again) {
    const name = nameOf(server)
    if (server.ssl !== true && server.ssl.rejectUnauthorized === false) {
      // Native code has no TLS in common with it. An error of Node's says why; otherwise what it has seen does.
      if (again) await this.#judge(name, server)
      return 'any'
    }
    const known = this.#knownOf(name)
    const before = known.size
    if (before > 0 && !again) return { only: [...known.keys()] }
    // Behind a load balancer servers with several certificates may take turns, so verdicts add up; and where they take
    // turns strictly, every other look meets the server that has been judged.
    for (let look = 0; look < (again ? LOOKS : 1) && known.size === before; look++) {
      known.set(await this.#judge(name, server), now() + VERDICT_MS)
    }
    return { only: [...known.keys()] }
  }

  /**
   * What the last handshake with a server came to, for an error that says why native code has none.
   *
   * @param {Server} server
   */
  seenOf(server) {
    return this.#seen.get(nameOf(server))
  }

  /**
   * The verdicts on a server that are not old yet.
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
  #judge(name, server) {
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
 * Makes pg's handshake up to where a session would start, and no further.
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
      // Accessors and hidden properties, as pg makes of the key, are not spread.
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
    // What the application's own function found is its own.
    throw error === ownError ? error : new HostError(error)
  } finally {
    cancelTimeout()
    socket.destroy()
  }
}

/**
 * A time that a timer can wait for; 0 for none. Node would fire a timer at once that is to wait for longer than it can.
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

module.exports = { Judge, timeoutOf }
