// @ts-check
// @configurations every
// Calls on one key take effect in the order in which they were made, awaited or not.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()

async function adapter() {
  return new PostgresAdapter((await database).pool())
}

test('sets and gets of one key, un-awaited, among traffic on others', async () => {
  const cache = await adapter()
  for (let round = 0; round < 10; round++) {
    const reads = []
    for (let n = 0; n < 50; n++) {
      cache.set('one', n).catch(assert.ifError)
      cache.set(`noise:${n % 7}`, n).catch(assert.ifError)
      reads.push(cache.get('one'))
    }
    assert.deepEqual(
      await Promise.all(reads),
      Array.from({ length: 50 }, (_, n) => n),
    )
  }
})

test('set, delete, has and set again', async () => {
  const cache = await adapter()
  const [, before, , after, , again] = await Promise.all([
    cache.set('there', 1),
    cache.has('there'),
    cache.delete('there'),
    cache.has('there'),
    cache.set('there', 2),
    cache.get('there'),
  ])
  assert.deepEqual([before, after, again], [true, false, 2])
})

test('calls on the whole cache keep their order with calls on its keys', async () => {
  const cache = new PostgresAdapter((await database).pool(), { keyPrefix: 'whole:' })
  for (let round = 0; round < 10; round++) {
    const results = await Promise.all([
      cache.set('a', 1),
      cache.set('b', 2),
      cache.keys(),
      cache.clear(),
      cache.keys(),
      cache.get('a'),
      // Without this, the keys could show the later write: they delay no write of a key.
      cache.clear(),
      cache.set('c', 3),
      cache.keys(),
      cache.clear(),
    ])
    assert.deepEqual([results[2], results[4], results[5], results[8]], [['a', 'b'], [], null, ['c']])
  }
})

test('acquire, release, acquire, force, acquire', async () => {
  const locks = await adapter()
  const first = await locks.acquire('turns', 60_000, 'a')
  const results = await Promise.all([
    locks.acquire('turns', 60_000, 'b'),
    first?.release(),
    locks.acquire('turns', 60_000, 'c'),
    locks.acquire('turns', 60_000, 'd'),
    locks.forceRelease('turns'),
    locks.acquire('turns', 60_000, 'e'),
    locks.extend('turns', 60_000, 'c'),
    locks.extend('turns', 60_000, 'e'),
  ])
  const [b, , c, d, , e, extendC, extendE] = results
  assert.deepEqual([b, c !== null, d, e !== null, extendC, extendE], [null, true, null, true, false, true])
})

test('failures and successes of one breaker', async () => {
  const circuits = await adapter()
  const counts = await Promise.all([
    circuits.recordFailure('breaker', 9),
    circuits.recordFailure('breaker', 9),
    circuits.recordSuccess('breaker'),
    circuits.recordFailure('breaker', 9),
    circuits.getState('breaker').then((state) => state?.failureCount),
    circuits.setState('breaker', { state: 'open', failureCount: 40 }),
    circuits.recordFailure('breaker', 99),
  ])
  assert.deepEqual(counts, [1, 2, undefined, 1, 1, undefined, 41])
})

test('checkpoints of one task, and loads by id', async () => {
  const checkpoints = await adapter()
  const save = (/** @type {number} */ sequence) =>
    checkpoints.save({ id: `c${sequence}`, taskId: 'task', sequence, timestamp: sequence, progress: 0, data: sequence })
  const results = await Promise.all([
    save(1),
    checkpoints.loadLatest('task'),
    save(2),
    checkpoints.load('c2'),
    save(3),
    // No load is in flight whose checkpoint this removes: a load delays no cleanup.
    checkpoints.cleanup('task', 2),
    checkpoints.load('c1'),
    checkpoints.list('task'),
    checkpoints.deleteAll('task'),
    checkpoints.loadLatest('task'),
    save(4),
    checkpoints.loadLatest('task'),
  ])
  assert.equal(/** @type {any} */ (results[1])?.data, 1)
  assert.equal(/** @type {any} */ (results[3])?.data, 2)
  assert.equal(results[6], undefined)
  assert.deepEqual(
    /** @type {any} */ (results[7]).map((/** @type {any} */ { data }) => data),
    [2, 3],
  )
  assert.equal(results[9], undefined)
  assert.equal(/** @type {any} */ (results[11])?.data, 4)
})

test('saves of one id for several tasks', async () => {
  const checkpoints = await adapter()
  const save = (/** @type {string} */ id, /** @type {string} */ taskId, /** @type {number} */ data) =>
    checkpoints.save({ id, taskId, sequence: 1, timestamp: 1, progress: 0, data })
  for (let round = 0; round < 20; round++) {
    await Promise.all([save('other', 'task:a', 0), save('moves', 'task:a', 1), save('moves', 'task:b', 2)])
    assert.equal((await checkpoints.load('moves'))?.data, 2)
  }
})

test('across adapters of one pool', async () => {
  const pool = (await database).pool()
  const [one, two] = [new PostgresAdapter(pool), new PostgresAdapter(pool)]
  for (let n = 0; n < 30; n++) {
    const [, read] = await Promise.all([one.set('across', n), two.get('across')])
    assert.equal(read, n)
  }
})

test('idempotency: set, get, set a failure, get', async () => {
  const results = new PostgresIdempotencyAdapter((await database).pool())
  const [, kept, , dropped] = await Promise.all([
    results.set('key', [undefined, 1]),
    results.get('key'),
    results.set('key', [new Error('failed'), undefined]),
    results.get('key'),
  ])
  assert.deepEqual([kept, dropped], [{ value: [null, 1] }, null])
})

test('a rejected call does not delay or overtake later calls', async () => {
  const cache = await adapter()
  const results = await Promise.allSettled([
    cache.set('rejected', 'first'),
    cache.set('rejected', '\0'),
    cache.get('rejected'),
    cache.set('rejected', 'last'),
    cache.get('rejected'),
  ])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled'],
  )
  assert.deepEqual(
    [2, 4].map((n) => /** @type {any} */ (results[n]).value),
    ['first', 'last'],
  )
})
