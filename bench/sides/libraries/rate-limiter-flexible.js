// @ts-check
// A store of rate-limiter-flexible: this package's, and RateLimiterPostgres.
'use strict'

const { Pool } = require('pg')
const { rateLimiterOn } = require('../../../lib/integrations/rate-limiter.js')
const { fetched } = require('../../../scripts/fetched.js')
const { HOT_KEYS, KEYS, OPERATIONS, TTL, keyName } = require('../../operations.js')

const PEER = 'RateLimiterPostgres'
const VERSION = '11.4.0'
const { RateLimiterPostgres, RateLimiterRedis, RateLimiterRes } = require(fetched(`rate-limiter-flexible@${VERSION}`))
const PostgresRateLimiter = rateLimiterOn(Object.getPrototypeOf(RateLimiterRedis), RateLimiterRes)

const { get, set, increment } = /** @type {Record<string, any>} */ (OPERATIONS)
const check = (/** @type {any} */ limit) => limit.consumedPoints > 0
const operations = {
  consume: { ...set, title: 'consume', check },
  consumeHot: { ...increment, title: `consume of ${HOT_KEYS} hot keys`, check },
  get: { ...get, check },
}

const LIMIT = { points: 1e9, duration: TTL / 1000 }

/**
 * @param {any} limiter
 * @param {() => unknown} close
 */
function callsOn(limiter, close) {
  return {
    calls: {
      consume: (/** @type {number} */ key) => limiter.consume(keyName(key)),
      consumeHot: (/** @type {number} */ key) => limiter.consume(`hot:${keyName(key)}`),
      get: (/** @type {number} */ key) => limiter.get(keyName(key)),
    },
    fill: () => Promise.all(Array.from({ length: KEYS }, (_, key) => limiter.consume(keyName(key)))),
    close,
  }
}

const sides = {
  ours: {
    open: async (/** @type {string} */ url) => {
      const pool = new Pool({ connectionString: url, max: 10 })
      return callsOn(new PostgresRateLimiter({ storeClient: pool, ...LIMIT }), () => pool.end())
    },
    versions: () => ({ 'rate-limiter-flexible': VERSION }),
  },
  [PEER]: {
    open: async (/** @type {string} */ url) => {
      const pool = new Pool({ connectionString: url, max: 10 })
      const limiter = await new Promise((resolve, reject) => {
        const made = new RateLimiterPostgres(
          { storeClient: pool, storeType: 'pool', tableName: 'limits', ...LIMIT },
          (/** @type {unknown} */ error) => (error ? reject(error) : resolve(made)),
        )
      })
      return callsOn(limiter, () => pool.end())
    },
    versions: () => ({}),
  },
}

module.exports = { peer: PEER, operations, sides }
