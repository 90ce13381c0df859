// @ts-check
// @configurations first
// The driver for unstorage, as npm installs that. Its tests of drivers are not published: what they test is tested here.
'use strict'

const assert = require('node:assert/strict')
const { before, test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const unstorage = require('goscope-postgres/unstorage')
const { useDatabase } = require('../support/database.js')
const { REFUSING, assertEndsItsOwn, assertRefusesOptions } = require('../support/integrations.js')
const { install } = require('../support/libraries/library.js')
const { TYPES, compile } = require('../support/libraries/types.js')
const { until } = require('../support/waiting.js')

const { storageDriver } = unstorage
const SPECS = ['unstorage1@npm:unstorage@1.17.6', 'unstorage2@npm:unstorage@2.0.0-beta.0']

const database = useDatabase()
/** @type {Awaited<ReturnType<typeof install>>} */
let installed

before(async () => {
  installed = await install([...SPECS, ...TYPES])
})

let made = 0

/** A storage on a base of its own. */
async function make(version = 'unstorage1', options = {}) {
  const source = (await database).plain
  const { createStorage } = await installed.load(version)
  const base = `b${++made}`
  const driver = storageDriver({ source, base, ...options })
  return { base, source, driver, storage: createStorage({ driver }) }
}

for (const version of ['unstorage1', 'unstorage2']) {
  test(`${version}: items are stored, found and removed`, async () => {
    const { storage } = await make(version)
    assert.equal(await storage.hasItem('s1:a'), false)
    assert.equal(await storage.getItem('s1:a'), null)
    assert.deepEqual(await storage.getKeys(), [])
    const values = { text: 'test_data', object: { json: ['works', null] }, true: true, zero: 0, false: false, '': '' }
    for (const [key, value] of Object.entries(values)) await storage.setItem(`v:${key}x`, value)
    for (const [key, value] of Object.entries(values)) assert.deepEqual(await storage.getItem(`v:${key}x`), value, key)
    await storage.setItem('s3:a?q=1', 'without the query')
    assert.equal(await storage.getItem('s3:a?q=2'), 'without the query')
    await storage.removeItem('v:textx')
    await storage.removeItem('v:textx')
    assert.equal(await storage.hasItem('v:textx'), false)
    await storage.setItem('v:zerox', undefined)
    assert.equal(await storage.getItem('v:zerox'), null)
    await assert.rejects(storage.setItem('bad', new (class Test {})()), /Cannot stringify value/)
  })

  test(`${version}: many items at once, in their order`, async () => {
    const { storage } = await make(version)
    await storage.setItems([
      { key: 't:1', value: 'one' },
      { key: 't:2', value: { two: 2 } },
      { key: 't:3?q=1', value: 'three' },
    ])
    assert.deepEqual(await storage.getItems(['t:3', { key: 't:1' }, 't:missing', 't:2']), [
      { key: 't:3', value: 'three' },
      { key: 't:1', value: 'one' },
      { key: 't:missing', value: null },
      { key: 't:2', value: { two: 2 } },
    ])
  })

  test(`${version}: raw values`, async () => {
    const { storage } = await make(version)
    const bytes = new Uint8Array([0, 1, 255, 128])
    const within = new Uint8Array(new Uint8Array([9, 9, ...bytes, 9]).buffer, 2, 4)
    for (const value of [bytes, within, bytes.buffer, Buffer.from(bytes)]) {
      await storage.setItemRaw('raw.bin', value)
      assert.deepEqual(new Uint8Array(await storage.getItemRaw('raw.bin')), bytes)
    }
    for (const value of ['text', 'base64:AQID', { a: [1, 'nul \0'] }, 42, false]) {
      await storage.setItemRaw('raw', value)
      assert.deepEqual(await storage.getItemRaw('raw'), value)
    }
    await storage.setItemRaw('text', Buffer.from('bytes of text €'))
    assert.equal(await storage.getItem('text'), 'bytes of text €')
    await storage.setItemRaw('object', { a: 1 })
    assert.deepEqual(await storage.getItem('object'), { a: 1 })
    assert.equal(await storage.getItemRaw('missing'), null)
    await assert.rejects(
      storage.setItemRaw('raw', () => {}),
      { code: 'ERR_INVALID_ARG_TYPE' },
    )
  })

  test(`${version}: keys and clear, of a base and of all`, async () => {
    const { storage, driver, base, source } = await make(version)
    const other = storageDriver({ source, base: `${base}x` })
    await other.setItem('k', 'stays')
    const keys = ['depth0_0', 'depth0:depth1_0', 'depth0:depth1:depth2_0', 'depthX:a', 's1:a']
    for (const key of keys) await storage.setItem(key, 'x')
    const sorted = async (/** @type {any[]} */ ...given) => (await storage.getKeys(...given)).sort()
    assert.deepEqual(await sorted(), keys.toSorted())
    assert.deepEqual(await sorted('depth0'), ['depth0:depth1:depth2_0', 'depth0:depth1_0'])
    assert.deepEqual(await sorted('s1'), ['s1:a'])
    assert.deepEqual(await sorted(undefined, { maxDepth: 0 }), ['depth0_0'])
    assert.deepEqual(await sorted(undefined, { maxDepth: 1 }), ['depth0:depth1_0', 'depth0_0', 'depthX:a', 's1:a'])
    // unstorage itself clears whole mounts. A base is no pattern.
    await driver.clear('depth_')
    assert.equal((await storage.getKeys()).length, 5)
    await driver.clear('depth0:')
    assert.deepEqual(await sorted(), ['depth0_0', 'depthX:a', 's1:a'])
    await storage.clear()
    await storage.clear()
    assert.deepEqual(await storage.getKeys(), [])
    assert.equal(await other.getItem('k'), 'stays')
  })

  test(`${version}: items expire, by the server's clock, after their own time to live or the driver's`, async () => {
    const { storage } = await make(version, { ttl: 3_600 })
    await storage.setItem('default', 'x')
    await storage.setItem('own', 'x', { ttl: 7_200 })
    await storage.setItem('without', 'x', { ttl: 0 })
    await storage.setItemRaw('raw', Buffer.from('x'), { ttl: 7_200 })
    await storage.setItems(
      [
        { key: 'many', value: 'x' },
        { key: 'many:own', value: 'x', options: { ttl: 14_400 } },
      ],
      { ttl: 7_200 },
    )
    const left = async (/** @type {string} */ key) => (await storage.getMeta(key)).ttl
    const hours = { default: 1, own: 2, raw: 2, many: 2, 'many:own': 4 }
    for (const [key, count] of Object.entries(hours)) {
      assert.ok((await left(key)) > count * 3_600 - 60 && (await left(key)) < count * 3_600 + 60, key)
    }
    assert.equal(await left('without'), undefined)
    assert.deepEqual({ ...(await storage.getMeta('missing')) }, {})
    await storage.setItem('short', 'x', { ttl: 0.03 })
    await until('it has expired', async () => (await storage.getItem('short')) === null)
    assert.equal(await storage.hasItem('short'), false)
    assert.equal((await storage.getKeys()).includes('short'), false)
  })

  test(`${version}: mounts, meta data and watching`, async () => {
    const { storage, source } = await make(version)
    storage.mount('mnt', storageDriver({ source, base: `mount of ${version}` }))
    /** @type {string[]} */
    const events = []
    await storage.watch((/** @type {string} */ event, /** @type {string} */ key) => events.push(`${event} ${key}`))
    await storage.setItem('mnt:k', 'mounted')
    await storage.setItem('k', 'root')
    await storage.setMeta('k', { mtime: new Date(5), by: 'Ada' })
    assert.deepEqual(await storage.getItem('mnt:k'), 'mounted')
    assert.deepEqual((await storage.getKeys()).filter((/** @type {string} */ key) => !key.endsWith('$')).sort(), [
      'k',
      'mnt:k',
    ])
    const { mtime, by } = await storage.getMeta('k')
    assert.deepEqual([mtime, by], [new Date(5), 'Ada'])
    await storage.removeItem('mnt:k')
    assert.deepEqual(events.slice(0, 2), ['update mnt:k', 'update k'])
    assert.ok(events.includes('remove mnt:k'))
    await storage.unwatch()
  })
}

test('text that JSONB cannot hold is stored all the same', async () => {
  const { storage } = await make()
  for (const text of ['a\0b', '\ud800', '\\u0000', '😀', '"quoted"']) {
    await storage.setItem('text', `x${text}`)
    assert.equal(await storage.getItem('text'), `x${text}`)
    await storage.setItemRaw('raw', text)
    assert.equal(await storage.getItemRaw('raw'), text)
  }
})

test('more keys than a page', async () => {
  const { storage } = await make()
  const items = Array.from({ length: 1_203 }, (_, n) => ({ key: `many:${n}`, value: String(n) }))
  await storage.setItems(items)
  assert.deepEqual((await storage.getKeys('many')).sort(), items.map(({ key }) => key).sort())
  await storage.clear()
  assert.deepEqual(await storage.getKeys(), [])
})

test('a driver on an adapter keeps its items below its base, and clears no more', async () => {
  const adapter = new PostgresAdapter((await database).plain, { keyPrefix: 'shop:' })
  await adapter.set('of the application', 1)
  const driver = storageDriver({ source: adapter })
  await driver.setItem('k', 'v')
  assert.deepEqual(await adapter.keys(), ['of the application', 'unstorage:k'])
  assert.equal(driver.getInstance(), adapter)
  await driver.clear()
  assert.deepEqual(await adapter.keys(), ['of the application'])
})

test('without a base, keys are stored as they are', async () => {
  const driver = storageDriver({ source: (await database).plain, base: '', tableName: 'bare' })
  await driver.setItem('a:b', 'v')
  assert.deepEqual(await (await database).query('SELECT key, value FROM bare'), [{ key: 'a:b', value: 'v' }])
  assert.deepEqual(await driver.getKeys(), ['a:b'])
})

test('failures reject', async () => {
  const { createStorage } = await installed.load('unstorage1')
  const storage = createStorage({ driver: storageDriver({ source: REFUSING }) })
  const calls = ['hasItem', 'getItem', 'getItemRaw', 'removeItem', 'getMeta', 'getKeys']
  for (const method of calls) await assert.rejects(storage[method]('k'), { code: 'ECONNREFUSED' }, method)
  for (const method of ['setItem', 'setItemRaw'])
    await assert.rejects(storage[method]('k', 'v'), { code: 'ECONNREFUSED' })
  await assert.rejects(storage.clear(), { code: 'ECONNREFUSED' })
  await assert.rejects(storage.getItems(['k']), { code: 'ECONNREFUSED' })
  await assert.rejects(storage.setItems([{ key: 'k', value: 'v' }]), { code: 'ECONNREFUSED' })
  await assert.rejects(storage.setItem('k', 'v', { ttl: -1 }), { code: 'ERR_OUT_OF_RANGE' })
  await storage.dispose()
})

test('dispose ends what the driver has opened, and nothing that was given', async () => {
  await assertEndsItsOwn(await database, (source) => {
    const driver = storageDriver({ source })
    return { use: () => driver.getItem('k'), close: () => driver.dispose() }
  })
})

test('bad options are refused', () => {
  assertRefusesOptions((source, options) => storageDriver({ source, ...options }))
  assert.throws(() => storageDriver({ source: REFUSING, ttl: -1 }), { code: 'ERR_OUT_OF_RANGE' })
})

test('the driver is the default export, as hosts of unstorage import it', () => {
  assert.equal(unstorage.default, storageDriver)
})

test('the types of unstorage 1 and 2 accept the driver', async () => {
  await compile(installed.consumer, 'integrations/types/unstorage.ts')
})
