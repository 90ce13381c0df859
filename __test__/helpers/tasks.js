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

module.exports = { connect, contend, count, failing, hold, idle, overlap, readOrDelete }
