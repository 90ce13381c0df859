// @ts-check
// @configurations first
// A renewal belongs to one lease. It never shortens or prolongs another lease of the same owner, in whatever order the
// process releases, acquires and renews.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { runScript } = require('../support/script.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()

/** The holders that run side by side, and how often each of them releases and acquires. */
const HOLDERS = 100
const ROUNDS = 20

/** The renewal comes a third of this after the grant. It is long enough that no lease expires before its release. */
const SHORT_TTL = 1_200
const LONG_TTL = 600_000

test('a renewal in flight does not shorten the lease that the same owner acquires after release()', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool({ max: 4 }))
  const other = new PostgresAdapter(db.pool({ max: 4 }))
  await adapter.connect()
  let takenByOthers = 0
  let shortened = 0
  const hold = async (/** @type {number} */ holder) => {
    for (let round = 0; round < ROUNDS; round++) {
      const key = `holder ${holder} round ${round}`
      const lease = await adapter.lock(key, { ttl: SHORT_TTL, owner: 'me' })
      // Around the moment of the first renewal.
      await sleep(SHORT_TTL / 3 - 6 + (round % 12))
      const released = lease.release()
      const next = await adapter.acquire(key, LONG_TTL, 'me')
      await released
      assert.ok(next)
      // The effect of the renewal, a round trip later.
      await adapter.holder(key)
      const left = await leftOf(db, key)
      if (left < LONG_TTL / 2) {
        shortened++
        await sleep(SHORT_TTL)
        if ((await other.acquire(key, 1_000, 'another')) !== null) takenByOthers++
      }
      await next.release()
    }
  }
  await Promise.all(Array.from({ length: HOLDERS }, (_, holder) => hold(holder)))
  console.log(`  ${shortened} of ${HOLDERS * ROUNDS} leases were shortened, ${takenByOthers} taken by another process`)
  assert.equal(shortened, 0)
})

/**
 * How many milliseconds are left of a lease, by the server's clock.
 *
 * @param {Awaited<typeof database>} db
 * @param {string} key
 */
async function leftOf(db, key) {
  const [row] = await db.query(
    `SELECT extract(epoch FROM expires_at - timezone('UTC', clock_timestamp()))::float8 * 1000 AS ms
       FROM go_goscope_locks WHERE key = $1`,
    [`lock:${key}`],
  )
  return row?.ms ?? 0
}

test('a renewal in another process does not change the lease that the same owner acquired since', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool())
  const lease = await adapter.lock('two processes', { ttl: 3_000, owner: 'me' })
  const [{ isHeld }] = await runScript(
    db.url,
    `const lease = await adapter.acquire('two processes', ${LONG_TTL}, 'me')
     say({ isHeld: await lease.isValid() })
     await adapter.disconnect()`,
  )
  assert.equal(isHeld, true)
  // The renewal finds a lease that is not its own, so the first lease ends.
  await until('the first lease is lost', () => lease.signal.aborted)
  assert.equal(/** @type {any} */ (lease.signal.reason).code, 'ERR_LEASE_LOST')
  assert.ok((await leftOf(db, 'two processes')) > LONG_TTL / 2)
  // The contract with an owner still holds: extend() moves the end of any lease that this owner holds.
  assert.equal(await adapter.extend('two processes', LONG_TTL * 2, 'me'), true)
  assert.ok((await leftOf(db, 'two processes')) > LONG_TTL)
})

test('a lease that its owner acquires again, or locks again, is renewed for the newer holder only', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool())
  const first = await adapter.lock('twice', { ttl: 3_000, owner: 'me' })
  const second = await adapter.lock('twice', { ttl: 3_000, owner: 'me' })
  await until('the first lease is lost', () => first.signal.aborted)
  // Longer than a lease without renewal would last.
  await sleep(4_000)
  assert.equal(second.signal.aborted, false)
  assert.equal(await second.isValid(), true)
  await second.release()
})

test('without the column for tokens, a lease is renewed as before', async () => {
  const db = await database
  await db.query('CREATE SCHEMA documented')
  await db.query(
    `CREATE TABLE documented.go_goscope_locks
       (key TEXT PRIMARY KEY, owner TEXT NOT NULL, expires_at TIMESTAMP NOT NULL)`,
  )
  const pool = db.pool({ options: '-c search_path=documented' })
  const adapter = new PostgresAdapter(pool, { createTables: false })
  const lease = await adapter.lock('plain', { ttl: 3_000, owner: 'me' })
  await sleep(4_000)
  assert.equal(lease.signal.aborted, false)
  assert.equal(await lease.isValid(), true)
  await lease.release()
})
