// @ts-check
// @configurations first
// metrics() agrees with the calls that were made, call by call.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')
const {
  PostgresAdapter,
  PostgresCacheAdapter,
  PostgresIdempotencyAdapter,
  operations,
  quantile,
} = require('goscope-postgres')
const { WITHIN } = require('../../lib/operations.js')
const { useDatabase } = require('../support/database.js')
const { OPERATIONS, adaptersOn, connectAll } = require('../support/operations.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()

const sum = (/** @type {readonly number[]} */ numbers) => numbers.reduce((a, b) => a + b, 0)

/** @param {import('goscope-postgres').Metrics} metrics */
const callsOf = ({ operations }) =>
  Object.fromEntries(Object.entries(operations).map(([name, { calls }]) => [name, calls]))

/** @param {import('goscope-postgres').Metrics} metrics */
function assertWhole(metrics) {
  for (const histogram of [metrics.statements, ...Object.values(metrics.operations).map(({ latency }) => latency)]) {
    assert.equal(histogram.counts.length, histogram.bounds.length + 1)
    assert.deepEqual(
      histogram.bounds,
      [...histogram.bounds].sort((a, b) => a - b),
    )
    assert.equal(sum(histogram.counts), histogram.count)
  }
  for (const { calls, errors, latency } of Object.values(metrics.operations)) {
    assert.equal(latency.count, calls)
    assert.ok(sum(Object.values(errors)) <= calls)
  }
}

/** Operations that are composed of other operations, and what they are counted as if a result is stored. */
const COMPOSED = new Map([
  ['cache.getOrSet', 'cache.get'],
  ['idempotency.run', 'idempotency.get'],
])

/** Counts the codes with which calls reject. The errors in the metrics of their operation must have the same counts. */
async function failed(/** @type {Promise<unknown>[]} */ calls) {
  /** @type {Record<string, number>} */
  const codes = {}
  for (const outcome of await Promise.allSettled(calls)) {
    assert.equal(outcome.status, 'rejected')
    const code = /** @type {PromiseRejectedResult} */ (outcome).reason?.code ?? '_OTHER'
    codes[code] = (codes[code] ?? 0) + 1
  }
  return codes
}

test('the metrics of an unused pool are zero', async () => {
  const metrics = new PostgresAdapter((await database).pool({ max: 7 })).metrics()
  assert.deepEqual(metrics.pool, { open: 0, idle: 0, waiting: 0, max: 7 })
  assert.equal(metrics.listening, 0)
  assert.deepEqual(metrics.pipelines, { active: 0, blocked: 0 })
  assert.deepEqual(metrics.calls, { inFlight: 0, queued: 0 })
  assert.equal(metrics.batches, 0)
  assert.equal(metrics.statements.count, 0)
  assert.deepEqual(metrics.operations, {})
  assertWhole(metrics)
})

test('each call is counted once, under the name of its operation', async () => {
  const db = await database
  const [on, other] = [adaptersOn(db.pool()), adaptersOn(db.pool())]
  await connectAll(on)
  await on.main.ping()
  assert.deepEqual(callsOf(on.main.metrics()), { connect: 3, ping: 1 })
  const counted = new Set(['connect', 'ping'])
  for (const [n, { name, operation, args, seed, ready }] of OPERATIONS.entries()) {
    const key = `key ${n}`
    await seed?.(other, key)
    const call = await ready(on, key)
    const before = on.main.metrics()
    await call()
    const after = on.main.metrics()
    assertWhole(after)
    const expected = COMPOSED.get(operation) ?? operation
    counted.add(expected)
    const calls = { ...callsOf(before), [expected]: (before.operations[expected]?.calls ?? 0) + 1 }
    assert.deepEqual(callsOf(after), calls, name)
    const { errors, retries } = after.operations[expected] ?? {}
    assert.deepEqual([errors, retries], [{}, 0], name)
    const statements = [after.statements.count - before.statements.count, after.statements.sum - before.statements.sum]
    // Each key of one call is counted in its statement's size.
    const { keys, entries, checkpoints } = args(key)
    assert.deepEqual(statements, [1, (keys ?? entries ?? checkpoints ?? [key]).length], name)
    assert.ok(after.batches > before.batches)
  }
  const all = operations.filter(
    (name) => !['close', 'disconnect', ...COMPOSED.keys(), ...Object.values(WITHIN)].includes(name),
  )
  assert.deepEqual([...counted].sort(), all)
  assert.deepEqual(on.main.metrics(), on.entries.metrics(), 'adapters on one pool share its metrics')
  assert.deepEqual(on.main.metrics(), on.results.metrics())
  assert.deepEqual(new PostgresAdapter(db.pool()).metrics().operations, {}, 'and those on another do not')
})

test('getOrSet and run are counted as the operations that they are composed of', async () => {
  const db = await database
  const counted = async (/** @type {PostgresAdapter | PostgresIdempotencyAdapter} */ adapter) => {
    // No caller waits for the release of a claim.
    await until('the claim is released', () => adapter.metrics().operations['locks.release']?.calls === 1)
    return callsOf(adapter.metrics())
  }
  const cache = new PostgresAdapter(db.pool())
  const results = new PostgresIdempotencyAdapter(db.pool())
  for (let n = 0; n < 2; n++) {
    await cache.getOrSet('computed', () => 1)
    await results.run('run', () => 1)
  }
  // The first call looks before it has the claim, and again under the claim. The second call finds the stored value.
  const claim = { 'locks.lock': 1, 'locks.release': 1 }
  assert.deepEqual(await counted(cache), { 'cache.get': 3, 'cache.set': 1, ...claim })
  assert.deepEqual(await counted(results), { 'idempotency.get': 3, 'idempotency.set': 1, ...claim })
})

test('the sum of the statement sizes is the number of calls', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  await adapter.set('x', 1)
  await Promise.all(Array.from({ length: 1_000 }, (_, n) => adapter.get(`k${n}`)))
  await Promise.all(Array.from({ length: 500 }, () => adapter.recordFailure('hot', 9)))
  const { statements, operations } = adapter.metrics()
  assert.equal(operations['cache.get']?.calls, 1_000)
  assert.equal(operations['circuits.recordFailure']?.calls, 500)
  assert.equal(statements.sum, 1_501)
  assert.equal(sum(statements.counts), statements.count)
  assert.ok(statements.count < 300, `${statements.count} statements`)
  // The least and the most that each bucket can stand for.
  const least = statements.counts.map((count, at) => count * (at === 0 ? 1 : Number(statements.bounds[at - 1]) + 1))
  const most = statements.counts.map((count, at) => count * (statements.bounds[at] ?? Infinity) || 0)
  assert.ok(sum(least) <= 1_501 && 1_501 <= sum(most))
})

