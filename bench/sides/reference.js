// @ts-check
// The pg-based adapter, as documented; the table that it forgets is made here, by ours.
'use strict'

const { Pool } = require('pg')
const ours = require('goscope-postgres')
const { PostgresAdapter } = require('../../__test__/reference/index.js')
const { calls, fill } = require('./adapter.js')

/** @param {string} url */
async function open(url) {
  const tables = new ours.PostgresAdapter(url)
  await tables.connect()
  await tables.disconnect()
  const adapter = new PostgresAdapter(new Pool({ connectionString: url, max: 10 }))
  return { calls: calls(adapter), fill: () => fill(adapter), close: () => adapter.disconnect() }
}

const versions = () => ({ pg: require('pg/package.json').version })

module.exports = { open, versions }
