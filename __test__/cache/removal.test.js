// @ts-check
// @configurations every
// Deletes that report what they have deleted: take and deleteMany, the same in both caches.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { PostgresCacheAdapter } = require('goscope-postgres')
const { LONG, cachesOn } = require('../support/caches.js')
const { useDatabase } = require('../support/database.js')
const { afterExpiry, afterWait } = require('../support/leases.js')
const { inProcesses } = require('../support/processes.js')

const database = useDatabase()

for (const { title, own, table, stored, make } of cachesOn(database)) {
  test(`${title}: take returns a value once`, async () => {
    const cache = await make()
    await cache.setMany([
      ['a', { v: [1, null] }],
      [LONG, 'long', 60_000],
      ['null', null],
      ['over', 1, 0.001],
    ])
    await sleep(2)
    assert.deepStrictEqual(await cache.take('a'), { v: [1, null] })
    assert.equal(await cache.take('a'), null)
    assert.equal(await cache.take('over'), null)
    assert.equal(await cache.take('missing'), null)
    assert.equal(await cache.take('null'), null)
    assert.equal(await cache.has('null'), false)
    const both = await Promise.all([cache.take(LONG), cache.take(LONG), cache.set(LONG, 'next'), cache.take(LONG)])
    assert.deepStrictEqual(both, ['long', null, undefined, 'next'])
  })

  test(`${title}: calls to take share statements`, async () => {
    const cache = await make()
    const keys = Array.from({ length: 300 }, (_, n) => `shared${n}`)
    await cache.setMany(keys.slice(0, 200).map((key, n) => [key, n]))
    const { count } = cache.metrics().statements
    const taken = await Promise.all(keys.map((key) => cache.take(key)))
    assert.ok(cache.metrics().statements.count - count < 100)
    assert.deepStrictEqual(
      taken,
      keys.map((_, n) => (n < 200 ? n : null)),
    )
  })

  test(`${title}: of several processes, exactly one takes or deletes each entry`, async () => {
    const db = await database
    const cache = await make()
    const keys = Array.from({ length: 401 }, (_, n) => (n % 50 === 7 ? `${LONG}${n}` : `contended${n}`))
    for (const by of ['take', 'deleteMany']) {
      await cache.setMany(keys.map((key) => [key, key]))
      const removed = await inProcesses(4, 'removeAll', { url: db.url, own, keys, by })
      assert.deepStrictEqual(removed.flat().sort(), keys.toSorted(), by)
      assert.deepStrictEqual(await cache.keys(), [])
    }
  })

  test(`${title}: an entry that expires during the wait for its row is no value`, async () => {
    const db = await database
    const cache = await make()
    const entry = { cache, table, key: 'expires', stored: stored('expires') }
    assert.equal(await afterExpiry(db, entry, () => cache.take('expires')), null)
    assert.deepStrictEqual(await afterExpiry(db, entry, () => cache.deleteMany(['expires'])), [false])
  })

  test(`${title}: after a wait for a writer, take returns what that has left`, async () => {
    const db = await database
    const cache = await make()
    const change = `UPDATE ${table} SET value = '"theirs"' WHERE key = $1`
    await cache.set('written', 'mine')
    const writer = await db.hold(change, [stored('written')])
    assert.equal((await afterWait(db, writer, 'commit', () => cache.take('written'))).result, 'theirs')
    await cache.set('written', 'mine')
    for (const [call, nothing] of /** @type {[() => Promise<unknown>, unknown][]} */ ([
      [() => cache.take('written'), null],
      [() => cache.deleteMany(['written']), [false]],
    ])) {
      await cache.set('written', 'mine')
      const deletion = await db.hold(`DELETE FROM ${table} WHERE key = $1`, [stored('written')])
      assert.deepStrictEqual((await afterWait(db, deletion, 'commit', call)).result, nothing)
    }
  })
}

test('take counts a hit or a miss', async () => {
  const cache = new PostgresCacheAdapter((await database).pool(), { keyPrefix: 'counted:' })
  await cache.set('hit', 1)
  await cache.take('hit')
  await cache.take('hit')
  const { hits, misses } = await cache.stats()
  assert.deepStrictEqual([hits, misses], [1, 1])
})
