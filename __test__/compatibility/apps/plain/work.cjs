// What an application does with the package, from the first connection to the last: the same for every runtime, module
// system and bundler, which hand in how they got at the package and at pg. The database is at APP_DATABASE_URL.
'use strict'

const assert = require('node:assert/strict')

/**
 * @param {typeof import('goscope-postgres')} goscope
 * @param {any} pg
 * @param {Function} ServerError what a server's error must be an instance of
 */
async function work(goscope, pg, ServerError) {
  const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = goscope
  const connectionString = process.env.APP_DATABASE_URL
  assert.ok(connectionString, 'APP_DATABASE_URL says where the database is')
  const mark = `${process.pid}_${Math.random().toString(36).slice(2)}`
  const pool = new pg.Pool({ connectionString })
  const adapter = new PostgresAdapter(pool, { keyPrefix: `${mark}:` })
  await adapter.connect()
  assert.equal(adapter.isConnected(), true)

  const lock = await adapter.acquire('report', 60_000)
  assert.ok(lock)
  assert.equal(await adapter.acquire('report', 60_000), null)
  assert.equal(await lock.extend(120_000), true)
  assert.equal(await lock.isValid(), true)
  await lock.release()
  assert.equal(await lock.isValid(), false)
  assert.ok(await adapter.acquire('report', 60_000))

  const value = { name: 'Ada', tags: ['a', 'b'], nested: { half: 0.5, none: null }, text: 'Grüße 👋' }
  await adapter.set('user:1', value, 60_000)
  assert.deepStrictEqual(await adapter.get('user:1'), value)
  assert.deepStrictEqual(await adapter.keys('user:%'), ['user:1'])
  assert.equal(await adapter.get('user:2'), null)

  assert.equal(await adapter.recordFailure('payments', 1), 1)
  const breaker = await adapter.getState('payments')
  assert.equal(breaker?.state, 'open')
  assert.equal(typeof breaker?.lastFailureTime, 'number')

  const checkpoint = { id: 'c1', taskId: 'import', sequence: 1, timestamp: 1_700_000_000_000, progress: 50, data: [1] }
  await adapter.save(checkpoint)
  assert.deepStrictEqual(await adapter.loadLatest('import'), checkpoint)

  const results = new PostgresIdempotencyAdapter(pool, { keyPrefix: `${mark}:` })
  await results.set('order', value)
  assert.deepStrictEqual(await results.get('order'), { value })

  const tableName = `app_cache_${mark}`
  const cache = new PostgresCacheAdapter(pool, { tableName })
  await cache.set('a', 1)
  assert.equal(await cache.get('a'), 1)
  assert.deepStrictEqual(await cache.stats(), { hits: 1, misses: 0, size: 1, hitRatio: 1 })

  await assert.rejects(adapter.acquire('report', -1), (error) => {
    return error instanceof RangeError && Reflect.get(error, 'code') === 'ERR_OUT_OF_RANGE'
  })
  await assert.rejects(Reflect.apply(adapter.acquire, adapter, ['report', 'soon']), (error) => {
    return error instanceof TypeError && Reflect.get(error, 'code') === 'ERR_INVALID_ARG_TYPE'
  })
  await pool.query(`DROP TABLE ${tableName}`)
  await assert.rejects(new PostgresCacheAdapter(pool, { tableName, createTables: false }).get('a'), (error) => {
    return error instanceof ServerError && error instanceof Error && Reflect.get(error, 'code') === '42P01'
  })

  await adapter.disconnect()
  assert.equal(adapter.isConnected(), false)
  await assert.rejects(adapter.get('user:1'), Error)
}

/** What runs this, and its version. */
function runtime() {
  const { bun, deno, node } = process.versions
  return deno ? `deno ${deno}` : bun ? `bun ${bun}` : `node ${node}`
}

module.exports = { runtime, work }
