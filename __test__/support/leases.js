// @ts-check
// When a TTL begins and ends, by the server's clock alone. Each moment is bounded by an earlier and a later one.
'use strict'

const assert = require('node:assert/strict')
const { until } = require('./waiting.js')

/** @typedef {Awaited<ReturnType<typeof import('./database.js').useDatabase>>} Database */
/** @typedef {Awaited<ReturnType<Database['hold']>>} Transaction */

/**
 * Several times the pause after which the statements write an expiry anew, and longer than the wait of a statement that
 * shares its connection. This one runs alone.
 */
const WAIT_MS = 350

/**
 * Checks that a row's TTL began at `since` or later, and has begun by now.
 *
 * @param {Database} db
 * @param {string} table
 * @param {string} key as it is stored
 * @param {{ ttl: number, since: number, tolerance?: number }} lease
 */
async function assertLease(db, table, key, { ttl, since, tolerance = 0 }) {
  const end = await endOf(db, table, key)
  const now = await db.clock()
  assert.ok(end >= since + ttl - tolerance, `a TTL of ${ttl} ms ends ${end - since} ms after it could begin`)
  assert.ok(end <= now + ttl, `a TTL of ${ttl} ms has ${end - now} ms left`)
}

/**
 * Makes a call that has to wait for a transaction, and then ends the transaction.
 *
 * @template T
 * @param {Database} db
 * @param {Transaction} holder
 * @param {'commit' | 'rollback'} how
 * @param {() => Promise<T>} call
 * @returns {Promise<{ since: number, result: T }>} `since`: a moment when the call was certainly still waiting
 */
async function afterWait(db, holder, how, call) {
  const pending = call()
  pending.catch(() => {})
  await until('the statement itself waits', async () => (await db.longestWait()) >= WAIT_MS)
  // Taken before the end is requested: however long the answer takes, the wait ended later.
  const since = await db.clock()
  await holder[how]()
  return { since, result: await pending }
}

/**
 * Makes a call that has to wait for a transaction, which only locks the row of a live entry. The entry expires during
 * the wait.
 *
 * @template T
 * @param {Database} db
 * @param {{ cache: { set(key: string, value: unknown, ttl: number): Promise<void> }, table: string, key: string, stored: string }} entry
 * @param {() => Promise<T>} call
 * @returns {Promise<T>}
 */
async function afterExpiry(db, { cache, table, key, stored }, call) {
  // On a slow machine, the entry may have expired before the call.
  for (let ttl = 500; ; ttl *= 2) {
    await cache.set(key, 'old', ttl)
    const holder = await db.hold(`SELECT FROM ${table} WHERE key = $1 FOR UPDATE`, [stored])
    let isPending = true
    const pending = call().finally(() => (isPending = false))
    await until('the call waits or is done', async () => !isPending || (await db.longestWait()) > 0)
    const hasWaited = isPending
    const end = await endOf(db, table, stored)
    await until('the entry has expired', async () => (await db.clock()) > end)
    await holder.rollback()
    if (hasWaited) return await pending
    await pending
  }
}

/**
 * Checks that something is found as long as its TTL lasts, and not after it.
 *
 * @param {Database} db
 * @param {string} table
 * @param {string} key as it is stored
 * @param {() => Promise<boolean>} isThere
 */
async function assertLastsToItsEnd(db, table, key, isThere) {
  const end = await endOf(db, table, key)
  for (;;) {
    const before = await db.clock()
    const found = await isThere()
    const after = await db.clock()
    if (!found) {
      assert.ok(after >= end, `${key} is gone ${end - after} ms before its end`)
      return
    }
    assert.ok(before < end, `${key} is still there ${before - end} ms after its end`)
  }
}

/**
 * When a row expires, in milliseconds of the server's clock.
 *
 * @param {Database} db
 * @param {string} table
 * @param {string} key as it is stored
 */
async function endOf(db, table, key) {
  // For a TIMESTAMP, extract() takes the time as UTC, as intended.
  const sql = `SELECT (extract(epoch FROM expires_at) * 1e6)::bigint AS ends FROM ${table} WHERE key = $1`
  const [row] = await db.query(sql, [key])
  assert.ok(row?.ends, `${key} has no end`)
  return Number(row.ends) / 1e3
}

/**
 * Lets waits run out until one of them has seen the holder: a wait may end before the server has answered.
 *
 * @param {() => Promise<unknown>} wait
 * @returns {Promise<string>}
 */
async function holderInRefusal(wait) {
  for (;;) {
    const refusal = await wait().then(
      () => assert.fail('it was granted'),
      (/** @type {any} */ error) => error,
    )
    assert.equal(refusal.code, 'ERR_LOCK_WAIT_TIMEOUT')
    if (refusal.holder !== null) return refusal.holder
  }
}

/**
 * Waits until a waiter has marked a lock, so that its release sends a notification.
 *
 * @param {Database} db
 * @param {string} key
 */
const untilMarked = (db, key) =>
  until('a waiter has marked the lock', async () => {
    const sql = 'SELECT has_waiters FROM go_goscope_locks WHERE key = $1'
    return (await db.query(sql, [`lock:${key}`]))[0]?.has_waiters === true
  })

module.exports = { afterExpiry, afterWait, assertLastsToItsEnd, assertLease, endOf, holderInRefusal, untilMarked }
