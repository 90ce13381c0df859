// @ts-check
// Ours, with a cache whose writes do not wait for the disk. Only these differ.
'use strict'

const { Pool } = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { calls, ownCalls } = require('./adapter.js')

/** @param {string} url */
async function open(url) {
  const pool = new Pool({ connectionString: url, max: 10 })
  const adapter = new PostgresAdapter(pool, { cacheDurability: 'async' })
  await adapter.connect()
  const { set, delete: remove } = calls(adapter)
  return { calls: { set, delete: remove, ...ownCalls(adapter) }, close: () => adapter.disconnect() }
}

module.exports = { open, versions: () => ({}) }
