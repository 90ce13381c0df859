// @ts-check
'use strict'

const { after, now } = require('../clock.js')

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
    await new Promise((resolve) => {
      const cancel = after(Math.max(this.#left, 0), () => resolve(undefined))
      promise.then(() => {
        cancel()
        resolve(undefined)
      })
    })
    this.#left -= now() - begun
  }
}

module.exports = { Patience }
