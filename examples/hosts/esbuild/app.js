// A program for esbuild: it counts its runs.
'use strict'

const { PostgresAdapter } = require('goscope-postgres')

async function main() {
  const adapter = new PostgresAdapter(process.env.DATABASE_URL, { keyPrefix: 'esbuild:' })
  const runs = ((await adapter.get('runs')) ?? 0) + 1
  await adapter.set('runs', runs)
  await adapter.disconnect()
  console.log(`run ${runs}`)
}

main()