test('errors are counted by the codes that callers see', async () => {
  const missing = new PostgresCacheAdapter((await database).pool(), { tableName: 'no_such', createTables: false })
  assert.deepEqual(
    await failed([missing.get('a'), missing.get('b')]),
    missing.metrics().operations['cache.get']?.errors,
  )
  assert.deepEqual(missing.metrics().operations['cache.get']?.errors, { '42P01': 2 })

  const adapter = new PostgresAdapter((await database).pool())
  assert.deepEqual(await failed([adapter.set('a', '\0'), adapter.set('b', '\ud800')]), { '22P05': 1, '22P02': 1 })
  await adapter.set('c', 1)
  const { calls, errors } = adapter.metrics().operations['cache.set'] ?? {}
  assert.deepEqual([calls, errors], [3, { '22P05': 1, '22P02': 1 }])
})

/** @type {[code: string, config: import('goscope-postgres').PostgresConfig][]} */
const UNREACHABLE = [
  ['ECONNREFUSED', { host: '127.0.0.1', port: 1 }],
  ['ENOENT', { host: '/no/such/folder' }],
  ['ENOTFOUND', { host: 'no-such-host.invalid' }],
  ['E_VAULT', { host: '127.0.0.1', port: 1, password: () => Promise.reject(coded('E_VAULT')) }],
  ['_OTHER', { host: '127.0.0.1', port: 1, password: () => Promise.reject(new Error('no code')) }],
  ['ERR_INVALID_ARG_VALUE', /** @type {any} */ ({ host: '127.0.0.1', port: 1, stream: () => {} })],
]

const coded = (/** @type {string} */ code) => Object.assign(new Error(code), { code })

for (const [code, config] of UNREACHABLE) {
  test(`a server that cannot be reached is counted as ${code}`, async () => {
    const adapter = new PostgresAdapter(config)
    const seen = await failed([adapter.get('a')])
    // A resolver without a network reports another code.
    const expected = code === 'ENOTFOUND' ? String(Object.keys(seen)[0]) : code
    assert.deepEqual(seen, { [expected]: 1 })
    const metrics = adapter.metrics()
    assertWhole(metrics)
    assert.deepEqual(metrics.operations['cache.get']?.errors, seen)
    assert.equal(metrics.statements.count, 0)
    assert.equal(metrics.pool.open, 0)
    await adapter.disconnect()
  })
}

