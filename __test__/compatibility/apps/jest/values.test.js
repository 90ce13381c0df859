const { randomUUID } = require('node:crypto')
const { DatabaseError, Pool } = require('pg')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')

const keyPrefix = `${randomUUID()}:`
const value = { name: 'Ada', tags: ['a', { b: [] }], nested: { half: 0.5, none: null } }
let adapter
let pool

beforeEach(async () => {
  pool = new Pool({ connectionString: process.env.APP_DATABASE_URL })
  adapter = new PostgresAdapter(pool, { keyPrefix })
  await adapter.connect()
})

afterEach(() => adapter.disconnect())

test('what comes back is what toStrictEqual takes for the same', async () => {
  await adapter.set('user', value)
  const user = await adapter.get('user')
  expect(user).toStrictEqual(value)
  expect(user).toBeInstanceOf(Object)
  expect(user.tags).toBeInstanceOf(Array)
  expect(await adapter.keys()).toStrictEqual(['user'])
  const checkpoint = {
    id: 'c1',
    taskId: 'import',
    sequence: 1,
    timestamp: 1_700_000_000_000,
    progress: 50,
    data: value,
  }
  await adapter.save(checkpoint)
  expect(await adapter.load('c1')).toStrictEqual(checkpoint)
  expect(await adapter.list('import')).toStrictEqual([checkpoint])
  const results = new PostgresIdempotencyAdapter(pool, { keyPrefix })
  await results.set('order', value)
  expect(await results.get('order')).toStrictEqual({ value })
  const cache = new PostgresCacheAdapter(pool, { keyPrefix })
  await cache.set('a', value)
  expect(await cache.get('a')).toStrictEqual(value)
  expect(await cache.stats()).toStrictEqual({ hits: 1, misses: 0, size: 1, hitRatio: 1 })
})

test("the server's error", async () => {
  const tableName = `dropped_${randomUUID()}`
  await new PostgresCacheAdapter(pool, { tableName }).initialize()
  await pool.query(`DROP TABLE "${tableName}"`)
  const cache = new PostgresCacheAdapter(pool, { tableName, createTables: false })
  await expect(cache.get('a')).rejects.toBeInstanceOf(Error)
  await expect(cache.get('a')).rejects.toBeInstanceOf(DatabaseError)
  await expect(cache.get('a')).rejects.toMatchObject({ code: '42P01' })
  await expect(cache.get('a')).rejects.toThrow(`relation "${tableName}" does not exist`)
})

test("the network's error", async () => {
  const nowhere = new PostgresAdapter(new Pool({ host: '127.0.0.1', port: 1 }))
  await expect(nowhere.connect()).rejects.toBeInstanceOf(Error)
  await expect(nowhere.connect()).rejects.toMatchObject({ code: 'ECONNREFUSED', port: 1 })
  await nowhere.disconnect()
  await expect(nowhere.connect()).rejects.toBeInstanceOf(Error)
})
