// @ts-check
// The pg-based adapter, as documented.
'use strict'

const { Pool } = require('pg')
const { PostgresAdapter } = require('../../reference/index.js')
const { calls } = require('./adapter.js')

/** @param {string} url */
async function open(url) {
  const adapter = new PostgresAdapter(new Pool({ connectionString: url, max: 10 }))
  await adapter.connect()
  return { calls: calls(adapter), close: () => adapter.disconnect() }
}

const versions = () => ({ pg: require('pg/package.json').version })

module.exports = { open, versions }
