// @ts-check
// A process that has every key's result by run(), until all are there, or until it is killed. It reports to its parent
// what its work did and what run() returned.
'use strict'

const { randomUUID } = require('node:crypto')
const { setTimeout: sleep } = require('node:timers/promises')
const { Pool } = require('pg')
const { PostgresIdempotencyAdapter } = require('goscope-postgres')

/** @typedef {{ url: string, keys: string[], isAtomic: boolean, claimTtl: number, options: import('pg').PoolConfig }} Order */

/** @type {Order} */
const { url, keys, isAtomic, claimTtl, options } = JSON.parse(/** @type {string} */ (process.argv[2]))

const AT_ONCE = 5
/** How long work takes: most is short, so that it ends at any moment of a fault. */
const LONGEST_WORK_MS = 120
const ACCOUNTS = 40

const pool = new Pool({ connectionString: url, max: AT_ONCE, ...options })
pool.on('error', () => {})
const results = new PostgresIdempotencyAdapter(pool)

/** @type {Set<string>} */
const underWay = new Set()
let isEnding = false
const tell = (/** @type {object} */ event) => process.send?.(event)

/**
 * The effect has no unique constraint: nothing but run() keeps a second one away.
 *
 * @param {import('pg').PoolClient} client
 * @param {string} key
 * @param {string} value
 */
async function takeEffect(client, key, value) {
  await sleep((Math.random() * LONGEST_WORK_MS) / 2)
  await client.query('INSERT INTO effects (key, value) VALUES ($1, $2)', [key, value])
  await sleep((Math.random() * LONGEST_WORK_MS) / 2)
  const account = Number(/\d+$/.exec(key)) % ACCOUNTS
  await client.query('UPDATE accounts SET total = total + 1 WHERE id = $1', [account])
}

/**
 * As an application without the option `transaction` would do it: the effect is committed, and then its result is stored.
 *
 * @param {string} key
 * @param {string} value
 */
async function takeEffectAlone(key, value) {
  const client = await pool.connect()
  client.on('error', () => {})
  /** @type {any} */
  let broken
  try {
    await client.query('BEGIN')
    await takeEffect(client, key, value)
    await client.query('COMMIT')
  } catch (error) {
    broken = error
    throw error
  } finally {
    client.release(broken)
  }
  // Time for a fault between the effect and its result.
  await sleep((Math.random() * LONGEST_WORK_MS) / 4)
}

/** @param {string} key */
async function runOnce(key) {
  const work = async (/** @type {any} */ { client }) => {
    const value = randomUUID()
    tell({ began: key })
    if (isAtomic) await takeEffect(client, key, value)
    else await takeEffectAlone(key, value)
    return { key, value }
  }
  const given = /** @type {any} */ ({ claimTtl, ...(isAtomic && { transaction: pool }) })
  tell({ key, result: await results.run(key, work, given) })
}

/** @param {string[]} waiting keys without a result, from whose end it takes */
async function runAll(waiting) {
  for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) {
    underWay.add(key)
    try {
      await runOnce(key)
    } catch (error) {
      const { code, message } = /** @type {any} */ (error)
      tell({ key, failed: code ?? message })
      // Again, and not at once.
      waiting.unshift(key)
      await sleep(10)
    } finally {
      underWay.delete(key)
    }
  }
}

const orphaned = () => process.exit(1)
process.on('disconnect', orphaned)
process.on('message', () => tell({ stage: isEnding ? 'it disconnects' : `it runs ${[...underWay].join(', ')}` }))

async function main() {
  // All begin with the same keys, so that they meet, and each leaves that order by chance.
  const waiting = [...keys].reverse()
  await Promise.all(Array.from({ length: AT_ONCE }, () => runAll(waiting)))
  const { totalCount, idleCount, waitingCount } = pool
  isEnding = true
  tell({ isDone: true, leaked: totalCount - idleCount, waiting: waitingCount })
  // A client of pg waits without limit for the server's end of a connection that a fault has silenced.
  setTimeout(() => process.exit(0), 5_000).unref()
  await results.disconnect()
  process.off('disconnect', orphaned)
  process.disconnect()
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