test('at most 32 error codes are counted separately, and the rest as _OTHER', async () => {
  let failures = 0
  const adapter = new PostgresAdapter({
    host: '127.0.0.1',
    port: 1,
    password: () => Promise.reject(coded(`E_${failures++}`)),
  })
  for (let n = 0; n < 100; n++) await failed([adapter.get('a')])
  const { calls, errors } = adapter.metrics().operations['cache.get'] ?? { errors: {} }
  assert.deepEqual([calls, sum(Object.values(errors))], [100, 100])
  assert.equal(Object.keys(errors).length, 33)
  assert.deepEqual([errors.E_0, errors._OTHER], [1, 68])
  await adapter.disconnect()
})

test('retries are counted', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  await adapter.set('x', 1)
  const before = adapter.metrics().statements
  const calls = [adapter.set('a', 1), adapter.set('b', '\0'), adapter.set('c', 1)]
  await Promise.allSettled(calls)
  const { statements, operations } = adapter.metrics()
  assert.equal(operations['cache.set']?.retries, 3, 'each is retried by itself, after the statement with all of them')
  assert.deepEqual([statements.count - before.count, statements.sum - before.sum], [4, 6])
  assert.deepEqual(operations['cache.set']?.errors, { '22P05': 1 })
  await failed([
    adapter.setMany([
      ['a', 1],
      ['b', '\0'],
      ['c', 1],
    ]),
  ])
  assert.equal(adapter.metrics().operations['cache.setMany']?.retries, 3, 'those of each entry')
})

test('a blocked call is in flight, its pipeline is blocked, and its latency includes the wait', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  await adapter.set('held', 1)
  await adapter.get('held')
  const holder = await (await database).hold(`SELECT FROM go_goscope_cache WHERE key = 'cache:held' FOR UPDATE`)
  const before = performance.now()
  const first = adapter.set('held', 2)
  const second = adapter.set('held', 3)
  assert.deepEqual(adapter.metrics().calls, { inFlight: 2, queued: 2 })
  await until('the pipeline is blocked', () => adapter.metrics().pipelines.blocked === 1)
  const seen = performance.now()
  const { calls, pipelines, pool } = adapter.metrics()
  assert.deepEqual(calls, { inFlight: 2, queued: 1 }, 'the second waits for the first')
  assert.ok(pipelines.active >= 1 && pool.open >= 1 && pool.open - pool.idle >= 1)
  await new Promise((resume) => setTimeout(resume, 200))
  const held = performance.now() - seen
  await holder.commit()
  await Promise.all([first, second])
  const all = performance.now() - before
  // A call leaves the engine just after its answer, perhaps on another thread.
  await until('no call is in flight', () => adapter.metrics().calls.inFlight === 0)
  const after = adapter.metrics()
  assert.deepEqual(after.calls, { inFlight: 0, queued: 0 })
  assert.equal(after.pipelines.blocked, 0)
  const { latency } = /** @type {any} */ (after.operations['cache.set'])
  assert.equal(latency.count, 3)
  assert.ok(latency.sum >= 2 * held, `${latency.sum} ms in all, two of them held for ${held} ms`)
  for (const q of [0.5, 1]) {
    const reported = quantile(latency, q)
    assert.ok(reported >= held * 0.8 && reported <= all * 1.25, `${reported} ms at ${q}, between ${held} and ${all} ms`)
  }
  await until('the pipelines end', () => adapter.metrics().pipelines.active === 0)
})

test('latencies are those that callers see, without the wait for the event loop', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  await adapter.get('a')
  const before = adapter.metrics().operations['cache.get']?.latency.sum ?? 0
  const seen = []
  for (let n = 0; n < 300; n++) {
    const start = performance.now()
    await adapter.get('a')
    seen.push(performance.now() - start)
  }
  const { latency } = /** @type {any} */ (adapter.metrics().operations['cache.get'])
  assert.equal(latency.count, 301)
  assert.ok(latency.sum - before <= sum(seen), `${latency.sum - before} ms reported, ${sum(seen)} ms seen`)
  assert.ok(latency.sum - before >= sum(seen) / 10)
  const median = Number(seen.sort((a, b) => a - b)[150])
  // A bucket is a quarter wide, and the first call opened the connection.
  const reported = quantile(latency, 0.5)
  assert.ok(reported <= median * 1.3 && reported >= median / 10, `${reported} ms reported, ${median} ms seen`)
})

test('counters only increase, and are consistent at any moment', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  let isOver = false
  const work = Promise.all(
    Array.from({ length: 20 }, async (_, n) => {
      for (let round = 0; round < 100; round++) await adapter.set(`m${n}`, round)
    }),
  ).then(() => (isOver = true))
  let last = adapter.metrics()
  while (!isOver) {
    await new Promise((resume) => setImmediate(resume))
    const next = adapter.metrics()
    assertWhole(next)
    assert.ok(next.batches >= last.batches && next.statements.sum >= last.statements.sum)
    const calls = next.operations['cache.set']?.calls ?? 0
    assert.ok(calls >= (last.operations['cache.set']?.calls ?? 0))
    assert.ok(calls + next.calls.inFlight >= 20 || calls === 0 || isOver || calls > 1_980)
    last = next
  }
  await work
  assert.equal(adapter.metrics().operations['cache.set']?.calls, 2_000)
})

