// @ts-check
// One cold start. Nothing is required before the clock runs.
'use strict'

const started = performance.now()
const [way, url] = process.argv.slice(2)

async function main() {
  const adapter = makeAdapter()
  await adapter.connect()
  await adapter.get('key:1')
  const result = performance.now() - started
  await adapter.disconnect()
  console.log(JSON.stringify({ result }))
}

/** @returns {any} */
function makeAdapter() {
  if (way === 'url') return new (require('goscope-postgres').PostgresAdapter)(url)
  const { Pool } = require('pg')
  const adapters = way === 'pool' ? require('goscope-postgres') : require('../../reference/index.js')
  return new adapters.PostgresAdapter(new Pool({ connectionString: url }))
}

main()
