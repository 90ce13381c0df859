// @ts-check
// A limiter of rate-limiter-flexible: what its own class for stores leaves open.
'use strict'

const { wallClock } = require('../clock.js')
const { optionsOf } = require('../options.js')
const { cacheOf } = require('./cache-of.js')

const TABLE = 'go_goscope_rate_limits'

/**
 * What a call has done: the points of a key, and when its window ends; absent: never.
 *
 * @typedef {{ value: number, expiresAt?: number, msLeft?: number }} Window
 */

/**
 * @param {new (options: any) => any} RateLimiterStoreAbstract
 * @param {new () => any} RateLimiterRes
 */
function rateLimiterOn(RateLimiterStoreAbstract, RateLimiterRes) {
  return class PostgresRateLimiter extends RateLimiterStoreAbstract {
    #cache
    #close

    /** @param {unknown} options those of the base class, too */
    constructor(options) {
      const given = optionsOf(options, 'PostgresRateLimiter')
      super(given)
      const { cache, close } = cacheOf(given.storeClient, given, TABLE)
      this.#cache = cache
      this.#close = close
      this.client = cache
    }

    /**
     * Points are added, and the window that the first of them begins keeps its end. Calls on one key that wait for each other
     * share a statement. With `force`, points and end are replaced.
     *
     * @param {string} key
     * @param {number | string} given points
     * @param {number} ms 0: without end
     * @param {boolean} [force]
     * @returns {Promise<Window>}
     */
    async _upsert(key, given, ms, force = false) {
      const points = Number(given)
      if (!force) return await this.#cache.incrementEntry(key, points, ms)
      await this.#cache.set(key, points, ms)
      return { value: points, ...(ms > 0 && { msLeft: ms }) }
    }

    /** @param {string} key @returns {Promise<Window | null>} */
    async _get(key) {
      return await this.#cache.getEntry(key)
    }

    /** @param {string} key @returns {Promise<boolean>} whether there was one */
    async _delete(key) {
      const [isDeleted = false] = await this.#cache.deleteMany([key])
      return isDeleted
    }

    /**
     * @param {string} _key
     * @param {number | string} changedPoints
     * @param {Window} window
     */
    _getRateLimiterRes(_key, changedPoints, { value, expiresAt, msLeft }) {
      const result = new RateLimiterRes()
      result.isFirstInDuration = value === Number(changedPoints)
      result.consumedPoints = value
      result.remainingPoints = Math.max(this.points - value, 0)
      result.msBeforeNext = msLeft ?? (expiresAt === undefined ? -1 : Math.max(Math.ceil(expiresAt - wallClock()), 0))
      return result
    }

    /** Ends what the limiter has opened, and nothing that was given. */
    async close() {
      await this.#close()
    }
  }
}

module.exports = { rateLimiterOn }
