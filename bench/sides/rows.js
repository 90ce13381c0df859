// @ts-check
// Ours once more, with the table of idempotent results, for the measurement with more and more rows.
'use strict'

const { Pool } = require('pg')
const { PostgresAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { CHECKPOINTS_PER_TASK, TTL, VALUE, checkpointOf, keyName } = require('../operations.js')
const { calls } = require('./adapter.js')
const { versions } = require('./ours.js')

/** @param {string} url */
async function open(url) {
  const pool = new Pool({ connectionString: url, max: 10 })
  const adapter = new PostgresAdapter(pool)
  const results = new PostgresIdempotencyAdapter(pool)
  await Promise.all([adapter.connect(), results.connect()])
  return {
    calls: {
      ...calls(adapter),
      // One that each task has, however few there are.
      save: (/** @type {number} */ key) => adapter.save(checkpointOf(key, CHECKPOINTS_PER_TASK - 1)),
      recall: (/** @type {number} */ key) => results.get(keyName(key)),
      remember: (/** @type {number} */ key) => results.set(keyName(key), VALUE, TTL),
    },
    close: () => adapter.disconnect(),
  }
}

module.exports = { open, versions }
