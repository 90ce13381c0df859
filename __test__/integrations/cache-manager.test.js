// @ts-check
// @configurations first
// cache-manager, as npm installs it, on the store for Keyv. Its own tests are not published.
'use strict'

const assert = require('node:assert/strict')
const { before, test } = require('node:test')
const { KeyvStore } = require('goscope-postgres/keyv')
const { useDatabase } = require('../support/database.js')
const { REFUSING } = require('../support/integrations.js')
const { install } = require('../support/libraries/library.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()
/** @type {any} */
let Keyv
/** @type {(options: object) => any} */
let createCache

before(async () => {
  const { load } = await install(['cache-manager@7.2.9', 'keyv@5.6.0'])
  ;({ Keyv } = await load('keyv'))
  ;({ createCache } = await load('cache-manager'))
})

let made = 0
const newPrefix = () => `${++made}:`

/** @param {object} [options] @param {string} [keyPrefix] */
async function make(options, keyPrefix = newPrefix()) {
  const keyv = new Keyv({ store: new KeyvStore((await database).plain, { keyPrefix }) })
  return createCache({ stores: [keyv], ...options })
}

test('get, set and del, until an entry expires', async () => {
  const cache = await make()
  assert.equal(await cache.get('a'), undefined)
  assert.deepEqual(await cache.set('a', { v: 1 }), { v: 1 })
  await cache.set('short', 1, 50)
  assert.deepEqual(await cache.get('a'), { v: 1 })
  await until('it has expired', async () => (await cache.get('short')) === undefined)
  assert.equal(await cache.del('a'), true)
  assert.equal(await cache.get('a'), undefined)
})

test('mset, mget and mdel', async () => {
  const cache = await make()
  const list = [
    { key: 'a', value: 1, ttl: undefined },
    { key: 'b', value: null, ttl: undefined },
    { key: 'c', value: [3], ttl: 60_000 },
  ]
  assert.deepEqual(await cache.mset(list), list)
  assert.deepEqual(await cache.mget(['c', 'missing', 'a', 'b']), [[3], undefined, 1, null])
  assert.equal(await cache.mdel(['a', 'c']), true)
  assert.deepEqual(await cache.mget(['a', 'b', 'c']), [undefined, null, undefined])
})

test('ttl tells the end of an entry', async () => {
  const cache = await make({ ttl: 60_000 })
  const since = Date.now()
  await cache.set('default', 1)
  await cache.set('own', 1, 600_000)
  assert.ok((await cache.ttl('default')) >= since + 60_000 && (await cache.ttl('default')) <= Date.now() + 60_000)
  assert.ok((await cache.ttl('own')) >= since + 600_000)
  assert.equal(await cache.ttl('missing'), undefined)
})

test('wrap computes once for concurrent callers, and no more while the entry lives, in any process', async () => {
  const keyPrefix = newPrefix()
  const [cache, elsewhere] = [await make({}, keyPrefix), await make({}, keyPrefix)]
  let computed = 0
  const compute = async () => ({ computed: ++computed })
  const all = await Promise.all(Array.from({ length: 10 }, () => cache.wrap('k', compute, { ttl: 60_000 })))
  assert.deepEqual(new Set(all.map((each) => each.computed)), new Set([1]))
  assert.deepEqual(await elsewhere.wrap('k', compute, 60_000), { computed: 1 })
  await cache.del('k')
  assert.deepEqual(await elsewhere.wrap('k', compute, 60_000), { computed: 2 })
})

test('wrap computes again when the entry has expired, and does not store a failure', async () => {
  const cache = await make()
  let computed = 0
  await assert.rejects(
    cache.wrap('k', async () => {
      throw new Error('out of order')
    }),
    /out of order/,
  )
  assert.equal(await cache.get('k'), undefined)
  assert.equal(await cache.wrap('k', async () => ++computed, 50), 1)
  await until('it has expired', async () => (await cache.get('k')) === undefined)
  assert.equal(await cache.wrap('k', async () => ++computed, 60_000), 2)
})

test('wrap refreshes an entry before it expires', async () => {
  const cache = await make()
  let computed = 0
  const wrapped = () => cache.wrap('k', async () => ++computed, { ttl: 60_000, refreshThreshold: 59_999_999 })
  assert.equal(await wrapped(), 1)
  assert.equal(await wrapped(), 1)
  await until('it is refreshed', async () => (await cache.get('k')) > 1)
})

test('a second store behind one in memory', async () => {
  const keyPrefix = newPrefix()
  const shared = async () => new Keyv({ store: new KeyvStore((await database).plain, { keyPrefix }) })
  const [one, other] = await Promise.all([0, 1].map(async () => createCache({ stores: [new Keyv(), await shared()] })))
  await one.set('k', 'v')
  assert.equal(await other.stores[0].get('k'), undefined)
  assert.equal(await other.wrap('k', () => assert.fail('it is stored')), 'v')
  assert.equal(await other.stores[0].get('k'), 'v')
  await one.clear()
  assert.equal(await one.get('k'), undefined)
  assert.equal(await (await shared()).get('k'), undefined)
})

test('clear empties this namespace, and disconnect ends what the store has opened', async () => {
  const cache = await make()
  const own = createCache({ stores: [new Keyv({ store: new KeyvStore((await database).url), namespace: 'own' })] })
  await own.set('k', 'stays')
  await cache.set('k', 1)
  assert.equal(await cache.clear(), true)
  assert.equal(await cache.get('k'), undefined)
  assert.equal(await own.get('k'), 'stays')
  await own.disconnect()
  await assert.rejects(own.stores[0].opts.store.get('k'), { code: 'ERR_ADAPTER_CLOSED' })
})

test('a failure reaches a listener of the store', async () => {
  const keyv = new Keyv({ store: new KeyvStore(REFUSING) })
  /** @type {string[]} */
  const codes = []
  keyv.on('error', (/** @type {any} */ error) => codes.push(error.code))
  const cache = createCache({ stores: [keyv] })
  assert.equal(await cache.get('k'), undefined)
  assert.deepEqual(codes, ['ECONNREFUSED'])
  assert.equal(await cache.wrap('k', async () => 'computed'), 'computed')
  assert.ok(codes.length > 1)
  await cache.disconnect()
})