test('a call that is rejected before it is sent is not counted', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  await assert.rejects(adapter.get(/** @type {any} */ ({})), { code: 'ERR_INVALID_ARG_TYPE' })
  assert.deepEqual(adapter.metrics().operations, {})
})

test('after disconnect, metrics() returns the last numbers', async () => {
  const adapter = new PostgresAdapter((await database).pool({ max: 3 }))
  await adapter.set('a', 1)
  assert.equal(adapter.metrics().pool.open, 1)
  await adapter.disconnect()
  await assert.rejects(adapter.get('a'), /after calling end/)
  const metrics = adapter.metrics()
  assertWhole(metrics)
  assert.deepEqual(callsOf(metrics), { 'cache.set': 1 })
  assert.deepEqual(metrics.pool, { open: 0, idle: 0, waiting: 0, max: 3 })
})

test('memory: metrics() has as many numbers after 20,000 keys as after one', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  await adapter.get('a')
  const shape = (/** @type {import('goscope-postgres').Metrics} */ metrics) =>
    JSON.stringify(metrics, (_, value) => (typeof value === 'number' ? 0 : value))
  const before = shape(adapter.metrics())
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 1_000 }, (_, n) => adapter.get(`key ${round} ${n}`)))
  }
  assert.equal(shape(adapter.metrics()), before)
  assert.equal(adapter.metrics().operations['cache.get']?.calls, 20_001)
})

test('each worker thread has its own counts', async () => {
  const { url } = await database
  const body = `
    const { parentPort, workerData } = require('node:worker_threads')
    const { PostgresAdapter } = require('goscope-postgres')
    ;(async () => {
      const adapter = new PostgresAdapter(workerData.url)
      await Promise.all(Array.from({ length: workerData.calls }, (_, n) => adapter.get('k' + n)))
      parentPort.postMessage(adapter.metrics())
      await adapter.disconnect()
    })()`
  const reported = await Promise.all(
    [30, 40, 50].map(
      (calls) =>
        new Promise((resolve, reject) => {
          const worker = new Worker(body, { eval: true, workerData: { url, calls } })
          worker.once('message', resolve).once('error', reject)
        }),
    ),
  )
  for (const metrics of reported) assertWhole(metrics)
  assert.deepEqual(reported.map(callsOf), [{ 'cache.get': 30 }, { 'cache.get': 40 }, { 'cache.get': 50 }])
})

test('the names under which native code counts are among the operations', () => {
  const source = fs.readFileSync(path.join(__dirname, '../../src/node/operation.rs'), 'utf8')
  const counted = [...source.matchAll(/ = "([\w.]+)",/g)].map(([, name]) => String(name))
  assert.ok(counted.length > 20)
  assert.deepEqual(
    counted.filter((name) => !new Set(/** @type {readonly string[]} */ (operations)).has(name)),
    [],
  )
  assert.equal(new Set(counted).size, counted.length)
})

test('quantile() interpolates within buckets, and rejects invalid arguments', () => {
  const histogram = { bounds: [10, 20, 40], counts: [0, 4, 4, 2], sum: 300, count: 10 }
  assert.equal(quantile(histogram, 0), 10)
  assert.equal(quantile(histogram, 0.2), 15)
  assert.equal(quantile(histogram, 0.4), 20)
  assert.equal(quantile(histogram, 0.6), 30)
  assert.equal(quantile(histogram, 0.8), 40)
  assert.equal(quantile(histogram, 1), 40, 'nothing is known above the last bound')
  assert.equal(quantile({ ...histogram, counts: [2, 0, 0, 0] }, 0.5), 5)
  assert.ok(Number.isNaN(quantile({ ...histogram, counts: [0, 0, 0, 0] }, 0.5)))
  assert.throws(() => quantile(histogram, 1.1), { code: 'ERR_OUT_OF_RANGE' })
  assert.throws(() => quantile(histogram, Number.NaN), { code: 'ERR_OUT_OF_RANGE' })
  assert.throws(() => quantile(histogram, /** @type {any} */ ('0.5')), { code: 'ERR_INVALID_ARG_TYPE' })
  assert.throws(() => quantile(/** @type {any} */ (null), 0.5), { code: 'ERR_INVALID_ARG_TYPE' })
  assert.throws(() => quantile(/** @type {any} */ ({}), 0.5), { code: 'ERR_INVALID_ARG_TYPE' })
})
