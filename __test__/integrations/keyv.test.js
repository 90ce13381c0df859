// @ts-check
// @configurations first
// The store for Keyv 5 and 6, as npm installs them.
'use strict'

const assert = require('node:assert/strict')
const { before, test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { KeyvStore } = require('goscope-postgres/keyv')
const { useDatabase } = require('../support/database.js')
const { REFUSING, assertEndsItsOwn, assertRefusesOptions } = require('../support/integrations.js')
const { install } = require('../support/libraries/library.js')
const { TYPES, compile } = require('../support/libraries/types.js')
const { until } = require('../support/waiting.js')

const SPECS = ['keyv5@npm:keyv@5.6.0', 'keyv6@npm:keyv@6.1.0']

const database = useDatabase()
/** @type {Awaited<ReturnType<typeof install>>} */
let installed

before(async () => {
  installed = await install([...SPECS, ...TYPES])
})

/** @param {string} version @returns {Promise<any>} */
const keyvOf = async (version) => (await installed.load(version)).Keyv

for (const version of ['keyv5', 'keyv6']) {
  /** @param {object} [options] of the store */
  const make = async (options) => {
    const db = await database
    const keyPrefix = `${Math.random()}:`
    const namespace = 'ns'
    const Keyv = await keyvOf(version)
    const store = () => new KeyvStore(db.plain, { keyPrefix, ...options })
    const keyv = (given = {}) => new Keyv({ store: store(), namespace, ...given })
    return { db, keyPrefix, keyv, store }
  }

  test(`${version}: what was written is read, one by one and together, until the server says that it has expired`, async () => {
    const { keyv } = await make()
    const one = keyv()
    assert.equal(await one.get('a'), undefined)
    assert.equal(await one.set('a', { v: ['€', null] }), true)
    assert.deepEqual(
      await one.setMany([
        { key: 'b', value: 2 },
        { key: 'c', value: 3, ttl: 50 },
      ]),
      [true, true],
    )
    assert.deepEqual(await one.getMany(['a', 'missing', 'b']), [{ v: ['€', null] }, undefined, 2])
    await until('c has expired', async () => !(await one.store.has(version === 'keyv5' ? 'ns:c' : 'c')))
    assert.deepEqual(await one.hasMany(['a', 'b', 'c']), [true, true, false])
    assert.equal(await one.has('c'), false)
    assert.deepEqual(await keyv().getMany(['a', 'b', 'c']), [{ v: ['€', null] }, 2, undefined])
    assert.equal(await keyv({ namespace: 'other' }).get('a'), undefined)
  })

  test(`${version}: a time to live is counted by the server`, async () => {
    const { db, keyv, keyPrefix } = await make()
    await keyv().set('k', 1, 3_600_000)
    await keyv().setMany([{ key: 'many', value: 1, ttl: 3_600_000 }])
    const rows = await db.query(
      "SELECT extract(epoch FROM expires_at - clock_timestamp() AT TIME ZONE 'UTC') AS left FROM go_goscope_keyv WHERE key LIKE $1",
      [`${keyPrefix}%`],
    )
    assert.equal(rows.length, 2)
    for (const { left } of rows) assert.ok(Number(left) > 3_000 && Number(left) <= 3_600, left)
  })

  test(`${version}: of racing deletes one finds the entry`, async () => {
    const { keyv } = await make()
    const keyvs = Array.from({ length: 8 }, () => keyv())
    for (let round = 0; round < 10; round++) {
      await keyvs[0].set('k', round)
      const deleted = await Promise.all(keyvs.map((each) => each.delete('k')))
      assert.equal(deleted.filter(Boolean).length, 1)
    }
  })

  test(`${version}: deleteMany deletes all, and reports what was there`, async () => {
    const { keyv } = await make()
    const one = keyv()
    await one.setMany(['a', 'b'].map((key) => ({ key, value: key })))
    assert.deepEqual(await one.deleteMany(['a', 'missing']), version === 'keyv5' ? false : [true, false])
    assert.deepEqual(await one.deleteMany(['b']), version === 'keyv5' ? true : [true])
    assert.deepEqual(await one.hasMany(['a', 'b']), [false, false])
  })

  test(`${version}: iterates over all pages of its namespace, and clears no more than that`, async () => {
    const { keyv } = await make()
    const [one, other, like] = [keyv(), keyv({ namespace: 'other' }), keyv({ namespace: 'n%' })]
    const entries = Array.from({ length: 1_203 }, (_, n) => ({ key: `k${n}`, value: n }))
    await one.setMany(entries)
    await other.set('k1', 'other')
    await like.set('k1', 'like')
    const found = new Map()
    for await (const [key, value] of one.iterator(one.namespace)) found.set(key, value)
    assert.deepEqual(
      [...found].sort(([, a], [, b]) => a - b),
      entries.map(({ key, value }) => [key, value]),
    )
    await like.clear()
    assert.equal(await one.get('k1'), 1)
    await one.clear()
    assert.deepEqual(await one.getMany(['k0', 'k1202']), [undefined, undefined])
    assert.equal(await other.get('k1'), 'other')
  })

  test(`${version}: without a namespace, it clears the prefix and nothing else`, async () => {
    const { keyv, db } = await make()
    const neighbour = new KeyvStore(db.plain, { keyPrefix: 'neighbour:' })
    await neighbour.set('k', 'stays')
    const one = keyv({ namespace: undefined })
    await one.set('k', 1)
    assert.equal(await one.get('k'), 1)
    await one.clear()
    assert.equal(await one.get('k'), undefined)
    assert.equal(await neighbour.get('k'), 'stays')
  })

  test(`${version}: a failure is emitted once, and no call claims success`, async () => {
    const Keyv = await keyvOf(version)
    const keyv = new Keyv({ store: new KeyvStore(REFUSING) })
    /** @type {any[]} */
    let errors = []
    keyv.on('error', (/** @type {any} */ error) => errors.push(error.code))
    /** @type {Record<string, [call: () => Promise<unknown>, outcome: unknown]>} */
    const outcomes = {
      get: [() => keyv.get('k'), undefined],
      set: [() => keyv.set('k', 1), false],
      delete: [() => keyv.delete('k'), false],
      clear: [() => keyv.clear(), undefined],
      setMany: [() => keyv.setMany([{ key: 'k', value: 1 }]), [false]],
      deleteMany: [() => keyv.deleteMany(['k']), version === 'keyv5' ? false : [false]],
    }
    for (const [name, [call, outcome]] of Object.entries(outcomes)) {
      errors = []
      assert.deepEqual(await call(), outcome, name)
      assert.deepEqual(errors, ['ECONNREFUSED'], name)
    }
    errors = []
    if (version === 'keyv5') await assert.rejects(keyv.getMany(['k']), { code: 'ECONNREFUSED' })
    else assert.deepEqual([await keyv.getMany(['k']), errors], [[undefined], ['ECONNREFUSED']])
    await keyv.disconnect()
  })

  test(`${version}: a failed read with throwOnErrors, and without a listener, is thrown`, async () => {
    const Keyv = await keyvOf(version)
    const keyv = new Keyv({ store: new KeyvStore(REFUSING), throwOnErrors: true })
    await assert.rejects(keyv.get('k'), { code: 'ECONNREFUSED' })
    await keyv.disconnect()
  })
}

test('Keyv 5 and Keyv 6 read what the other has written', async () => {
  const db = await database
  const [Keyv5, Keyv6] = [await keyvOf('keyv5'), await keyvOf('keyv6')]
  const make = (/** @type {any} */ Keyv) =>
    new Keyv({ store: new KeyvStore(db.plain, { keyPrefix: 'both:' }), namespace: 'ns' })
  const [five, six] = [make(Keyv5), make(Keyv6)]
  await five.set('five', { v: 5 }, 60_000)
  await six.set('six', { v: 6 }, 60_000)
  assert.deepEqual(await five.getMany(['five', 'six']), [{ v: 5 }, { v: 6 }])
  assert.deepEqual(await six.getMany(['five', 'six']), [{ v: 5 }, { v: 6 }])
})

test('a negative time to live of Keyv 5 replaces the entry by none', async () => {
  const db = await database
  const Keyv = await keyvOf('keyv5')
  const keyv = new Keyv({ store: new KeyvStore(db.plain, { keyPrefix: 'negative:' }) })
  await keyv.set('k', 'before')
  assert.equal(await keyv.set('k', 'elapsed', -1), true)
  await until('it has expired', async () => !(await keyv.has('k')))
  await keyv.set('k', 'without end', 0)
  assert.equal(await keyv.get('k'), 'without end')
})

test('an end in the past, which Keyv 6 may store, replaces the entry by none', async () => {
  const db = await database
  const Keyv = await keyvOf('keyv6')
  const { store } = new Keyv({ store: new KeyvStore(db.plain, { keyPrefix: 'past:' }) })
  await store.set('k', 'before')
  await store.set('k', 'elapsed', Date.now() - 60_000)
  await until('it has expired', async () => (await store.get('k')) === undefined)
  assert.equal(await store.has('k'), false)
})

test('a store on an adapter keeps its entries in the adapter’s cache', async () => {
  const adapter = new PostgresAdapter((await database).plain, { keyPrefix: 'shop:' })
  const store = new KeyvStore(adapter.cache)
  await store.set('k', 'v')
  assert.deepEqual(await adapter.keys(), ['keyv:k'])
})

test('disconnect ends what the store has opened, and nothing that was given', async () => {
  await assertEndsItsOwn(await database, (source) => {
    const store = new KeyvStore(source)
    return { use: () => store.get('k'), close: () => store.disconnect() }
  })
})

test('options that do nothing are refused', () => assertRefusesOptions((...given) => new KeyvStore(...given)))

test('the types of Keyv 5 and 6 accept the store', async () => {
  await compile(installed.consumer, 'integrations/types/keyv.ts')
})
