// @ts-check
// Node judges a server's certificate, by the same handshake that pg makes: so `ca`, `crl`, `servername`,
// `checkServerIdentity`, NODE_EXTRA_CA_CERTS and all the rest mean what they mean to pg, and a refusal has its code.
// What it found trustworthy, native code accepts by its digest, and nothing else.
'use strict'

const crypto = require('node:crypto')
const net = require('node:net')
const tls = require('node:tls')
const { HostError } = require('../kept-errors.js')

// A certificate that was good a minute ago is not looked at again; a connection that lives on is not, either.
const VERDICT_MS = 60_000

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
  /** @type {Map<string, { digests: Set<string>, until: number }>} */
  #verdicts = new Map()
  /** @type {Map<string, Promise<string>>} */
  #underWay = new Map()

  /**
   * The digests of the certificates to accept; undefined where the application wants none to be looked at.
   *
   * @param {Server} server
   * @param {boolean} again because it shows one that is not known yet
   * @returns {Promise<string[] | undefined>}
   */
  async trusted(server, again) {
    if (server.ssl !== true && server.ssl.rejectUnauthorized === false) return undefined
    const name = `${server.host} ${server.port}`
    const known = this.#verdicts.get(name)
    if (known && !again && Date.now() < known.until) return [...known.digests]
    const digest = await this.#judge(name, server)
    // Behind a load balancer servers with several certificates may take turns: while verdicts are fresh they add up.
    const digests = known && Date.now() < known.until ? known.digests : new Set()
    digests.add(digest)
    this.#verdicts.set(name, { digests, until: Date.now() + VERDICT_MS })
    return [...digests]
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
      judgement = certificateOf(server).finally(() => this.#underWay.delete(name))
      this.#underWay.set(name, judgement)
    }
    return judgement
  }
}

/**
 * Makes pg's handshake up to where a session would start, and no further.
 *
 * @param {Server} server
 * @returns {Promise<string>} the SHA-256 of the certificate that Node accepted, base64
 */
async function certificateOf({ host, port, ssl, direct, timeout }) {
  const options = ssl === true ? {} : ssl
  const socket = net.connect(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port })
  const impatience = timeout > 0 ? setTimeout(() => socket.destroy(), timeout) : undefined
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
    await happens(secure, 'secureConnect')
    const { raw } = secure.getPeerCertificate()
    return crypto.createHash('sha256').update(raw).digest('base64')
  } catch (error) {
    // What the application's own function found is its own.
    throw error === ownError ? error : new HostError(error)
  } finally {
    clearTimeout(impatience)
    socket.destroy()
  }
}

/** @param {net.Socket} socket */
async function requestTls(socket) {
  socket.write(SSL_REQUEST)
  const answer = (await happens(socket, 'data')).toString('latin1')
  if (answer === 'S') return
  throw new Error(
    answer === 'N'
      ? 'The server does not support SSL connections'
      : 'There was an error establishing an SSL connection',
  )
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
    socket.once('close', () => reject(new Error('Connection terminated unexpectedly')))
  })
}

module.exports = { Judge }
