// @ts-check
// What the pages look at: each thing is read again and again while at least one page looks at it, once for all of them.
'use strict'

const { failureOf } = require('./failure.js')

/**
 * A feed reads for at most one part in so many of the time: slow reads are repeated less often. A read that has found no
 * server is repeated soon, and later and later, up to that: a lost connection is replaced, and a read that takes longer
 * than its limit is not sent again and again.
 */
const SHARE = 10

/** After this the page says that it is still waiting. */
const LATE_MS = 5_000

/**
 * @typedef {(found: any) => void} Listener what was read; or `{ failure }`
 * @typedef {{ every: number, read: () => Promise<any> }} Source `every` in ms
 */

class Feeds {
  /** @type {Map<string, Feed>} */
  #feeds = new Map()

  /**
   * @param {string} name feeds of one name are one
   * @param {Source} source
   * @param {Listener} listener
   * @returns {() => void} stops following
   */
  follow(name, source, listener) {
    const feed = this.#feeds.get(name) ?? new Feed(source)
    this.#feeds.set(name, feed)
    feed.add(listener)
    return () => {
      feed.delete(listener)
      if (feed.isIdle && this.#feeds.get(name) === feed) this.#feeds.delete(name)
    }
  }

  /** How many things are being read. */
  get size() {
    return this.#feeds.size
  }
}

class Feed {
  #source
  /** @type {Set<Listener>} */
  #listeners = new Set()
  /** @type {{ found: any } | undefined} */
  #last
  /** @type {NodeJS.Timeout | undefined} */
  #timer
  #isReading = false
  /** How many reads in a row have found no server. */
  #unreachable = 0

  /** @param {Source} source */
  constructor(source) {
    this.#source = source
  }

  get isIdle() {
    return this.#listeners.size === 0
  }

  /** @param {Listener} listener */
  add(listener) {
    this.#listeners.add(listener)
    if (this.#last !== undefined) listener(this.#last.found)
    if (!this.#isReading && this.#timer === undefined) this.#read()
  }

  /** @param {Listener} listener */
  delete(listener) {
    this.#listeners.delete(listener)
    if (!this.isIdle) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  async #read() {
    this.#isReading = true
    const started = performance.now()
    const late = setTimeout(() => this.#emit({ failure: LATE }), LATE_MS)
    let found
    try {
      found = await this.#source.read()
    } catch (error) {
      found = { failure: failureOf(error) }
    }
    clearTimeout(late)
    this.#isReading = false
    this.#emit(found)
    this.#unreachable = found.failure?.kind === 'unreachable' ? this.#unreachable + 1 : 0
    if (this.isIdle) return
    const pause = this.#pauseAfter(performance.now() - started)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#read()
    }, pause)
  }

  /** @param {number} took in ms */
  #pauseAfter(took) {
    const { every } = this.#source
    const fair = Math.max(every, (SHARE - 1) * took)
    return this.#unreachable === 0 ? fair : Math.min(fair, every * 2 ** (this.#unreachable - 1))
  }

  /** @param {any} found */
  #emit(found) {
    this.#last = { found }
    for (const listener of this.#listeners) listener(found)
  }
}

/** @type {import('./failure.js').Failure} */
const LATE = {
  message: `The server has not answered for ${LATE_MS / 1000} s`,
  advice: 'The page continues by itself when it does.',
  kind: 'unreachable',
}

module.exports = { Feeds }
