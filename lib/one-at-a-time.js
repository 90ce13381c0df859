// @ts-check
'use strict'

const native = require('./native.js')
const { settled } = require('./bridge.js')
const { lockWhenFree } = require('./waiting-lock.js')

/**
 * @template F
 * @typedef {object} Work
 * @property {string} name its key, as native code takes it
 * @property {string} key as the caller knows it
 * @property {number} claimTtl how long the claim of a process that crashes lasts
 * @property {() => Promise<F | undefined>} find what has come of the work already
 * @property {() => Promise<F | undefined>} [begin] in place of `find`, by the process that has the claim
 * @property {(signal: AbortSignal) => Promise<F>} work it must leave behind what `find` finds; not begun any more once the
 * pool is being ended
 */

/** @typedef {{ keyPrefix: string, namespace: string, createTables: boolean }} Claims the locks that are claims */

/**
 * Work that one process at a time does, under a claim that is a lock of a namespace of its own, while the others wait for
 * what comes of it.
 */
class OneAtATime {
  #connection
  #claims

  /**
   * @param {import('./connection.js').Connection} connection
   * @param {Claims} claims
   */
  constructor(connection, { keyPrefix, namespace, createTables }) {
    this.#connection = connection
    this.#claims = new native.Locks(connection.native, keyPrefix, createTables, namespace)
  }

  /**
   * Whoever has the claim looks once more before it works: it may have come after somebody who did it all. Whoever has not,
   * waits until the claim is free, and looks before it asks for it: nobody need take a claim to learn what came of another.
   *
   * @template F
   * @param {Work<F>} work
   * @returns {Promise<F>}
   */
  async do(work) {
    for (;;) {
      const done = await this.tryTo(work)
      if (done !== undefined) return done
      const free = this.#connection.send((slot) => this.#claims.untilFree(slot, work.name))
      settled(await this.#connection.unlessEnded(free))
      const found = await work.find()
      if (found !== undefined) return found
    }
  }

  /**
   * The end of the pool waits for it, from the claim to where that is given back.
   *
   * @template F
   * @param {Work<F>} work
   * @returns {Promise<F | undefined>} undefined if another process, or another caller, has the claim
   */
  tryTo(work) {
    return this.#connection.during(() => this.#tryTo(work))
  }

  /**
   * @template F
   * @param {Work<F>} work
   * @returns {Promise<F | undefined>}
   */
  async #tryTo({ name, key, claimTtl, find, begin = find, work }) {
    const claim = await this.#claim(name, key, claimTtl)
    if (!claim) return undefined
    try {
      return (await begin()) ?? (await this.#connection.work(() => work(claim.signal)))
    } finally {
      claim.giveBack()
    }
  }

  /**
   * @param {string} name
   * @param {string} key
   * @param {number} ttl
   */
  async #claim(name, key, ttl) {
    try {
      return await lockWhenFree(this.#connection, this.#claims, {
        name,
        key,
        ttl,
        owner: null,
        wait: 0,
        renew: true,
        signal: undefined,
        defaultTtl: undefined,
      })
    } catch (error) {
      if (/** @type {any} */ (error).code === 'ERR_LOCK_WAIT_TIMEOUT') return undefined
      throw error
    }
  }
}

module.exports = { OneAtATime }
