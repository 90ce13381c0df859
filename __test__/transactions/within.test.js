// @ts-check
// @configurations every
// Calls within a transaction, and calls beside it on the same rows: who waits for whom, what each then finds, and when an
// expiry begins.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { afterWait, assertLease } = require('../support/leases.js')
const { begin, failure } = require('../support/transactions.js')
const { inTime, untilWritesSweep } = require('../support/waiting.js')

const database = useDatabase()
const CACHE = 'go_goscope_cache'

/** @param {ConstructorParameters<typeof PostgresAdapter>[1]} [options] */
async function make(options) {
  const db = await database
  const adapter = new PostgresAdapter(db.pool(), options)
  await adapter.connect()
  return { db, pool: db.clients(), adapter }
}

const checkpoint = (/** @type {string} */ taskId, /** @type {number} */ n) => ({
  id: `${taskId}.${n}`,
  taskId,
  sequence: n,
  timestamp: n,
  progress: n,
  data: { n },
})

for (const how of /** @type {const} */ (['commit', 'rollback'])) {
  test(`a call beside the transaction waits for its row, and finds what the ${how} leaves`, async () => {
    const { db, pool, adapter } = await make({ keyPrefix: `${how}:` })
    await adapter.set('count', 10)
    await adapter.set('word', 'before')
    const { within, ...transaction } = await begin(pool, adapter)
    assert.equal(await within.increment('count'), 11)
    assert.equal(await within.compareAndSet('word', 'before', 'within'), true)
    assert.equal(await adapter.get('count'), 10, 'no other session sees it yet')

    const sum = adapter.increment('count')
    await db.untilWaiting(1)
    const swapped = adapter.compareAndSet('word', 'before', 'beside')
    // All other keys of the same adapter have their way meanwhile.
    await inTime('the other keys', Promise.all([adapter.set('other', 1), adapter.recordFailure('other', 3)]))
    // And so has a read of the same key, unless it is made after the write, on the same pool.
    const reader = new PostgresAdapter(db.pool(), { keyPrefix: `${how}:` })
    assert.equal(await inTime('a read of the same key', reader.get('count')), 10)
    await transaction[how]()
    assert.equal(await sum, how === 'commit' ? 12 : 11)
    assert.equal(await swapped, how === 'rollback')
    assert.equal(await adapter.get('word'), how === 'commit' ? 'within' : 'beside')
  })

  test(`two transactions that record failures of one breaker: distinct counts, or that of the ${how}`, async () => {
    const { db, pool, adapter } = await make({ keyPrefix: `two ${how}s:` })
    const [first, second] = [await begin(pool, adapter), await begin(pool, adapter)]
    assert.equal(await first.within.recordFailure('breaker', 2), 1)
    const pending = second.within.recordFailure('breaker', 2)
    await db.untilWaiting()
    await first[how]()
    const count = how === 'commit' ? 2 : 1
    assert.equal(await pending, count)
    await second.commit()
    const state = await adapter.getState('breaker')
    assert.deepEqual([state?.failureCount, state?.state], [count, count === 2 ? 'open' : 'closed'])
  })

  test(`two transactions that add to one counter: the second adds to what the ${how} leaves`, async () => {
    const { db, pool, adapter } = await make({ keyPrefix: `adds, ${how}:` })
    const [first, second] = [await begin(pool, adapter), await begin(pool, adapter)]
    assert.equal(await first.within.increment('n', 5), 5)
    const pending = second.within.increment('n', 5)
    await db.untilWaiting()
    await first[how]()
    assert.equal(await pending, how === 'commit' ? 10 : 5)
    await second.commit()
  })
}

for (const [title, prepare] of /** @type {[string, string][]} */ ([
  ['', ''],
  [', after a savepoint', 'SAVEPOINT before_call'],
])) {
  test(`an expiry begins after the wait for a row that another session has updated${title}`, async () => {
    const { db, pool, adapter } = await make({ keyPrefix: `updated${title}:` })
    await adapter.set('k', 1)
    const key = `updated${title}:cache:k`
    const { within, ...transaction } = await begin(pool, adapter)
    if (prepare) await transaction.query(prepare, [])
    const holder = await db.hold(`UPDATE ${CACHE} SET accessed_at = NULL WHERE key = $1`, [key])
    const { since } = await afterWait(db, holder, 'commit', () => within.set('k', 2, 60_000))
    await transaction.commit()
    await assertLease(db, CACHE, key, { ttl: 60_000, since })
  })

  test(`an expiry begins after the wait for a row that another session has inserted and undone${title}`, async () => {
    const { db, pool, adapter } = await make({ keyPrefix: `inserted${title}:` })
    const key = `inserted${title}:cache:k`
    const { within, ...transaction } = await begin(pool, adapter)
    if (prepare) await transaction.query(prepare, [])
    const holder = await db.hold(`INSERT INTO ${CACHE} (key, value) VALUES ($1, '0')`, [key])
    const { since } = await afterWait(db, holder, 'rollback', () => within.set('k', 2, 60_000))
    await transaction.commit()
    await assertLease(db, CACHE, key, { ttl: 60_000, since })
  })
}

