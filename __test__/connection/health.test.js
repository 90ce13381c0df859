// @ts-check
// @configurations first
// health(): whether an adapter can serve calls now.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { startProxy } = require('../support/proxy.js')
const { inTime, until } = require('../support/waiting.js')

const database = useDatabase()
/** Longer than any stall. */
const PATIENT = { timeout: 60_000 }

test('an adapter whose server answers is ready', async () => {
  const pool = (await database).pool({ max: 3 })
  for (const Adapter of [PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter]) {
    const adapter = new Adapter(pool)
    const { ready, error, latency, ...state } = await adapter.health(PATIENT)
    assert.deepEqual({ ready, error }, { ready: true, error: null })
    assert.ok(latency !== null && latency > 0)
    assert.equal(state.pool.max, 3)
    assert.ok(state.pool.open >= 1)
    assert.deepEqual(Object.keys(state), ['pool', 'pipelines', 'calls', 'listening'])
  }
})

test('it makes no table', async () => {
  const db = await database
  await new PostgresAdapter(db.pool(), { keyPrefix: 'health' }).health(PATIENT)
  const tables = await db.query("SELECT FROM pg_tables WHERE tablename LIKE 'go_goscope%'")
  assert.equal(tables.length, 0)
})

test('a server that refuses connections: not ready, with the code of the failure', async () => {
  const adapter = new PostgresAdapter('postgres://nobody@127.0.0.1:1/none')
  const { ready, error, latency, pool } = await inTime('the answer', adapter.health(PATIENT))
  assert.deepEqual({ ready, latency, open: pool.open }, { ready: false, latency: null, open: 0 })
  assert.equal(/** @type {any} */ (error).code, 'ECONNREFUSED')
  await adapter.close()
})

test('a server that is silent: not ready when the time is over; checks share a ping; ready again afterwards', async () => {
  const proxy = await startProxy((await database).url)
  const adapter = new PostgresAdapter({ connectionString: proxy.url, connectionTimeoutMillis: 60_000 })
  assert.equal((await adapter.health(PATIENT)).ready, true)
  const pings = () => adapter.metrics().operations.ping?.calls
  const before = pings()
  proxy.swallow()
  for (let n = 0; n < 5; n++) {
    const { ready, error, calls } = await inTime('the answer', adapter.health({ timeout: 50 }))
    assert.equal(ready, false)
    assert.equal(/** @type {any} */ (error).code, 'ETIMEDOUT')
    assert.match(String(error?.message), /50 ms/)
    assert.ok(calls.inFlight <= 1, `${calls.inFlight} calls`)
  }
  assert.equal(pings(), before, 'none has been answered')
  proxy.stopSwallowing()
  proxy.cutAll()
  await until('it is ready', async () => (await adapter.health({ timeout: 500 })).ready)
  await adapter.close()
  await proxy.stop()
})

test('after its connections have been lost without a word, a later check finds a server that answers others', async () => {
  const proxy = await startProxy((await database).url)
  const adapter = new PostgresAdapter({ connectionString: proxy.url, max: 3 })
  await adapter.connect()
  const holder = await (await database).hold('LOCK go_goscope_cache')
  const waiting = ['a', 'b', 'c'].map((key) => adapter.set(key, 1))
  await until('it has several connections', () => proxy.open > 1)
  await holder.commit()
  await Promise.all(waiting)
  proxy.swallow()
  proxy.stopSwallowing()
  const early = adapter.health({ timeout: 50 })
  const patient = adapter.health(PATIENT)
  assert.equal((await inTime('the first answer', early)).ready, false)
  // It has joined the ping that is lost, and sends another one.
  assert.equal((await inTime('the second answer', patient)).ready, true)
  const { ready, pool } = await adapter.health(PATIENT)
  assert.equal(ready, true)
  assert.ok(pool.open <= 2, `the lost connections are given up, and ${pool.open} are open`)
  await inTime('the end', adapter.close())
  await proxy.stop()
})

test('while all connections wait for a lock, it is not ready, and says so by its pipelines', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool({ max: 1 }))
  await adapter.set('held', 1)
  const holder = await db.hold("SELECT FROM go_goscope_cache WHERE key = 'cache:held' FOR UPDATE")
  const blocked = adapter.set('held', 2)
  await db.untilWaiting()
  await sleep(20)
  const { pipelines } = await adapter.health({ timeout: 50 })
  assert.equal(pipelines.blocked, 1)
  await holder.commit()
  await blocked
  assert.equal((await adapter.health(PATIENT)).ready, true)
})

test('a closed adapter is not ready, and another one on its pool is', async () => {
  const pool = (await database).pool()
  const [closed, other] = [new PostgresAdapter(pool), new PostgresAdapter(pool)]
  await closed.close()
  const { ready, error } = await closed.health(PATIENT)
  assert.deepEqual([ready, /** @type {any} */ (error).code], [false, 'ERR_ADAPTER_CLOSED'])
  assert.equal((await other.health(PATIENT)).ready, true)
})

test('what is wrong is refused by name, and so is a check within a transaction', async () => {
  const db = await database
  const adapter = /** @type {any} */ (new PostgresAdapter(db.pool()))
  await assert.rejects(adapter.health({ timeout: 0 }), { code: 'ERR_OUT_OF_RANGE', message: /options\.timeout/ })
  await assert.rejects(adapter.health({ timeout: '1' }), { code: 'ERR_INVALID_ARG_TYPE', message: /options\.timeout/ })
  const client = await db.clients().connect()
  await client.query('BEGIN')
  await assert.rejects(adapter.within(client).health(), { code: 'ERR_WITHIN_TRANSACTION' })
  client.release()
})
