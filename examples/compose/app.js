// @ts-check
// An application that runs in several processes. Each report is made by one of them, and the others have its result. The count
// is read and written under a lock, so that no visit is lost.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { PostgresAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')

const name = process.env.HOSTNAME ?? `process ${process.pid}`
const rounds = Number(process.env.ROUNDS ?? 5)

async function main() {
  const adapter = new PostgresAdapter(process.env.DATABASE_URL, { keyPrefix: 'compose:' })
  const results = new PostgresIdempotencyAdapter(process.env.DATABASE_URL, { keyPrefix: 'compose:' })
  for (let round = 1; round <= rounds; round++) {
    const make = async () => {
      console.log(`${name} makes report ${round}`)
      await sleep(200) // the work
      return { by: name }
    }
    const report = await results.run(`report:${round}`, make, { ttl: 60 * 60 * 1000 })
    console.log(`${name} has report ${round} by ${report.by}`)

    const lease = await adapter.lock('visits', { ttl: 10_000, wait: 60_000 })
    try {
      const visits = Number((await adapter.get('visits')) ?? 0) + 1
      await sleep(20)
      await adapter.set('visits', visits)
      console.log(`${name} is visit ${visits}`)
    } finally {
      await lease.release()
    }
  }
  await Promise.all([adapter.close(), results.close()])
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