for (const how of /** @type {const} */ (['commit', 'rollback'])) {
  test(`what getOrSet computes outlasts no delete in a transaction, also of a missing entry, and its ${how}`, async () => {
    const keyPrefix = `stale ${how}:`
    const { db, pool, adapter } = await make({ keyPrefix })
    const reader = new PostgresAdapter(db.pool(), { keyPrefix })
    const removals = /** @type {[string, (within: any, key: string) => Promise<unknown>, unknown][]} */ ([
      ['delete', (within, key) => within.delete(key), undefined],
      ['take', (within, key) => within.take(key), null],
      ['deleteMany', (within, key) => within.deleteMany([key]), [false]],
      ['delete, twice', (within, key) => within.deleteMany([key, 'other', key]), [false, false, false]],
    ])
    for (const [key, remove, expected] of removals) {
      await adapter.save(checkpoint(key, 1))
      const { within, ...transaction } = await begin(pool, adapter)
      await within.save(checkpoint(key, 2))
      assert.deepEqual(await remove(within, key), expected, key)
      const compute = async () => (await reader.loadLatest(key))?.sequence ?? 0
      const computed = reader.getOrSet(key, compute, { ttl: 600_000 })
      await db.untilWaiting()
      await transaction[how]()
      const newest = how === 'commit' ? 2 : 1
      assert.equal(await inTime('the value', computed), newest, key)
      assert.equal(await reader.getOrSet(key, compute, { ttl: 600_000 }), newest, key)
    }
  })
}

test('a computation that began before a delete in a transaction stores nothing, and the key has no row left', async () => {
  const { db, pool, adapter } = await make({ keyPrefix: 'began before:' })
  const reader = new PostgresAdapter(db.pool(), { keyPrefix: 'began before:' })
  let goOn = () => {}
  const held = new Promise((resolve) => (goOn = () => resolve('old')))
  let hasBegun = () => {}
  const begun = new Promise((resolve) => (hasBegun = () => resolve(undefined)))
  const computed = reader.getOrSet('key', () => {
    hasBegun()
    return held
  })
  await begun
  const { within, commit } = await begin(pool, adapter)
  await within.delete('key')
  await commit()
  goOn()
  assert.equal(await computed, 'old')
  const rows = await db.query(`SELECT FROM ${CACHE} WHERE key = 'began before:cache:key'`)
  assert.equal(rows.length, 0)
})

test('deletes in a transaction say what was there, by two statements for many keys', async () => {
  const { db, pool, adapter } = await make({ keyPrefix: 'said:' })
  await adapter.setMany([
    ['a', 1],
    ['b', { two: 2 }],
    ['c', 3],
  ])
  await adapter.set('over', 1, 0.001)
  const { within, sent, commit } = await begin(pool, adapter)
  assert.equal(await within.take('a'), 1)
  assert.equal(await within.take('a'), null)
  sent.length = 0
  assert.deepEqual(await within.deleteMany(['missing', 'b', 'over']), [false, true, false])
  assert.equal(sent.length, 2)
  assert.equal(await within.delete('c'), undefined)
  assert.deepEqual(await within.keys(), [])
  await commit()
  assert.deepEqual(await adapter.keys(), [])
  assert.equal((await db.query(`SELECT FROM ${CACHE} WHERE starts_with(key, 'said:')`)).length, 0)
})

test('under REPEATABLE READ, a delete of a key that was written since rejects, and passes over no entry', async () => {
  const { pool, adapter } = await make({ keyPrefix: 'repeatable:' })
  const { within, query, rollback } = await begin(pool, adapter, 'ISOLATION LEVEL REPEATABLE READ')
  await query('SELECT 1', [])
  await adapter.set('key', 1)
  assert.equal((await failure(within.delete('key'))).code, '40001')
  await rollback()
})

test('clear in a transaction knows no missing entry: clear after the commit removes what was computed meanwhile', async () => {
  const keyPrefix = 'cleared:'
  const { db, pool, adapter } = await make({ keyPrefix })
  const reader = new PostgresAdapter(db.pool(), { keyPrefix })
  await adapter.save(checkpoint('cleared', 1))
  const compute = async () => (await reader.loadLatest('cleared'))?.sequence
  const { within, commit } = await begin(pool, adapter)
  await within.save(checkpoint('cleared', 2))
  await within.clear()
  assert.equal(await inTime('a computation', reader.getOrSet('key', compute)), 1)
  await commit()
  await adapter.clear()
  assert.equal(await reader.getOrSet('key', compute), 2)
})

