// @ts-check
'use strict'

const { Pool } = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { calls, ownCalls } = require('./adapter.js')

/** @param {string} url */
async function open(url) {
  const adapter = new PostgresAdapter(new Pool({ connectionString: url, max: 10 }))
  await adapter.connect()
  return { calls: { ...calls(adapter), ...ownCalls(adapter) }, close: () => adapter.disconnect() }
}

const versions = () => ({ 'goscope-postgres': require('goscope-postgres/package.json').version })

module.exports = { open, versions }
