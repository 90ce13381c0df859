// @ts-check
// A process that uses a few locks until it receives the order to stop, or is killed. It logs each call and each return
// with a clock that all processes share.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { Pool } = require('pg')
const { callLog } = require('./call-log.js')

/** @typedef {{ name: string, url: string, log: string, keys: string[], hook: boolean, naive: boolean, options: import('pg').PoolConfig }} Order */

/** @type {Order} */
const { name, url, log, keys, hook, naive, options } = JSON.parse(/** @type {string} */ (process.argv[2]))
const { PostgresAdapter } = naive ? require('../../reference/index.js') : require('goscope-postgres')

const SHORTEST_TTL_MS = 50
const LONGEST_TTL_MS = 700
const PAUSE_MS = 50

/** So that a lock which is released has a next holder in the same process, but not always. */
const WAITERS = 3
const LONGEST_WAIT_MS = 400

const logged = callLog(log)

const pool = new Pool({ connectionString: url, max: 2, ...options })
pool.on('error', () => {})
if (hook) pool.on('connect', (client) => client.query(`SET application_name = 'hooked'`).catch(() => {}))
const locks = new PostgresAdapter(pool)
let stopping = false
let leases = 0

/**
 * @param {import('goscope-postgres').LockHandle} handle
 * @param {string} key
 * @param {string | undefined} given
 * @param {number} ttl
 * @param {(op: string, length: number) => any} about
 */
async function hold(handle, key, given, ttl, about) {
  for (let use = Math.floor(Math.random() * 4); use > 0; use--) {
    // Sometimes longer than the lease.
    await sleep(Math.random() * ttl * (Math.random() < 0.2 ? 1.3 : 0.5))
    if (Math.random() < 0.3) {
      await logged(about('isValid', ttl), () => handle.isValid(), Boolean)
      continue
    }
    const next = Math.ceil(SHORTEST_TTL_MS + Math.random() * (LONGEST_TTL_MS - SHORTEST_TTL_MS))
    const extend = () => (given ? locks.extend(key, next, given) : handle.extend(next))
    if (!(await logged(about('extend', next), extend, Boolean))) return
    ttl = next
  }
  // The remaining leases expire.
  if (Math.random() < 0.7)
    await logged(
      about('release', ttl),
      () => handle.release(),
      () => true,
    )
}

/**
 * @param {string} key
 * @param {number} ttl
 * @param {string | undefined} owner
 * @returns {Promise<import('goscope-postgres').LockHandle | null>}
 */
const acquire = (key, ttl, owner) => locks.acquire(key, ttl, owner)

/** @type {typeof acquire} */
const waitFor = (key, ttl, owner) => {
  const options = { ttl, owner, renew: false, wait: Math.random() * LONGEST_WAIT_MS }
  return /** @type {import('goscope-postgres').PostgresAdapter} */ (locks).lock(key, options)
}

/**
 * @param {string} key
 * @param {typeof acquire} take
 */
async function use(key, take) {
  while (!stopping) {
    const ttl = Math.ceil(SHORTEST_TTL_MS + Math.random() * (LONGEST_TTL_MS - SHORTEST_TTL_MS))
    const owner = `${name}:${leases++}`
    // The name under which the server holds it, or one that the adapter generates.
    const given = Math.random() < 0.5 ? owner : undefined
    const about = (/** @type {string} */ op, /** @type {number} */ length) => ({ op, key, owner, ttl: length })
    const handle = await logged(about('acquire', ttl), () => take(key, ttl, given), Boolean)
    if (handle) await hold(/** @type {any} */ (handle), key, given, ttl, about)
    await sleep(Math.random() * PAUSE_MS)
  }
}

const orphaned = () => process.exit(1)
process.on('disconnect', orphaned)
process.on('message', () => {
  stopping = true
})

async function main() {
  await locks.connect().catch(() => {})
  process.send?.({ ready: true })
  const waited = naive ? [] : keys.filter((key) => key.startsWith('waited'))
  await Promise.all([
    ...keys.filter((key) => !waited.includes(key)).map((key) => use(key, acquire)),
    ...waited.flatMap((key) => Array.from({ length: WAITERS }, () => use(key, waitFor))),
  ])
  await locks.disconnect()
  process.off('disconnect', orphaned)
  process.disconnect()
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
