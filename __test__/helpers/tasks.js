// @ts-check
// What the tests' processes do. Each takes its input, `index` among its like, and `note`, which sends word to the test.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { Pool } = require('pg')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')

/** @typedef {{ url: string, index: number, note: (note: unknown) => void }} Input */

/** Several contenders for the same keys, all at once: who got which. */
async function contend(/** @type {Input & { keys: string[], each: number }} */ { url, index, keys, each }) {
  const adapters = Array.from({ length: 3 }, () => new PostgresAdapter(new Pool({ connectionString: url, max: 3 })))
  await Promise.all(adapters.map((adapter) => adapter.connect()))
  /** @type {[string, string][]} */
  const won = []
  for (const key of keys) {
    const tries = Array.from({ length: each }, async (_, n) => {
      const owner = `${index}:${n}`
      const handle = await adapters[n % adapters.length].acquire(key, 600_000, owner)
      if (handle && (await handle.isValid())) won.push([key, owner])
    })
    await Promise.all(tries)
  }
  return won
}

/** Counts in a row that nothing but the lock protects. */
async function count(/** @type {Input & { rounds: number }} */ { url, rounds }) {
  const pool = new Pool({ connectionString: url, max: 2, allowExitOnIdle: true })
  const locks = new PostgresAdapter(pool)
  for (let round = 0; round < rounds; round++) {
    let handle = null
    while (!handle) {
      handle = await locks.acquire('counter', 600_000)
      if (!handle) await sleep(2)
    }
    const { rows } = await pool.query('SELECT n FROM counter')
    await pool.query('UPDATE counter SET n = $1', [rows[0].n + 1])
    await handle.release()
  }
}

/** 40 failures of one breaker at once. */
async function failing(/** @type {Input} */ { url }) {
  const circuits = new PostgresAdapter(new Pool({ connectionString: url }))
  return await Promise.all(Array.from({ length: 40 }, () => circuits.recordFailure('processes', 1000)))
}

/** Every adapter connects, on a database that may be empty. */
async function connect(/** @type {Input} */ { url }) {
  const pool = new Pool({ connectionString: url, max: 3 })
  await Promise.all([
    new PostgresAdapter(pool).connect(),
    new PostgresIdempotencyAdapter(pool).connect(),
    new PostgresCacheAdapter(pool).initialize(),
  ])
  return true
}

/** Writes, reads and locks a shared set of keys in an order of its own, in large batches. */
async function overlap(/** @type {Input & { rounds: number }} */ { url, rounds }) {
  const adapter = new PostgresAdapter(new Pool({ connectionString: url, max: 4 }))
  await adapter.connect()
  const keys = Array.from({ length: 100 }, (_, n) => `overlap${n}`)
  let calls = 0
  for (let round = 0; round < rounds; round++) {
    const shuffled = [...keys].sort(() => Math.random() - 0.5)
    const writes = await Promise.all(
      shuffled.flatMap((key) => [
        adapter.set(key, round),
        adapter.recordFailure(key, 5),
        adapter.acquire(key, 3),
        adapter.save({ id: key, taskId: key, sequence: round, timestamp: round, progress: 0, data: round }),
        adapter.get(key),
      ]),
    )
    const again = [...keys].sort(() => Math.random() - 0.5)
    const removals = await Promise.all(
      again.flatMap((key) => [
        adapter.delete(key),
        adapter.recordSuccess(key),
        adapter.forceRelease(key),
        adapter.cleanup(key, round % 2),
      ]),
    )
    if (round % 5 === 4) await adapter.clear()
    calls += writes.length + removals.length
  }
  return calls
}

/** Leaves an idle adapter behind, with or without a disconnect. Its connection would stay open for ever. */
async function idle(/** @type {Input & { disconnect: boolean }} */ { url, disconnect }) {
  const adapter = new PostgresAdapter(new Pool({ connectionString: url, idleTimeoutMillis: 0 }))
  await adapter.get('x')
  if (disconnect) await adapter.disconnect()
}

