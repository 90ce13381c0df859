// A store for @fastify/rate-limit. All instances count in one place.

/** @param {import('goscope-postgres').PostgresAdapter} adapter */
export const storeOn = (adapter) =>
  class Store {
    #prefix

    constructor({ prefix = 'requests:', continueExceeding, exponentialBackoff }) {
      if (continueExceeding || exponentialBackoff) throw new Error('A window has a fixed length here')
      this.#prefix = prefix
    }

    // The first request of a window makes the entry, which ends with the window. The server's clock counts it.
    incr(key, callback, timeWindow) {
      adapter.incrementEntry(this.#prefix + key, 1, timeWindow).then(
        ({ value, expiresAt }) => callback(null, { current: value, ttl: Math.max(expiresAt - Date.now(), 0) }),
        (error) => callback(error, null),
      )
    }

    child({ routeInfo }) {
      return new Store({ prefix: `${this.#prefix}${routeInfo.method}${routeInfo.url}:` })
    }
  }
