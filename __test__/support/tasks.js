// @ts-check
// What the tests' processes do. Each receives its input, `index` among its peers, and `note`, which sends a message to
// the test.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { Client, Pool } = require('pg')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')

/** @typedef {{ url: string, index: number, note: (note: unknown) => void }} Input */

/** Several contenders for the same keys, all at once. Returns which contender got which key. */
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

/** Counts in a row that only the lock protects. */
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

/** As {@link count}, but waits for the lock. */
async function countWaiting(/** @type {Input & { rounds: number }} */ { url, rounds }) {
  const pool = new Pool({ connectionString: url, max: 2, allowExitOnIdle: true })
  const locks = new PostgresAdapter(pool)
  for (let round = 0; round < rounds; round++) {
    const lease = await locks.lock('counter', { ttl: 600_000 })
    const { rows } = await pool.query('SELECT n FROM counter')
    await pool.query('UPDATE counter SET n = $1', [rows[0].n + 1])
    await lease.release()
  }
}

/** The errors of a server that goes away. */
const isGone = (/** @type {any} */ { code, message }) =>
  /^(57P|08|ECONN|EPIPE|ETIMEDOUT|25006)/.test(code ?? '') || /terminated|timeout|Connection/.test(message)

/**
 * Takes locks and gives them up in every possible way. Writes each token to a row that only its holder may write: the
 * lock protects the order in which `witness` counts.
 */
async function drawTokens(/** @type {Input & { keys: string[], ms: number }} */ { url, index, keys, ms }) {
  const pool = new Pool({ connectionString: url, max: keys.length })
  pool.on('error', () => {})
  const locks = new PostgresAdapter(pool)
  const end = Date.now() + ms
  let refused = 0
  const write = async (/** @type {string} */ key, /** @type {bigint} */ token) => {
    const client = await pool.connect()
    client.on('error', () => {})
    try {
      await client.query('BEGIN')
      await client.query('SELECT go_goscope_check_fencing_token($1, $2)', [key, token])
      await client.query('INSERT INTO witness (key, token, by) VALUES ($1, $2, $3)', [key, token, index])
      await client.query('COMMIT')
      client.release()
    } catch (error) {
      client.release(true)
      throw error
    }
  }
  const use = async (/** @type {string} */ key) => {
    const isShort = Math.random() < 0.3
    const handle = await locks.acquire(key, isShort ? 15 : 3_000)
    if (!handle) return
    // If it has expired by then, others have taken it, and the write must be refused.
    if (isShort && Math.random() < 0.5) await sleep(30)
    await write(key, handle.fencingToken).catch((error) => {
      if (error.code !== 'GF001') throw error
      refused++
    })
    const how = Math.random()
    if (how < 0.6) await handle.release()
    else if (how < 0.75) await locks.forceRelease(key)
    else await handle.extend(10)
  }
  const useOverAndOver = async (/** @type {string} */ key) => {
    while (Date.now() < end) {
      await use(key).catch((error) => {
        if (!isGone(error)) throw error
      })
      await sleep(Math.random() * 3)
    }
  }
  await Promise.all(keys.map(useOverAndOver))
  await locks.disconnect()
  return { refused }
}

/** 40 failures of one breaker at once. */
async function failing(/** @type {Input} */ { url }) {
  const circuits = new PostgresAdapter(new Pool({ connectionString: url }))
  return await Promise.all(Array.from({ length: 40 }, () => circuits.recordFailure('processes', 1000)))
}

/** Several contenders for the probe of each breaker, all at once. Returns the probes that they got. */
async function probe(/** @type {Input & { keys: string[], resetTimeout: number }} */ { url, keys, resetTimeout }) {
  const adapters = Array.from({ length: 3 }, () => new PostgresAdapter(new Pool({ connectionString: url, max: 2 })))
  await Promise.all(adapters.map((adapter) => adapter.connect()))
  /** @type {string[]} */
  const won = []
  for (const key of keys) {
    const tries = adapters.map(async (circuits) => (await circuits.tryProbe(key, resetTimeout)) && won.push(key))
    await Promise.all(tries)
  }
  return won
}

/** Sends a message for each change of a breaker, until it is killed. */
async function listenToCircuit(/** @type {Input & { key: string }} */ { url, key, note }) {
  const adapter = new PostgresAdapter(new Pool({ connectionString: url }))
  await adapter.connect()
  adapter.subscribe(key, note)
  // Only changes after the subscription's first read are reported.
  await adapter.getState(key)
  note('subscribed')
  await new Promise(() => setInterval(() => {}, 1000))
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

/** Takes a lock and reports it, then waits to be killed. */
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

/** Deletes nothing, often enough that a statement would be prepared. It has a connect hook. */
async function deleteAbsent(/** @type {Input} */ { url }) {
  const adapter = new PostgresAdapter(hooked(url))
  for (let n = 0; n < 4; n++) await adapter.delete('absent')
  await adapter.disconnect()
}

/**
 * Looks for a key while another client occupies the pooler's last server connection, and again when that is free. It
 * has a connect hook.
 */
async function findKept(/** @type {Input} */ { url }) {
  const adapter = new PostgresAdapter(hooked(url))
  const holder = new Client({ connectionString: url })
  await holder.connect()
  await holder.query('BEGIN')
  await holder.query('SELECT 1')
  for (let n = 0; n < 3; n++) await adapter.has('kept')
  await holder.query('COMMIT')
  const found = []
  for (let n = 0; n < 4; n++) found.push(await adapter.has('kept'))
  await holder.end()
  await adapter.disconnect()
  return found
}

function hooked(/** @type {string} */ url) {
  const pool = new Pool({ connectionString: url, max: 1 })
  pool.on('connect', () => {})
  return pool
}

/**
 * 256 calls in flight all the time, of every kind, some of them bad, on keys of its own and on keys that all processes
 * share. Each call is checked where it ends.
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

/** Runs work that has its effect, and then waits for an advisory lock that the test holds. */
async function runBehindGate(
  /** @type {Input & { key: string, isAtomic: boolean, claimTtl: number }} */ { url, key, isAtomic, claimTtl },
) {
  const pool = new Pool({ connectionString: url, allowExitOnIdle: true })
  const results = new PostgresIdempotencyAdapter(pool)
  let aborted = false
  const work = async (/** @type {any} */ { client = pool, signal }) => {
    await client.query("INSERT INTO effects VALUES ($1, 'first')", [key])
    await client.query('SELECT pg_advisory_xact_lock_shared(7)')
    // The claim is known to be lost when the renewal has been answered.
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
    aborted = true
    return 'first'
  }
  const given = /** @type {any} */ ({ claimTtl, ...(isAtomic && { transaction: pool }) })
  const value = await results.run(key, work, given)
  return { value, aborted, leaked: pool.totalCount - pool.idleCount }
}

module.exports = {
  ...require('./cache-tasks.js'),
  connect,
  contend,
  count,
  countWaiting,
  crowd,
  deleteAbsent,
  drawTokens,
  failing,
  findKept,
  hold,
  idle,
  listenToCircuit,
  overlap,
  probe,
  readOrDelete,
  runBehindGate,
}
