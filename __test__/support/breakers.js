// @ts-check
// What the tests of guarded calls share: work that succeeds, work that fails, and adapters that are closed after each test.
'use strict'

const { afterEach } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')

/** A time that does not pass during a test. */
const LONG = 600_000
const DOWN = new Error('503 Service Unavailable')

const fails = async () => {
  throw DOWN
}
const works = async () => 'done'

/**
 * For the test file that calls this while it loads.
 *
 * @param {ReturnType<typeof import('./database.js').useDatabase>} database
 */
function useAdapters(database) {
  /** @type {PostgresAdapter[]} */
  const adapters = []
  // Their subscriptions would ask for a database that has been dropped, and PgBouncer would let them wait for it.
  afterEach(() => Promise.all(adapters.splice(0).map((each) => each.close())))
  return async () => {
    const made = new PostgresAdapter((await database).pool())
    adapters.push(made)
    return made
  }
}

module.exports = { DOWN, LONG, fails, useAdapters, works }
