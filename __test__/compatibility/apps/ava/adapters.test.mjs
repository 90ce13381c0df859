import { randomUUID } from 'node:crypto'
import { isMainThread } from 'node:worker_threads'
import test from 'ava'
import { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } from 'goscope-postgres'
import pg from 'pg'

test.before((t) => {
  t.log(isMainThread ? 'in a process' : 'in a worker thread')
})

test.beforeEach(async (t) => {
  const keyPrefix = `${randomUUID()}:`
  const pool = new pg.Pool({ connectionString: process.env.APP_DATABASE_URL })
  const adapter = new PostgresAdapter(pool, { keyPrefix })
  await adapter.connect()
  t.context = { adapter, keyPrefix, pool }
})

test.afterEach.always((t) => t.context.adapter.disconnect())

test('a lock has one holder', async (t) => {
  const { adapter } = t.context
  const lock = await adapter.acquire('report', 60_000)
  t.truthy(lock)
  t.is(await adapter.acquire('report', 60_000), null)
  await lock.release()
  t.truthy(await adapter.acquire('report', 60_000))
})

test('values come back deeply equal', async (t) => {
  const { adapter, keyPrefix, pool } = t.context
  const value = { name: 'Ada', tags: ['a', { b: [] }], nested: { half: 0.5, none: null } }
  await adapter.set('user', value)
  t.deepEqual(await adapter.get('user'), value)
  t.deepEqual(await adapter.keys(), ['user'])
  const results = new PostgresIdempotencyAdapter(pool, { keyPrefix })
  await results.set('order', value)
  t.deepEqual(await results.get('order'), { value })
})

test('bad arguments', async (t) => {
  const { adapter } = t.context
  await t.throwsAsync(adapter.acquire('report', -1), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' })
  await t.throwsAsync(adapter.acquire('report', 'soon'), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => new PostgresAdapter(42), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' })
})

test("the server's error", async (t) => {
  const { pool } = t.context
  const tableName = `dropped_${randomUUID()}`
  await new PostgresCacheAdapter(pool, { tableName }).initialize()
  await pool.query(`DROP TABLE "${tableName}"`)
  const cache = new PostgresCacheAdapter(pool, { tableName, createTables: false })
  await t.throwsAsync(cache.get('a'), { instanceOf: Error, code: '42P01' })
  await t.throwsAsync(cache.get('a'), { instanceOf: pg.DatabaseError })
})
