// @ts-check
// @configurations first
// Row-level security that hides rows from UPDATE, or from reads: waits poll with pauses, and they end.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { after, test } = require('node:test')
const { PostgresAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { administer, useDatabase } = require('../support/database.js')
const { inTime, until } = require('../support/waiting.js')
const { grants, urlAs } = require('../support/route.js')

const [locks, results, hidden] = Array.from({ length: 3 }, () => useDatabase())

const role = `goscope_test_${crypto.randomBytes(6).toString('hex')}`
const made = administer(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
after(() => administer(`DROP ROLE IF EXISTS ${role}`))

/** How long a wait is observed, and its limit of transactions: 4 polls a second of 3 statements, and a margin. */
const WATCHED_MS = 3_000
const MOST = 4 * 3 * 3 * 4

/** @typedef {Awaited<typeof locks>} Database */

/**
 * Tables of the administrator, whose policies hide every row from the UPDATE with which a waiter marks it.
 *
 * @param {Database} db
 * @param {string} [seen] when SELECT sees a row
 */
async function hideUpdates(db, seen = 'true') {
  await made
  const pool = db.pool({ connectionString: db.ownUrl })
  await new PostgresAdapter(pool).connect()
  await new PostgresIdempotencyAdapter(pool).connect()
  await pool.end()
  await db.query(grants(role))
  for (const table of ['go_goscope_locks', 'go_goscope_idempotency', 'go_goscope_cache']) {
    await db.query(`ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`)
    await db.query(`CREATE POLICY reads ON ${table} FOR SELECT USING (${seen})`)
    await db.query(`CREATE POLICY makes ON ${table} FOR INSERT WITH CHECK (true)`)
    await db.query(`CREATE POLICY removes ON ${table} FOR DELETE USING (true)`)
    await db.query(`CREATE POLICY changes ON ${table} FOR UPDATE USING (current_query() NOT LIKE '%SET has_waiters%')`)
  }
}

/** @param {Database} db */
async function transactions(db) {
  // A session reports its counts after a while. What it has not reported yet is reported in the next second.
  const [{ n }] = await db.query(`SELECT (xact_commit + xact_rollback)::int AS n FROM pg_stat_database
    WHERE datname = current_database()`)
  return n
}

/** @param {Database} db */
async function perWatch(db) {
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  const before = await transactions(db)
  await new Promise((resolve) => setTimeout(resolve, WATCHED_MS))
  return (await transactions(db)) - before
}

test('lock() polls with pauses, and acquires the lock when it is released', async (t) => {
  const db = await locks
  await hideUpdates(db)
  const pool = db.pool({ connectionString: urlAs(db.ownUrl, role) })
  const [holder, waiter] = [
    new PostgresAdapter(pool),
    new PostgresAdapter(db.pool({ connectionString: urlAs(db.ownUrl, role) })),
  ]
  const held = await holder.lock('k', { ttl: 600_000, renew: false })
  const waiting = waiter.lock('k', { ttl: 600_000, renew: false })
  const count = await perWatch(db)
  t.diagnostic(`figure: ${count} transactions in ${WATCHED_MS} ms of waiting for a lock that cannot be marked`)
  assert.ok(count <= MOST, `${count} transactions`)
  await held.release()
  await (await inTime('the lock', waiting)).release()
})

test('lock() ends at its wait limit, and by its signal', async () => {
  const db = await locks
  const pool = db.pool({ connectionString: urlAs(db.ownUrl, role) })
  const adapter = new PostgresAdapter(pool)
  await adapter.lock('ends', { ttl: 600_000, renew: false })
  await assert.rejects(adapter.lock('ends', { ttl: 1_000, wait: 300 }), { code: 'ERR_LOCK_WAIT_TIMEOUT' })
  const signal = AbortSignal.timeout(300)
  await assert.rejects(adapter.lock('ends', { ttl: 1_000, signal }), { name: 'TimeoutError' })
})

test('run() waits for another process with pauses, and returns its result', async (t) => {
  const db = await results
  await hideUpdates(db)
  const runs = () => new PostgresIdempotencyAdapter(db.pool({ connectionString: urlAs(db.ownUrl, role) }))
  /** @type {(result: string) => void} */
  let finish = () => {}
  let times = 0
  const work = () => {
    times++
    return new Promise((resolve) => {
      finish = resolve
    })
  }
  const first = runs().run('k', work, { claimTtl: 600_000 })
  await until('it works', async () => times === 1)
  const second = runs().run('k', () => times++)
  const count = await perWatch(db)
  t.diagnostic(`figure: ${count} transactions in ${WATCHED_MS} ms of waiting for a run of another process`)
  assert.ok(count <= MOST, `${count} transactions`)
  finish('result')
  assert.deepEqual(await Promise.all([first, inTime('the result', second)]), ['result', 'result'])
  assert.equal(times, 1)
})

test('rows visible to an INSERT statement but not to a read: waits pause, and getOrSet ends', async (t) => {
  const db = await hidden
  await hideUpdates(db, "current_query() LIKE '%INSERT%'")
  const url = urlAs(db.ownUrl, role)
  const adapter = () => new PostgresAdapter(db.pool({ connectionString: url }))
  const runs = () => new PostgresIdempotencyAdapter(db.pool({ connectionString: url }))

  await db.query(`INSERT INTO go_goscope_cache (key, value) VALUES ('cache:k', '1')`)
  await assert.rejects(
    adapter().getOrSet('k', () => 2),
    { code: 'ERR_CACHE_ENTRY_HIDDEN' },
  )

  const held = await adapter().lock('k', { ttl: 600_000, renew: false })
  const waiting = adapter().lock('k', { ttl: 600_000, renew: false })
  const ofLock = await perWatch(db)
  await held.release()
  await db.query('DELETE FROM go_goscope_locks')
  await inTime('the lock', waiting)

  let times = 0
  /** @type {(result: string) => void} */
  let finish = () => {}
  const work = () => {
    times++
    return new Promise((resolve) => {
      finish = resolve
    })
  }
  const first = runs().run('k', work, { claimTtl: 600_000 })
  first.catch(() => {})
  await until('it works', async () => times === 1)
  const second = runs().run('k', () => times++)
  second.catch(() => {})
  const ofRun = await perWatch(db)
  t.diagnostic(`figure: ${ofLock} and ${ofRun} transactions in ${WATCHED_MS} ms of waiting for what reads do not find`)
  assert.ok(ofLock <= MOST && ofRun <= MOST, `${ofLock} and ${ofRun} transactions`)
  assert.equal(times, 1)
  await db.query('DELETE FROM go_goscope_locks')
  await inTime('the claim', second)
  finish('late')
  await Promise.allSettled([first])
})
