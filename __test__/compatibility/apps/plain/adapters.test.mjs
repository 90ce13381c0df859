import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { PostgresAdapter, PostgresCacheAdapter } from 'goscope-postgres'
import pg from 'pg'

describe('an application under node:test', () => {
  const pool = new pg.Pool({ connectionString: process.env.APP_DATABASE_URL })
  const adapter = new PostgresAdapter(pool, { keyPrefix: `${randomUUID()}:` })
  before(() => adapter.connect())
  after(() => adapter.disconnect())

  it('locks', async () => {
    const lock = await adapter.acquire('report', 60_000)
    assert.ok(lock)
    assert.equal(await adapter.acquire('report', 60_000), null)
    await lock.release()
    assert.ok(await adapter.acquire('report', 60_000))
  })

  it('remembers', async () => {
    const value = { name: 'Ada', tags: ['a', { b: [] }] }
    await adapter.set('user', value)
    assert.deepStrictEqual(await adapter.get('user'), value)
  })

  it('refuses and fails', async () => {
    await assert.rejects(adapter.acquire('report', -1), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
    const tableName = `dropped_${randomUUID()}`
    await new PostgresCacheAdapter(pool, { tableName }).initialize()
    await pool.query(`DROP TABLE "${tableName}"`)
    const cache = new PostgresCacheAdapter(pool, { tableName, createTables: false })
    await assert.rejects(cache.get('a'), (error) => error instanceof pg.DatabaseError && error.code === '42P01')
  })
})