/** Takes a lock and says so, then waits to be killed. */
async function hold(/** @type {Input & { key: string, ttl: number }} */ { url, key, ttl, note }) {
  const adapter = new PostgresAdapter(new Pool({ connectionString: url }))
  note({ held: (await adapter.acquire(key, ttl)) !== null })
  await new Promise(() => setInterval(() => {}, 1000))
}

/** Half of the processes only read one set of keys, the other half only delete from another. */
async function readOrDelete(/** @type {Input & { rounds: number }} */ { url, index, rounds }) {
  const adapter = new PostgresAdapter(new Pool({ connectionString: url, max: 3 }))
  const reads = index % 2 === 0
  for (let round = 0; round < rounds; round++) {
    await Promise.all(
      Array.from({ length: 50 }, (_, n) => (reads ? adapter.has(`kept${n}`) : adapter.delete(`gone${n}`))),
    )
  }
}

/**
 * 256 calls in flight all the time, of every kind, some of them bad, on keys of its own and on keys that all processes
 * share. What must hold of each call is looked at where the call ends.
 */
async function crowd(/** @type {Input & { rounds: number }} */ { url, index, rounds }) {
  const pool = new Pool({ connectionString: url, max: 4 })
  const adapter = new PostgresAdapter(pool)
  /** @type {Record<string, number[]>} */
  const counts = {}
  const figures = { calls: 0, refused: 0, outOfOrder: 0, notThere: 0, wrong: /** @type {string[]} */ ([]), counts }

  const inOrder = async (/** @type {string} */ key, /** @type {number} */ value) => {
    const [, read] = await Promise.all([adapter.set(key, value), adapter.get(key)])
    if (read !== value) figures.outOfOrder++
    figures.calls += 2
  }
  const seenByOthers = async (/** @type {string} */ key, /** @type {number} */ value) => {
    await adapter.set(key, value)
    const { rows } = await pool.query('SELECT value FROM go_goscope_cache WHERE key = $1', [`cache:${key}`])
    if (rows[0]?.value !== value) figures.notThere++
    figures.calls++
  }
  const bad = async (/** @type {string} */ key) => {
    const error = await adapter.set(key, 'with \0').then(
      () => undefined,
      (error) => error,
    )
    if (error?.code === '22P05') figures.refused++
    else figures.wrong.push(String(error))
  }
  const failure = async (/** @type {string} */ key) => {
    counts[key] ??= []
    const place = counts[key].push(0) - 1
    counts[key][place] = await adapter.recordFailure(key, 1e6)
    figures.calls++
  }
  const shared = async (/** @type {number} */ round) => {
    const keys = Array.from({ length: 8 }, () => `shared${Math.floor(Math.random() * 40)}`)
    await Promise.all(keys.map((key) => adapter.set(key, round)))
    figures.calls += keys.length
  }

  const worker = async (/** @type {number} */ number) => {
    for (let round = 0; round < rounds; round++) {
      const key = `own:${index}:${number}`
      await inOrder(key, round)
      await failure(`hot${(number + round) % 8}`)
      if (number % 8 === 0) await shared(round)
      if (number % 16 === 0) await seenByOthers(key, round)
      if (number % 32 === 0) await bad(key)
    }
  }
  await Promise.all(Array.from({ length: 256 }, (_, number) => worker(number)))
  await adapter.disconnect()
  return figures
}

/** The cache that is meant: of PostgresAdapter, or in a table of its own. */
const cacheOf = (/** @type {{ url: string, own: boolean }} */ { url, own }) =>
  new (own ? PostgresCacheAdapter : PostgresAdapter)(new Pool({ connectionString: url, max: 3 }), { keyPrefix: 'p_%:' })

/** Adds 1 many times at once: the sums that it was told. */
async function increment(/** @type {Input & { own: boolean, key: string, each: number }} */ { key, each, ...input }) {
  const cache = cacheOf(input)
  return await Promise.all(Array.from({ length: each }, () => cache.increment(key)))
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

/** Stores where nothing is stored, in rounds: which ones it was the first in. */
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

module.exports = {
  addByComparing,
  increment,
  setIfAbsent,
  connect,
  contend,
  count,
  crowd,
  failing,
  hold,
  idle,
  overlap,
  readOrDelete,
}
