// @ts-check
// Who may ask what: each request passes here before anything is done for it.
'use strict'

const crypto = require('node:crypto')

/** Browsers that may be signed in at a time; the oldest one is signed out for another. */
const MOST_SESSIONS = 100
/** The token of `--open` stands on the command line of a program, where other users see it. */
const ONCE_MS = 60_000

/**
 * @typedef {import('node:http').IncomingMessage} Request
 * @typedef {{ status: number, message: string }} Refusal
 */

const random = () => crypto.randomBytes(24).toString('base64url')

/** @param {string} text */
const digest = (text) => crypto.createHash('sha256').update(text).digest()

/**
 * In a time that does not depend on where they differ.
 *
 * @param {string} one
 * @param {string} other
 */
const isSame = (one, other) => crypto.timingSafeEqual(digest(one), digest(other))

class Guard {
  #names
  #own
  #port
  #cookie
  /** Of signed in browsers, by the value of their cookie: what their changes must show. @type {Map<string, string>} */
  #sessions = new Map()
  /** @type {{ token: string, until: number } | undefined} */
  #once

  /**
   * @param {{ names: Set<string>, own: string, port: number, needsToken: boolean }} page `own` is the host that is printed
   */
  constructor({ names, own, port, needsToken }) {
    this.#names = names
    this.#own = own
    this.#port = port
    // Cookies of one host are for all of its ports.
    this.#cookie = `goscope-postgres-${port}`
    this.token = needsToken ? random() : undefined
  }

  /** A token that signs in one browser, soon. */
  once() {
    this.#once = { token: random(), until: Date.now() + ONCE_MS }
    return this.#once.token
  }

  /**
   * Refuses what comes from another site, whatever it asks for.
   *
   * @param {Request} request
   * @returns {Refusal | undefined}
   */
  refuseStranger({ headers, method }) {
    if (!this.#names.has(headers.host?.toLowerCase() ?? '')) {
      return { status: 421, message: `This server is not ${headers.host ?? 'nameless'}. ${this.#advice()}` }
    }
    const site = headers['sec-fetch-site']
    const isOwn = site === undefined || site === 'same-origin' || site === 'none'
    // A link to the page is no harm: it shows the page, and the other site sees nothing of it.
    const isLink =
      method === 'GET' && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
    if (!isOwn && !isLink) return { status: 403, message: 'A page of another site has asked for this' }
    if (headers.origin !== undefined && headers.origin !== `http://${headers.host}`) {
      return { status: 403, message: `This is not for pages of ${headers.origin}. ${this.#advice()}` }
    }
    return undefined
  }

  /** How to reach it through something else. */
  #advice() {
    const address = `${this.#own}:${this.#port}`
    return `Open http://${address}/. With ssh, the local port must be the same: ssh -L ${this.#port}:${address} HOST`
  }

  /**
   * Signs a browser in by the token in the address.
   *
   * @param {string} token
   * @returns {string | undefined} the cookie; undefined for a wrong token
   */
  signIn(token) {
    const isOnce = this.#once !== undefined && this.#once.until > Date.now() && isSame(token, this.#once.token)
    if (this.token === undefined || (!isOnce && !isSame(token, this.token))) return undefined
    if (isOnce) this.#once = undefined
    const session = random()
    this.#sessions.set(session, random())
    const [oldest] = this.#sessions.keys()
    if (this.#sessions.size > MOST_SESSIONS) this.#sessions.delete(oldest)
    return `${this.#cookie}=${session}; Path=/; HttpOnly; SameSite=Strict`
  }

  /**
   * The token that changes from this browser must show. Undefined if it is not signed in.
   *
   * @param {Request} request
   */
  changeToken({ headers }) {
    const cookies = (headers.cookie ?? '').split(/; */)
    const own = cookies.find((each) => each.startsWith(`${this.#cookie}=`))
    return own && this.#sessions.get(own.slice(this.#cookie.length + 1))
  }

  /** @param {Request} request @returns {Refusal | undefined} */
  refuseUnknown(request) {
    if (this.token === undefined || this.changeToken(request) !== undefined) return undefined
    return { status: 401, message: 'Open the address that the command has printed: the token in it lets you in' }
  }

  /**
   * Refuses a change that does not come from a page of this server. Only signed in browsers can show their token: another
   * site cannot read it, and cannot send this header or this type of content without asking first.
   *
   * @param {Request} request
   * @returns {Refusal | undefined}
   */
  refuseChange(request) {
    const { headers } = request
    if (headers.origin !== `http://${headers.host}`) return { status: 403, message: 'A change names its Origin' }
    if (!/^application\/json\b/.test(headers['content-type'] ?? '')) {
      return { status: 415, message: 'A change is JSON' }
    }
    const token = this.changeToken(request)
    const shown = headers['x-change-token']
    if (token === undefined || typeof shown !== 'string' || !isSame(shown, token)) {
      return { status: 403, message: 'The token of the change is not that of this browser' }
    }
    return undefined
  }
}

module.exports = { Guard }