test('the same after another key was updated in the same transaction', async () => {
  const { db, pool, adapter } = await make({ keyPrefix: 'again:' })
  const { within, commit } = await begin(pool, adapter)
  // Where tables are partitioned, a setting of the transaction notes what was updated.
  await within.set('other', 1)
  await within.set('other', 2)
  const holder = await db.hold(`INSERT INTO ${CACHE} (key, value) VALUES ('again:cache:k', '0')`)
  const { since } = await afterWait(db, holder, 'rollback', () => within.set('k', 2, 60_000))
  await commit()
  await assertLease(db, CACHE, 'again:cache:k', { ttl: 60_000, since })
})

test('a deadlock reaches the caller as the driver reports it, and nothing is retried', async () => {
  const { db, pool, adapter } = await make({ keyPrefix: 'deadlock:' })
  const transactions = [await begin(pool, adapter), await begin(pool, adapter)]
  const [first, second] = /** @type {[typeof transactions[0], typeof transactions[0]]} */ (transactions)
  await first.within.set('a', 1)
  await second.within.set('b', 2)
  const outcomes = [first.within.set('b', 1)]
  await db.untilWaiting()
  outcomes.push(second.within.set('a', 2))
  const settled = await Promise.allSettled(outcomes)
  const at = settled.findIndex(({ status }) => status === 'rejected')
  const { reason } = /** @type {PromiseRejectedResult} */ (settled[at])
  assert.equal(reason.code, '40P01')
  assert.deepEqual(settled.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  const victim = /** @type {typeof first} */ (transactions[at])
  assert.equal(victim.sent.length, 2)
  assert.equal((await failure(victim.within.get('a'))).code, '25P02')
  await victim.rollback()
  await transactions[1 - at]?.commit()
  assert.deepEqual(await adapter.getMany(['a', 'b']), at === 0 ? [2, 2] : [1, 1])
})

for (const level of ['REPEATABLE READ', 'SERIALIZABLE']) {
  test(`${level}: one snapshot, and 40001 reaches the caller`, async () => {
    const { pool, adapter } = await make({ keyPrefix: `${level}:` })
    await adapter.set('k', 'before')
    const transaction = await begin(pool, adapter, `ISOLATION LEVEL ${level}`)
    assert.equal(await transaction.within.get('k'), 'before')
    await adapter.set('k', 'beside')
    assert.equal(await transaction.within.get('k'), 'before')
    const sent = transaction.sent.length
    assert.equal((await failure(transaction.within.set('k', 'within'))).code, '40001')
    assert.equal(transaction.sent.length, sent + 1)
    await transaction.rollback()
    assert.equal(await adapter.get('k'), 'beside')
  })
}

test('within a transaction no expired row of another key is removed', async () => {
  const { db, pool, adapter } = await make({ keyPrefix: 'swept:' })
  const results = new PostgresIdempotencyAdapter(db.pool(), { keyPrefix: 'swept:' })
  await results.connect()
  const rowsLeft = async () => {
    const [{ n }] = await db.query(`SELECT (SELECT count(*)::int FROM ${CACHE} WHERE key LIKE 'swept:cache:old%')
      + (SELECT count(*)::int FROM go_goscope_idempotency WHERE key LIKE 'swept:old%') AS n`)
    return n
  }
  await db.query(`INSERT INTO ${CACHE} (key, value, expires_at)
    SELECT 'swept:cache:old' || n, '0', '2000-01-01' FROM generate_series(1, 10) AS n`)
  await db.query(`INSERT INTO go_goscope_idempotency (key, value, expires_at)
    SELECT 'swept:old' || n, '0', '2000-01-01' FROM generate_series(1, 10) AS n`)
  const { client, within, commit } = await begin(pool, adapter)
  for (let n = 0; n < 5; n++) {
    await untilWritesSweep()
    await within.set('new', n, 60_000)
    await within.setMany([
      ['a', 1],
      ['b', 2],
    ])
    await results.within(client).set('new', n, 60_000)
  }
  await commit()
  assert.equal(await rowsLeft(), 20)
  // The same calls beside a transaction remove them.
  for (let n = 0; n < 20; n++) {
    await untilWritesSweep()
    await Promise.all([adapter.set('new', n, 60_000), results.set('new', n, 60_000)])
  }
  assert.equal(await rowsLeft(), 0)
})

test("`cacheDurability: 'async'` leaves the transaction's own synchronous_commit unchanged", async () => {
  const { pool, adapter } = await make({ keyPrefix: 'durable:', cacheDurability: 'async' })
  const { within, query, commit } = await begin(pool, adapter)
  const setting = async () => (await query("SELECT current_setting('synchronous_commit') AS s", []))[0].s
  const before = await setting()
  await within.set('k', 1, 60_000)
  await within.increment('n')
  await within.setMany([['m', 1]])
  await within.compareAndSet('k', 1, 2)
  await within.delete('k')
  await within.deleteMany(['m', 'n'])
  await within.clear()
  assert.equal(await setting(), before)
  assert.notEqual(before, 'off')
  await commit()
})

test('calls that are not awaited run in their order, and the client has the first at once', async () => {
  const { pool, adapter } = await make({ keyPrefix: 'order:' })
  const { within, sent, commit } = await begin(pool, adapter)
  /** @type {Promise<unknown>[]} */
  const calls = [within.set('k', 1)]
  assert.equal(sent.length, 1)
  calls.push(within.increment('k'), within.get('k'), within.has('k'), within.delete('k'), within.get('k'))
  calls.push(within.compareAndSet('k', undefined, 'new'), within.get('k'), within.keys())
  calls.push(within.save(checkpoint('t', 1)), within.loadLatest('t'), within.cleanup('t', 0), within.list('t'))
  calls.push(
    within.recordFailure('b', 1),
    within.getState('b').then((/** @type {any} */ state) => state.state),
  )
  assert.deepEqual(await Promise.all(calls), [
    ...[undefined, 2, 2, true, undefined, null],
    ...[true, 'new', ['k']],
    ...[undefined, checkpoint('t', 1), undefined, []],
    ...[1, 'open'],
  ])
  await commit()
})

test('in a transaction that has failed, each call rejects with 25P02, and works after the rollback', async () => {
  const { pool, adapter } = await make({ keyPrefix: 'aborted:' })
  const { within, client, sent } = await begin(pool, adapter)
  await within.set('k', 1)
  await client.query('SAVEPOINT here')
  assert.equal((await failure(client.query('SELECT 1 / 0'))).code, '22012')
  const calls = [within.get('k'), within.set('k', 2), within.list('t'), within.getState('b')]
  for (const outcome of await Promise.allSettled(calls)) {
    assert.equal(/** @type {any} */ (outcome).reason?.code, '25P02')
  }
  assert.ok(sent.length <= 5, 'nothing is retried')
  await client.query('ROLLBACK TO here')
  assert.equal(await within.increment('k'), 2)
  await client.query('ROLLBACK')
  assert.equal(await within.get('k'), null)
  client.release()
})

test('a client without a transaction: each statement is one of its own', async () => {
  const { pool, adapter } = await make({ keyPrefix: 'none:' })
  const client = await pool.connect()
  const within = adapter.within(client)
  await within.set('k', 1)
  assert.equal(await adapter.get('k'), 1)
  // A value that the server refuses, and one beside it.
  const [bad, good] = await Promise.allSettled([within.set('k', 'with \0'), within.set('l', 2)])
  assert.equal(/** @type {any} */ (bad).reason.code, '22P05')
  assert.equal(good.status, 'fulfilled')
  assert.deepEqual(await adapter.getMany(['k', 'l']), [1, 2])
  client.release()
})

test('a client that the application uses at the same time', async () => {
  const { pool, adapter } = await make({ keyPrefix: 'shared:' })
  const { within, client, commit } = await begin(pool, adapter)
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, async (_, n) => {
      const [, sum, own, read] = await Promise.all([
        within.set(`k${n}`, n),
        within.increment('sum'),
        client.query('SELECT $1::int AS n', [n]),
        within.get(`k${n}`),
      ])
      assert.equal(own.rows[0].n, n)
      assert.equal(read, n)
      return sum
    }),
  )
  assert.deepEqual(
    outcomes.sort((a, b) => a - b),
    Array.from({ length: 20 }, (_, n) => n + 1),
  )
  // Two adapters on one client, too.
  const other = adapter.within(client)
  assert.deepEqual(await Promise.all([within.get('k1'), other.get('k2'), within.get('k3')]), [1, 2, 3])
  await commit()
})

test('the other adapters: an entry of a cache table, and a result, committed or undone together', async () => {
  const { db, pool } = await make()
  const entries = new PostgresCacheAdapter(db.pool(), { keyPrefix: 'both:' })
  const results = new PostgresIdempotencyAdapter(db.pool(), { keyPrefix: 'both:' })
  await Promise.all([entries.initialize(), results.connect()])
  for (const how of /** @type {const} */ (['rollback', 'commit'])) {
    const transaction = await begin(pool, entries)
    await transaction.within.set('e', how, 60_000)
    await results.within(transaction.client).set('r', [undefined, how], 60_000)
    assert.equal(await entries.get('e'), null)
    await transaction[how]()
  }
  assert.equal(await entries.get('e'), 'commit')
  assert.deepEqual((await results.get('r'))?.value, [null, 'commit'])
})
