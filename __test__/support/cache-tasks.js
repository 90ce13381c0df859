// @ts-check
// What the tests' processes do with caches and idempotent runs. tasks.js has the other tasks.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { Pool } = require('pg')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')

/** @typedef {import('./tasks.js').Input} Input */

/** The cache to use: that of PostgresAdapter, or one in a table of its own. */
const cacheOf = (/** @type {{ url: string, own: boolean }} */ { url, own }) =>
  new (own ? PostgresCacheAdapter : PostgresAdapter)(new Pool({ connectionString: url, max: 3 }), { keyPrefix: 'p_%:' })

/** Adds 1 many times at once. Returns the sums that it received. */
async function increment(/** @type {Input & { own: boolean, key: string, each: number }} */ { key, each, ...input }) {
  const cache = cacheOf(input)
  return await Promise.all(Array.from({ length: each }, () => cache.increment(key)))
}

/** As `increment`. Returns the entries. */
async function incrementEntry(/** @type {Input & { own: boolean, key: string, each: number }} */ input) {
  const cache = cacheOf(input)
  return await Promise.all(Array.from({ length: input.each }, () => cache.incrementEntry(input.key, 1, 600_000)))
}

/** Adds 1 to each of some keys so many times, by reading and comparing. */
async function addByComparing(/** @type {Input & { own: boolean, keys: string[], each: number }} */ input) {
  const cache = cacheOf(input)
  const add = async (/** @type {string} */ key) => {
    for (let done = 0; done < input.each; ) {
      const before = await cache.get(key)
      if (await cache.compareAndSet(key, before ?? undefined, (before ?? 0) + 1)) done++
    }
  }
  await Promise.all(input.keys.map(add))
}

/** Stores where nothing is stored, in rounds. Returns the rounds in which it was the first. */
async function setIfAbsent(/** @type {Input & { own: boolean, rounds: number }} */ input) {
  const cache = cacheOf(input)
  const rounds = Array.from({ length: input.rounds }, (_, round) => round)
  const tries = rounds.flatMap((round) =>
    Array.from({ length: 3 }, async () =>
      (await cache.compareAndSet(`absent${round}`, undefined, input.index, 600_000)) ? [round] : [],
    ),
  )
  return (await Promise.all(tries)).flat()
}

/** Takes or deletes each key. Returns the keys for which the answer was that an entry was there. */
async function removeAll(/** @type {Input & { own: boolean, keys: string[], by: 'take' | 'deleteMany' }} */ input) {
  const { keys, by, index } = input
  const cache = cacheOf(input)
  // Each process in another order.
  const order = keys.map((_, n) => /** @type {string} */ (keys[(n * (2 * index + 1)) % keys.length]))
  if (by === 'take') {
    const values = await Promise.all(order.map((key) => cache.take(key)))
    return values.filter((value) => value !== null)
  }
  const removed = await cache.deleteMany(order)
  return order.filter((_, n) => removed[n])
}

/**
 * Records that work was begun, in a table that no lock and no cache of ours protects, and works for some time. Works
 * for ever if it is to be killed.
 *
 * @param {Pool} pool
 * @param {Input & { ms: number, hangs?: boolean, fails?: boolean }} input
 * @param {string} key
 */
async function witnessed(pool, { index, note, ms, hangs, fails }, key) {
  const { rows } = await pool.query('INSERT INTO witness (key, by) VALUES ($1, $2) RETURNING id', [key, index])
  note({ began: rows[0].id })
  if (hangs) await new Promise(() => setInterval(() => {}, 1_000))
  await sleep(ms)
  if (fails) throw new Error(`the work of ${index} failed`)
  return { by: index, id: rows[0].id }
}

/** The answer, or the message of the error. */
const outcome = (/** @type {Promise<unknown>} */ promise) => promise.catch((error) => `failed: ${error.message}`)

/**
 * Requests some entries several times at once, and computes those that are missing. `old`: repeats until no entry has
 * this value any more.
 *
 * @param {Input & { own: boolean, keys: string[], each: number, options: any, ms: number, old?: unknown }} input
 */
async function getOrSet(input) {
  const pool = new Pool({ connectionString: input.url, max: 2, allowExitOnIdle: true })
  const cache = cacheOf(input)
  const ask = (/** @type {string} */ key) =>
    outcome(cache.getOrSet(key, () => witnessed(pool, input, key), input.options))
  const results = await Promise.all(input.keys.flatMap((key) => Array.from({ length: input.each }, () => ask(key))))
  while (input.old !== undefined && (await cache.getMany(input.keys)).includes(input.old)) await sleep(20)
  return results
}

/** Runs some work several times at once. */
async function runOnce(/** @type {Input & { keys: string[], each: number, options: any, ms: number }} */ input) {
  const pool = new Pool({ connectionString: input.url, max: 2, allowExitOnIdle: true })
  const results = new PostgresIdempotencyAdapter(new Pool({ connectionString: input.url, max: 3 }))
  const ask = (/** @type {string} */ key) => outcome(results.run(key, () => witnessed(pool, input, key), input.options))
  return await Promise.all(input.keys.flatMap((key) => Array.from({ length: input.each }, () => ask(key))))
}

/**
 * Computes an entry from a row of the database repeatedly, each time after a moment, until the test says that it is
 * done.
 *
 * @param {Input & { own: boolean, key: string, options: any }} input
 */
async function readThrough(input) {
  const pool = new Pool({ connectionString: input.url, max: 2, allowExitOnIdle: true })
  const cache = cacheOf(input)
  let computed = 0
  const compute = async () => {
    const { rows } = await pool.query('SELECT n FROM source')
    computed++
    await sleep(Math.random() * 20)
    return rows[0].n
  }
  for (;;) {
    await cache.getOrSet(input.key, compute, input.options)
    const { rows } = await pool.query('SELECT is_done FROM source')
    if (rows[0].is_done) return computed
    await sleep(Math.random() * 4)
  }
}

module.exports = { addByComparing, getOrSet, readThrough, increment, incrementEntry, removeAll, runOnce, setIfAbsent }
