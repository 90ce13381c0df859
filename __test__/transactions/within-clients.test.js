// @ts-check
// @configurations first
// What within(client) takes and refuses, the tables that it finds, and what is counted of its calls.
'use strict'

const assert = require('node:assert/strict')
const { channel } = require('node:diagnostics_channel')
const { test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { begin, failure } = require('../support/transactions.js')

const database = useDatabase()
const [other, unprepared, absent, ranked] = Array.from({ length: 4 }, () => useDatabase())

async function make(of = database) {
  const db = await of
  const pool = db.pool()
  const adapter = new PostgresAdapter(pool)
  return { db, pool, adapter }
}

test('a pool is refused at once, and so is what has no query()', async () => {
  const { pool, adapter } = await make()
  const all = [adapter, new PostgresCacheAdapter(pool), new PostgresIdempotencyAdapter(pool)]
  for (const each of all) {
    // @ts-expect-error a pool is no client
    assert.throws(() => each.within(pool), { code: 'ERR_INVALID_ARG_VALUE', name: 'TypeError', message: /is a pool/ })
    for (const bad of [undefined, null, 'client', 1, {}, { query: true }, () => {}]) {
      assert.throws(() => each.within(/** @type {any} */ (bad)), { code: 'ERR_INVALID_ARG_TYPE', name: 'TypeError' })
    }
  }
})

test('a client that is not connected, or no longer', async () => {
  const { db, adapter } = await make()
  await adapter.connect()
  const client = new pg.Client({ connectionString: db.url })
  const within = adapter.within(client)
  const error = await failure(within.set('k', 1))
  assert.deepEqual([error.code, error.name], ['ERR_INVALID_ARG_VALUE', 'TypeError'])
  assert.match(error.message, /not connected/)
  await client.connect()
  await within.set('k', 1)
  assert.equal(await within.get('k'), 1)
  await client.end()
  assert.match((await failure(within.get('k'))).message, /closed|ended|not queryable/)
})

test('a client that connects while the call waits', async () => {
  const { db, adapter } = await make()
  await adapter.connect()
  const client = new pg.Client({ connectionString: db.url })
  const connecting = client.connect()
  await adapter.within(client).set('connecting', 1)
  await connecting
  await client.end()
})

test('a client of another database: its error has a hint, and the adapter still works', async () => {
  const { adapter } = await make()
  await adapter.connect()
  const foreign = (await other).pool()
  const { within, rollback } = await begin(foreign, adapter)
  const error = await failure(within.set('k', 1))
  assert.deepEqual([error.code, error instanceof pg.DatabaseError], ['42P01', true])
  assert.match(error.hint, /connected to the database of the adapter/)
  await rollback()
  await adapter.set('k', 2)
  assert.equal(await adapter.get('k'), 2)
})

test('an error is the very object that the driver gave', async () => {
  const { adapter } = await make()
  await adapter.connect()
  for (const thrown of [new RangeError('mine'), Object.assign(new Error('40001'), { code: '40001' }), 'no error', 7]) {
    const client = { query: async () => Promise.reject(thrown) }
    assert.equal(await failure(adapter.within(client).get('k')), thrown)
  }
  // Also if several calls, or the entries of one, share a statement that fails.
  const failing = new RangeError('shared')
  const shared = adapter.within({ query: async () => Promise.reject(failing) })
  const entries = /** @type {[string, number][]} */ ([
    ['a', 1],
    ['b', 2],
  ])
  const calls = [shared.get('a'), shared.get('b'), shared.get('c'), shared.getMany(['a', 'b']), shared.setMany(entries)]
  for (const outcome of await Promise.allSettled(calls)) {
    assert.equal(/** @type {any} */ (outcome).reason, failing)
  }
  // An error to which no hint can be added.
  const frozen = Object.freeze(Object.assign(new Error('frozen'), { code: '42P01' }))
  assert.equal(await failure(adapter.within({ query: async () => Promise.reject(frozen) }).get('k')), frozen)
  const throwing = {
    query() {
      throw new RangeError('at once')
    },
  }
  assert.ok((await failure(adapter.within(/** @type {any} */ (throwing)).get('k'))) instanceof RangeError)
})

test('clients that all fail at once: each call has the error of its own', async () => {
  const { adapter } = await make()
  await adapter.connect()
  // More than the errors of connections that are kept for calls which wait.
  const errors = Array.from({ length: 600 }, (_, n) => new Error(`of client ${n}`))
  const calls = errors.map((error) => adapter.within({ query: async () => Promise.reject(error) }).get('k'))
  const outcomes = await Promise.allSettled(calls)
  const wrong = outcomes.filter((outcome, n) => /** @type {any} */ (outcome).reason !== errors[n])
  assert.equal(wrong.length, 0)
})

test('a client whose answers are no rows of the statement', async () => {
  const { adapter } = await make()
  await adapter.connect()
  const answers = [undefined, null, [{}], {}, { rows: 1 }, { rows: [{}] }, { rows: [null] }, { rows: [{ record: 7 }] }]
  for (const answer of answers) {
    const error = await failure(adapter.within({ query: async () => /** @type {any} */ (answer) }).get('k'))
    assert.equal(error.code, 'ERR_INVALID_ARG_VALUE', JSON.stringify(answer))
  }
  const garbled = adapter.within({ query: async () => ({ rows: [{ record: 'zz' }] }) })
  assert.match((await failure(garbled.get('k'))).message, /record/)
  // The next call is not affected.
  let calls = 0
  const recovering = adapter.within({ query: async () => (calls++ === 0 ? /** @type {any} */ ({}) : { rows: [] }) })
  const outcomes = await Promise.allSettled([recovering.get('a'), recovering.set('b', 1)])
  assert.deepEqual([outcomes[0].status, calls], ['rejected', 2])
})

test('tables that are not there yet are made through the pool, and stay when the transaction is undone', async () => {
  const { db, pool, adapter } = await make(unprepared)
  const { within, sent, query, rollback } = await begin(pool, adapter)
  const first = within.set('k', 1)
  assert.deepEqual(sent, [], 'the table comes first')
  const second = within.get('k')
  const third = within.recordFailure('b', 1)
  assert.deepEqual(await Promise.all([first, second, third]), [undefined, 1, 1])
  assert.equal((await query('SELECT count(*)::int AS n FROM go_goscope_cache', []))[0].n, 1)
  await rollback()
  assert.deepEqual(await db.query('SELECT key FROM go_goscope_cache UNION SELECT key FROM go_goscope_circuit'), [])
  assert.equal(await adapter.get('k'), null)
})

test('tables that are absent and may not be made: the error is that of the server, and the tables are found later', async () => {
  const db = await absent
  const pool = db.pool()
  const adapter = new PostgresAdapter(pool, { createTables: false })
  const { within, rollback } = await begin(pool, adapter)
  const outcomes = await Promise.allSettled([within.set('k', 1), within.get('k'), within.list('t')])
  assert.deepEqual(
    outcomes.map((outcome) => /** @type {any} */ (outcome).reason?.code),
    ['42P01', '25P02', '25P02'],
  )
  await rollback()
  // Which are found as soon as they are there.
  await new PostgresAdapter(db.pool()).connect()
  const next = await begin(pool, adapter)
  await next.within.set('k', 1)
  await next.commit()
  assert.equal(await adapter.get('k'), 1)
})

test('an adapter of a subclass', async () => {
  class Mine extends PostgresAdapter {
    #own = 'mine'
    get own() {
      return this.#own
    }
  }
  const db = await database
  const pool = db.pool()
  const adapter = new Mine(pool, { keyPrefix: 'sub:' })
  const { within, commit } = await begin(pool, adapter)
  await within.set('k', adapter.own)
  await commit()
  assert.equal(await adapter.get('k'), 'mine')
})

test('what cannot be done within a transaction rejects, and sends nothing', async () => {
  const { pool, adapter } = await make()
  const { within, sent, rollback } = await begin(pool, adapter)
  const refused = /** @type {any} */ (within)
  const calls = [
    'acquire',
    'extend',
    'release',
    'forceRelease',
    'lock',
    'holder',
    'getOrSet',
    'connect',
    'disconnect',
    'close',
    'ping',
  ]
  for (const method of calls) {
    assert.equal((await failure(refused[method]('k', 1_000, 'o'))).code, 'ERR_WITHIN_TRANSACTION', method)
  }
  for (const method of ['semaphore', 'subscribe', 'within']) {
    assert.throws(() => refused[method]('k', () => {}), { code: 'ERR_WITHIN_TRANSACTION' })
  }
  assert.deepEqual(sent, [])
  await rollback()
  assert.equal(pool.ending, false)
})

test('metrics and traces have the calls within', async () => {
  const { pool, adapter } = await make()
  await adapter.connect()
  const { within, client, commit } = await begin(pool, adapter)
  /** @type {any[]} */
  const traced = []
  const on = (/** @type {any} */ context) => void traced.push(context)
  channel('tracing:goscope-postgres:cache.set:start').subscribe(on)
  const before = adapter.metrics().operations['cache.set']
  assert.equal(before, undefined)
  await within.set('counted', 1)
  await failure(within.set('counted', 'with \0'))
  await client.query('ROLLBACK')
  channel('tracing:goscope-postgres:cache.set:start').unsubscribe(on)
  assert.deepEqual(
    traced.map(({ key }) => key),
    ['counted', 'counted'],
  )
  const after = adapter.metrics().operations['cache.set']
  assert.equal(after?.calls, 2)
  assert.equal(after?.errors['22P05'], 1)
  assert.deepEqual(within.metrics().operations['cache.set'], after)
  await commit()
})

test('keys of VARCHAR(255), times with a time zone, JSON in TEXT, and a session of another zone and format', async () => {
  const { db, pool, adapter } = await make(ranked)
  await db.query(`
    CREATE TABLE go_goscope_cache (key VARCHAR(255) PRIMARY KEY, value TEXT NOT NULL, expires_at TIMESTAMPTZ, accessed_at TIMESTAMPTZ);
    CREATE TABLE go_goscope_circuit (key VARCHAR(255) PRIMARY KEY, state VARCHAR(20) NOT NULL, failure_count SMALLINT NOT NULL
      DEFAULT 0, last_failure_time TIMESTAMPTZ, last_success_time TIMESTAMPTZ, updated_at TIMESTAMPTZ NOT NULL DEFAULT now());
    CREATE TABLE go_goscope_checkpoints (id VARCHAR(255) PRIMARY KEY, task_id VARCHAR(255) NOT NULL, sequence INTEGER NOT NULL,
      timestamp BIGINT NOT NULL, progress INTEGER NOT NULL, data TEXT NOT NULL, estimated_time_remaining INTEGER,
      created_at TIMESTAMPTZ DEFAULT now())`)
  const { within, query, commit } = await begin(pool, adapter)
  await query("SET LOCAL TimeZone = 'Pacific/Apia'", [])
  await query("SET LOCAL DateStyle = 'SQL, DMY'", [])
  await query("SET LOCAL bytea_output = 'escape'", [])
  await query('SET LOCAL extra_float_digits = -15', [])
  await query('SET LOCAL search_path = pg_temp, public', [])
  const since = await db.clock()
  await within.set('k', { n: 0.1 + 0.2 }, 60_000)
  await within.setMany([
    ['l', 1],
    ['m', 2, 60_000],
  ])
  assert.deepEqual(await within.getMany(['k', 'l', 'm', 'n']), [{ n: 0.1 + 0.2 }, 1, 2, null])
  assert.deepEqual((await within.keys('%')).sort(), ['k', 'l', 'm'])
  const long = 'k'.repeat(300)
  await within.set(long, 'long')
  assert.equal(await within.get(long), 'long')
  await within.setState('b', { state: 'half-open', failureCount: 2, lastFailureTime: 1_700_000_000_123 })
  assert.deepEqual(await within.getState('b'), {
    state: 'half-open',
    failureCount: 2,
    lastFailureTime: 1_700_000_000_123,
  })
  assert.equal(await within.recordFailure('b', 3), 3)
  const saved = {
    id: 'c',
    taskId: 't',
    sequence: 1,
    timestamp: 2 ** 40,
    progress: 50,
    data: 'x',
    estimatedTimeRemaining: 0,
  }
  await within.save(saved)
  assert.deepEqual(await within.list('t'), [saved])
  await commit()
  const [{ left }] = await db.query(
    "SELECT extract(epoch FROM expires_at)::float8 * 1e3 AS left FROM go_goscope_cache WHERE key = 'cache:k'",
  )
  assert.ok(left >= since + 60_000 - 1 && left <= (await db.clock()) + 60_000)
  assert.deepEqual(await adapter.get('k'), { n: 0.1 + 0.2 })
})
