const { randomUUID } = require('node:crypto')
const { Pool } = require('pg')
const { PostgresAdapter } = require('goscope-postgres')

let adapter

beforeAll(async () => {
  const pool = new Pool({ connectionString: process.env.APP_DATABASE_URL })
  adapter = new PostgresAdapter(pool, { keyPrefix: `${randomUUID()}:` })
  await adapter.connect()
})

afterAll(() => adapter.disconnect())

test('a lock has one holder', async () => {
  const lock = await adapter.acquire('report', 60_000)
  expect(lock).toStrictEqual({
    release: expect.any(Function),
    extend: expect.any(Function),
    isValid: expect.any(Function),
  })
  await expect(adapter.acquire('report', 60_000)).resolves.toBeNull()
  await lock.release()
  expect(await adapter.acquire('report', 60_000)).not.toBeNull()
})

test('a breaker counts', async () => {
  expect(await adapter.recordFailure('payments', 2)).toBe(1)
  const lastFailureTime = expect.any(Number)
  expect(await adapter.getState('payments')).toStrictEqual({ state: 'closed', failureCount: 1, lastFailureTime })
})

test('a bad argument', async () => {
  await expect(adapter.acquire('report', -1)).rejects.toBeInstanceOf(RangeError)
  await expect(adapter.acquire('report', -1)).rejects.toBeInstanceOf(Error)
  await expect(adapter.acquire('report', -1)).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  await expect(adapter.acquire('report', 'soon')).rejects.toBeInstanceOf(TypeError)
  await expect(adapter.acquire('report', 'soon')).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  await expect(adapter.acquire('report', 'soon')).rejects.toThrow(/ttl/)
  expect(() => new PostgresAdapter(42)).toThrow(TypeError)
})
