// @ts-check
// @configurations every
// Entries with their expiry: getEntry, touch and incrementEntry, the same in both caches.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { PostgresCacheAdapter } = require('goscope-postgres')
const { LONG, cachesOn } = require('../support/caches.js')
const { useDatabase } = require('../support/database.js')
const { afterExpiry, afterWait, assertLease, endOf } = require('../support/leases.js')
const { inProcesses } = require('../support/processes.js')

const database = useDatabase()

for (const { title, own, table, stored, make } of cachesOn(database)) {
  test(`${title}: getEntry returns a value with its end, and tells a stored null from a miss`, async () => {
    const db = await database
    const cache = await make()
    await cache.setMany([
      ['lasting', { v: [1, null] }],
      ['null', null],
      ['leased', 'x', 60_000],
      [LONG, 'long', 60_000],
      ['over', 1, 0.001],
    ])
    await sleep(2)
    assert.deepStrictEqual(await cache.getEntry('lasting'), { value: { v: [1, null] } })
    assert.deepStrictEqual(await cache.getEntry('null'), { value: null })
    assert.equal(await cache.getEntry('missing'), null)
    assert.equal(await cache.getEntry('over'), null)
    const end = Math.round(await endOf(db, table, stored('leased')))
    assert.deepStrictEqual(await cache.getEntry('leased'), { value: 'x', expiresAt: end })
    const long = await cache.getEntry(LONG)
    assert.ok(long?.expiresAt && Math.abs(long.expiresAt - end) < 1)
    assert.equal(long.value, 'long')
    // Many share a statement.
    const all = await Promise.all(['null', 'missing', LONG, 'leased'].map((key) => cache.getEntry(key)))
    assert.deepStrictEqual(
      all.map((entry) => entry?.value),
      [null, undefined, 'long', 'x'],
    )
    assert.equal(all[1], null)
  })

  test(`${title}: touch sets the expiry of a live entry, and of no other`, async () => {
    const db = await database
    const cache = await make()
    for (const key of ['touched', LONG.slice(1)]) {
      await cache.set(key, { v: 1 }, 1_000)
      assert.equal(await cache.touch(key, 60_000), true)
      const { expiresAt = 0, value } = (await cache.getEntry(key)) ?? assert.fail(key)
      assert.ok(expiresAt > (await db.clock()) + 30_000)
      assert.deepStrictEqual(value, { v: 1 })
    }
    const since = await db.clock()
    await cache.touch('touched', 5_000)
    await assertLease(db, table, stored('touched'), { ttl: 5_000, since })
    for (const ttl of [undefined, 0, Infinity, /** @type {any} */ (null)]) {
      await cache.set('touched', 1, 60_000)
      assert.equal(await cache.touch('touched', ttl), true)
      assert.deepStrictEqual(await cache.getEntry('touched'), { value: 1 })
    }
    assert.equal(await cache.touch('missing', 60_000), false)
    assert.equal(await cache.has('missing'), false)
    await cache.set('over', 1, 0.001)
    await sleep(2)
    assert.equal(await cache.touch('over', 60_000), false)
    assert.equal(await cache.has('over'), false)
  })

  test(`${title}: calls to touch share statements, each with its own TTL`, async () => {
    const cache = await make()
    const keys = Array.from({ length: 300 }, (_, n) => `shared${n}`)
    await cache.setMany(keys.slice(0, 200).map((key) => [key, key]))
    const { count } = cache.metrics().statements
    const touched = await Promise.all(keys.map((key, n) => cache.touch(key, n % 2 ? 60_000 : undefined)))
    assert.ok(cache.metrics().statements.count - count < 100)
    assert.deepStrictEqual(
      touched,
      keys.map((_, n) => n < 200),
    )
    const entries = await Promise.all(keys.map((key) => cache.getEntry(key)))
    assert.deepStrictEqual(
      entries.map((entry) => entry && [entry.value, 'expiresAt' in entry]),
      keys.map((key, n) => (n < 200 ? [key, n % 2 === 1] : null)),
    )
  })

  test(`${title}: an entry that expires while touch waits for its row stays expired`, async () => {
    const db = await database
    const cache = await make()
    const touch = () => cache.touch('expires', 60_000)
    assert.equal(await afterExpiry(db, { cache, table, key: 'expires', stored: stored('expires') }, touch), false)
    assert.equal(await cache.getEntry('expires'), null)
  })

  test(`${title}: after a wait for a writer, touch finds what that has left, and its TTL begins then`, async () => {
    const db = await database
    const cache = await make()
    const change = `UPDATE ${table} SET value = '"theirs"' WHERE key = $1`
    await cache.set('written', 'mine', 600_000)
    const holder = await db.hold(change, [stored('written')])
    const { since, result } = await afterWait(db, holder, 'commit', () => cache.touch('written', 10_000))
    assert.equal(result, true)
    await assertLease(db, table, stored('written'), { ttl: 10_000, since })
    assert.equal(await cache.get('written'), 'theirs')

    const deletion = await db.hold(`DELETE FROM ${table} WHERE key = $1`, [stored('written')])
    assert.equal((await afterWait(db, deletion, 'commit', () => cache.touch('written', 10_000))).result, false)
    assert.equal(await cache.has('written'), false)

    await cache.set('ended', 'mine', 600_000)
    const end = `UPDATE ${table} SET expires_at = timezone('UTC', now()) WHERE key = $1`
    const ending = await db.hold(end, [stored('ended')])
    assert.equal((await afterWait(db, ending, 'commit', () => cache.touch('ended', 10_000))).result, false)
    assert.equal(await cache.has('ended'), false)
  })

  test(`${title}: incrementEntry returns the sum with the end of the entry`, async () => {
    const db = await database
    const cache = await make()
    const since = await db.clock()
    for (const key of ['window', LONG.slice(2)]) {
      const first = await cache.incrementEntry(key, 2, 60_000)
      const { expiresAt = 0 } = first
      assert.ok(expiresAt >= Math.floor(since) + 60_000 && expiresAt <= (await db.clock()) + 60_001)
      assert.deepStrictEqual(first, { value: 2, expiresAt })
      // An entry keeps its end.
      assert.deepStrictEqual(await cache.incrementEntry(key, 0.5, 5_000), { value: 2.5, expiresAt })
      assert.equal(await cache.increment(key, -1), 1.5)
      assert.deepStrictEqual(await cache.getEntry(key), { value: 1.5, expiresAt })
    }
    assert.deepStrictEqual(await cache.incrementEntry('endless'), { value: 1 })
    assert.deepStrictEqual(await cache.incrementEntry('endless', 1, 5_000), { value: 2 })
    await cache.set('ended', 50, 0.001)
    await sleep(2)
    const anew = await cache.incrementEntry('ended', 3, 60_000)
    assert.equal(anew.value, 3)
    assert.deepStrictEqual(await cache.getEntry('ended'), anew)
    await cache.set('text', 'x')
    await assert.rejects(cache.incrementEntry('text'), { name: 'TypeError', code: 'ERR_CACHE_NOT_A_NUMBER' })
    assert.equal(await cache.get('text'), 'x')
  })

  test(`${title}: calls to incrementEntry on one key add up in few statements, each with its own sum`, async () => {
    const cache = await make()
    for (const key of ['hot', LONG.slice(3)]) {
      const { count } = cache.metrics().statements
      const sums = await Promise.all(Array.from({ length: 400 }, () => cache.incrementEntry(key, 1, 60_000)))
      assert.ok(cache.metrics().statements.count - count < 100)
      const { expiresAt } = (await cache.getEntry(key)) ?? assert.fail(key)
      assert.deepStrictEqual(
        sums,
        sums.map((_, n) => ({ value: n + 1, expiresAt })),
      )
    }
  })

  test(`${title}: concurrent calls of several processes get their own sums, and one end`, async () => {
    const db = await database
    const cache = await make()
    const entries = (await inProcesses(4, 'incrementEntry', { url: db.url, own, key: 'together', each: 250 })).flat()
    const { expiresAt } = (await cache.getEntry('together')) ?? assert.fail('it has not expired')
    assert.deepStrictEqual(
      entries.sort((a, b) => a.value - b.value),
      entries.map((_, n) => ({ value: n + 1, expiresAt })),
    )
    assert.equal(entries.length, 1_000)
  })

  test(`${title}: after a wait for another insert, incrementEntry returns the end as it was set after the wait`, async () => {
    const db = await database
    const cache = await make()
    const holder = await db.hold(`INSERT INTO ${table} (key, value) VALUES ($1, '1')`, [stored('waited')])
    const call = () => cache.incrementEntry('waited', 2, 10_000)
    const { since, result } = await afterWait(db, holder, 'rollback', call)
    assert.equal(result.value, 2)
    // The time that the statements let pass before they write a new expiry; and a fraction of a millisecond.
    assert.ok((result.expiresAt ?? 0) >= since + 10_000 - 51)
    assert.deepStrictEqual(await cache.getEntry('waited'), result)
  })
}

test('getEntry counts a hit or a miss', async () => {
  const cache = new PostgresCacheAdapter((await database).pool(), { keyPrefix: 'counted:' })
  await cache.set('hit', null)
  await Promise.all([cache.getEntry('hit'), cache.getEntry('miss'), cache.getEntry('hit')])
  const { hits, misses } = await cache.stats()
  assert.deepStrictEqual([hits, misses], [2, 1])
})
