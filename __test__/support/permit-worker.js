// @ts-check
// A process that takes permits of semaphores until it receives the order to stop, or is killed, and logs its calls.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { Pool } = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { callLog } = require('./call-log.js')

/** @typedef {{ name: string, url: string, log: string, keys: string[], permits: number, options: import('pg').PoolConfig }} Order */

/** @type {Order} */
const { name, url, log, keys, permits, options } = JSON.parse(/** @type {string} */ (process.argv[2]))

const SHORTEST_TTL_MS = 60
const LONGEST_TTL_MS = 600
const BESIDE = 3

const pool = new Pool({ connectionString: url, max: 2, ...options })
pool.on('error', () => {})
const adapter = new PostgresAdapter(pool)
const logged = callLog(log)
let stopping = false
let leases = 0

const length = () => Math.ceil(SHORTEST_TTL_MS + Math.random() * (LONGEST_TTL_MS - SHORTEST_TTL_MS))

/** @param {string} key */
async function use(key) {
  const semaphore = adapter.semaphore(key, permits)
  while (!stopping) {
    const [ttl, owner] = [length(), `${name}:${leases++}`]
    const about = (/** @type {string} */ op, /** @type {number} */ ms) => ({ op, key, owner, ttl: ms })
    const lease = await logged(
      about('acquire', ttl),
      () => semaphore.acquire({ ttl, renew: false, wait: Math.random() < 0.3 ? 0 : 300 * Math.random() }),
      Boolean,
      (error) => error.code === 'ERR_LOCK_WAIT_TIMEOUT',
    )
    if (lease) {
      // Sometimes longer than the lease.
      await sleep(Math.random() * ttl * (Math.random() < 0.2 ? 1.3 : 0.5))
      const next = length()
      if (Math.random() < 0.4) await logged(about('extend', next), () => lease.extend(next), Boolean)
      await sleep(Math.random() * 60)
      // The others expire.
      if (Math.random() < 0.7)
        await logged(
          about('release', ttl),
          () => lease.release(),
          () => true,
        )
    }
    await sleep(Math.random() * 20)
  }
}

const orphaned = () => process.exit(1)
process.on('disconnect', orphaned)
process.on('message', () => {
  stopping = true
})

async function main() {
  await adapter.connect().catch(() => {})
  process.send?.({ ready: true })
  await Promise.all(keys.flatMap((key) => Array.from({ length: BESIDE }, () => use(key))))
  await adapter.disconnect()
  process.off('disconnect', orphaned)
  process.disconnect()
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
