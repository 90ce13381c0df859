// @ts-check
// @configurations first
// The end of `await using`: a release that fails there does not fail the work before it, unless an option requests it.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { startProxy } = require('../support/proxy.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()
// A Node 20 without Symbol.asyncDispose has no `await using` either.
const skip = Symbol.asyncDispose === undefined

/** An adapter whose server can become unreachable, and one that always reaches it. */
async function setUp() {
  const db = await database
  const proxy = await startProxy(db.url)
  const adapter = new PostgresAdapter(db.pool({ connectionString: proxy.url, max: 2 }))
  await adapter.connect()
  const takeAway = () => {
    proxy.refuse()
    proxy.cutAll()
  }
  return { adapter, other: new PostgresAdapter(db.pool()), takeAway, giveBack: () => proxy.refuse(false) }
}

/** @param {any} lease */
const dispose = (lease) => lease[Symbol.asyncDispose]()

/** @typedef {(adapter: PostgresAdapter, key: string) => Promise<any>} Take */

for (const [title, take] of /** @type {[string, Take][]} */ ([
  ['lock()', (adapter, key) => adapter.lock(key, { ttl: 600_000 })],
  ['acquire()', (adapter, key) => adapter.acquire(key, 600_000)],
])) {
  test(`${title}: disposal resolves, and the lock is released when the server can be reached`, { skip }, async () => {
    const { adapter, other, takeAway, giveBack } = await setUp()
    const lease = await take(adapter, title)
    takeAway()
    await dispose(lease)
    assert.equal(lease.signal.aborted, false)
    assert.ok(await other.holder(title))
    giveBack()
    await until('it is free', async () => (await other.holder(title)) === null)
  })
}

test('with a given owner there is no background release: the owner may have acquired the lock again', {
  skip,
}, async () => {
  const { adapter, other, takeAway, giveBack } = await setUp()
  const lease = await adapter.lock('named', { ttl: 600_000, owner: 'me' })
  takeAway()
  await dispose(lease)
  const again = await other.acquire('named', 600_000, 'me')
  giveBack()
  // A background release would be done before the pool's end.
  await adapter.disconnect()
  assert.equal(await again?.isValid(), true)
})

test("onReleaseError: 'throw' throws the error of release(), and release() itself always rejects", {
  skip,
}, async () => {
  const { adapter, takeAway } = await setUp()
  const lease = await adapter.lock('strict', { ttl: 600_000, onReleaseError: 'throw' })
  const plain = await adapter.lock('plain', { ttl: 600_000 })
  takeAway()
  const isNetwork = (/** @type {any} */ error) => /^ECONN/.test(error.code)
  await assert.rejects(dispose(lease), isNetwork)
  await assert.rejects(plain.release(), isNetwork)
  await assert.rejects(adapter.lock('bad', { ttl: 1_000, onReleaseError: /** @type {any} */ ('log') }), {
    code: 'ERR_INVALID_ARG_VALUE',
  })
})

for (const [how, wrap] of /** @type {[string, (lease: any) => any][]} */ ([
  ['a Proxy', (lease) => new Proxy(lease, {})],
  ['a Proxy of a Proxy', (lease) => new Proxy(new Proxy(lease, {}), {})],
  [
    'a Proxy that reads of itself',
    (lease) => new Proxy(lease, { get: (all, name, self) => Reflect.get(all, name, self) }),
  ],
  ['Object.create', (lease) => Object.create(lease)],
])) {
  test(`a handle behind ${how} has the same properties, and can be disposed`, async () => {
    const { adapter, other } = await setUp()
    for (const lease of [
      await adapter.lock(how, { ttl: 600_000 }),
      await adapter.acquire(`${how}: acquire`, 600_000),
    ]) {
      assert.ok(lease)
      const wrapped = wrap(lease)
      for (const name of /** @type {const} */ (['key', 'owner', 'signal'])) assert.equal(wrapped[name], lease[name])
      assert.equal(typeof wrapped.expiresAt, 'number')
      // Not every role and table has tokens.
      const token = (/** @type {any} */ one) => {
        try {
          return one.fencingToken
        } catch (/** @type {any} */ error) {
          return error.code
        }
      }
      assert.ok(['bigint', 'string'].includes(typeof token(lease)))
      assert.equal(token(wrapped), token(lease))
      assert.equal(await wrapped.extend(500_000), true)
      await (Symbol.asyncDispose ? dispose(wrapped) : wrapped.release())
      assert.equal(await other.holder(lease.key), null)
    }
  })
}

test('[Symbol.asyncDispose] works detached from its handle, like its methods', { skip }, async () => {
  const { adapter, other } = await setUp()
  const lease = await adapter.lock('detached', { ttl: 600_000 })
  const detached = /** @type {any} */ (lease)[Symbol.asyncDispose]
  await detached()
  assert.equal(await other.holder('detached'), null)
  assert.deepEqual(Object.keys(lease), ['release', 'extend', 'isValid'])
})
