// @ts-check
// Both caches, for tests that hold for either.
'use strict'

const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')

/**
 * @typedef {object} Cache
 * @property {string} title
 * @property {boolean} own whether it has a table of its own
 * @property {string} table
 * @property {(key: string) => string} stored the key as it is stored
 * @property {() => Promise<PostgresAdapter | PostgresCacheAdapter>} make
 */

/** The same as that of `cacheOf` in cache-tasks.js. */
const PREFIX = 'p_%:'

/**
 * @param {ReturnType<typeof import('./database.js').useDatabase>} database
 * @returns {Cache[]}
 */
function cachesOn(database) {
  const pool = database.then((db) => db.pool())
  return [
    {
      title: 'PostgresAdapter',
      own: false,
      table: 'go_goscope_cache',
      stored: (key) => `${PREFIX}cache:${key}`,
      make: async () => new PostgresAdapter(await pool, { keyPrefix: PREFIX }),
    },
    {
      title: 'PostgresCacheAdapter',
      own: true,
      table: 'cache',
      stored: (key) => `${PREFIX}${key}`,
      make: async () => new PostgresCacheAdapter(await pool, { keyPrefix: PREFIX }),
    },
  ]
}

/** Longer than any index row holds, so that it is stored as a digest, with its value beside it. */
const LONG = 'k'.repeat(5_000)

module.exports = { LONG, cachesOn }
