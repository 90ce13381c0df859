// @ts-check
'use strict'

const { now, resolvesWithin } = require('../clock.js')

/**
 * How long a guarded call waits for the database in total, in ms. A database that is away must not hold up calls to a service
 * that works.
 */
const LONGEST_WAIT = 1_000

/** Of one call. */
class Patience {
  #left = LONGEST_WAIT

  /**
   * Resolves when the promise does, which must not reject, or when the call has waited for long enough.
   *
   * @param {Promise<void>} promise
   */
  async waitFor(promise) {
    const begun = now()
    await resolvesWithin(promise, this.#left)
    this.#left -= now() - begun
  }
}

module.exports = { Patience }
