// @ts-check
// @configurations every
// Adapters behind a Proxy, as code for pg wraps its stores: for tracing, for mocks, for lazy access.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()

/** @type {[string, (adapter: any) => any][]} */
const PROXIES = [
  ['without traps', (adapter) => new Proxy(adapter, {})],
  [
    'that reads with itself as the receiver',
    (adapter) => new Proxy(adapter, { get: (...read) => Reflect.get(...read) }),
  ],
  [
    'that counts calls',
    (adapter) =>
      new Proxy(adapter, {
        get(target, name, proxy) {
          const value = Reflect.get(target, name, proxy)
          if (typeof value !== 'function') return value
          return Object.assign((/** @type {any[]} */ ...given) => value.apply(proxy, given), value)
        },
      }),
  ],
  ['around another', (adapter) => new Proxy(new Proxy(adapter, {}), {})],
  ['that is an object with the adapter as its prototype', (adapter) => Object.create(adapter)],
]

for (const [title, proxied] of PROXIES) {
  test(`each method of the three classes works on a Proxy ${title}`, async () => {
    const db = await database
    const pool = db.pool()
    const keyPrefix = `${title}:`

    const adapter = proxied(new PostgresAdapter(pool, { keyPrefix }))
    await adapter.connect()
    assert.equal(adapter.isConnected(), true)
    await (await adapter.acquire('lock', 60_000)).release()
    await (await adapter.lock('lock', { ttl: 60_000 })).release()
    await (await adapter.lock.acquire('lock', 60_000)).release()
    assert.equal(await adapter.holder('lock'), null)
    await adapter.set('key', 1)
    assert.equal(await adapter.get('key'), 1)
    assert.equal(await adapter.getOrSet('computed', () => 2), 2)
    assert.deepEqual((await adapter.keys()).sort(), ['computed', 'key'])
    assert.equal(await adapter.recordFailure('circuit', 3), 1)
    adapter.subscribe('circuit', () => {})()
    await adapter.save({ id: 'c', taskId: 't', sequence: 1, timestamp: 1, progress: 1, data: 1 })
    assert.equal((await adapter.loadLatest('t')).data, 1)
    assert.ok(adapter.metrics().operations['cache.get'].calls >= 1)
    await adapter.ping()

    const cache = proxied(new PostgresCacheAdapter(pool, { keyPrefix }))
    await cache.initialize()
    await cache.set('key', 1)
    assert.equal(await cache.get('key'), 1)
    assert.equal(await cache.prune(), 0)
    const { hits, misses } = await cache.stats()
    assert.deepEqual({ hits, misses }, { hits: 1, misses: 0 })

    const results = proxied(new PostgresIdempotencyAdapter(pool, { keyPrefix }))
    await results.connect()
    assert.equal(await results.run('key', () => 3), 3)
    assert.equal((await results.get('key')).value, 3)
    await results.close()

    await adapter.disconnect()
    assert.equal(adapter.isConnected(), false)
  })
}

test('a subclass behind a Proxy calls inherited methods', async () => {
  class Counting extends PostgresAdapter {
    calls = 0

    /** @override @param {string} key @returns {Promise<any>} */
    async get(key) {
      this.calls++
      return await super.get(key)
    }
  }
  const adapter = new Proxy(new Counting((await database).pool()), {})
  assert.equal(await adapter.get('absent'), null)
  assert.equal(adapter.calls, 1)
})

test('the mechanism that lets methods work there is not visible', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  assert.deepEqual(Object.keys(adapter), [])
  assert.deepEqual({ ...adapter }, {})
  assert.equal(JSON.stringify(adapter), '{}')
})
