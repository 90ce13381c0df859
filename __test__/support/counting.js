// @ts-check
// A child process that counts on a circuit breaker, and reports the results to its parent.
'use strict'

const { Pool } = require('pg')
const { PostgresAdapter } = require('goscope-postgres')

const [url, key, rounds] = process.argv.slice(2)

async function count() {
  const adapter = new PostgresAdapter(new Pool({ connectionString: url, max: 2 }))
  const counts = []
  for (let round = 0; round < Number(rounds); round++) counts.push(await adapter.recordFailure(key, 1e6))
  await adapter.disconnect()
  process.send?.(counts, () => process.disconnect())
}

count().catch((error) => {
  console.error(error)
  process.exit(1)
})
