// @ts-check
// @configurations first
// Counters and conditional writes: the same in both caches.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { LONG, cachesOn } = require('../support/caches.js')
const { useDatabase } = require('../support/database.js')
const { afterWait, assertLease, endOf } = require('../support/leases.js')
const { inProcesses } = require('../support/processes.js')
const { untilWritesSweep } = require('../support/waiting.js')

const database = useDatabase()

for (const { title, table, stored, make } of cachesOn(database)) {
  test(`${title}: the error names an invalid argument, and nothing is stored`, async () => {
    const cache = await make()
    /** @type {[() => Promise<unknown>, string, RegExp][]} */
    const calls = [
      [() => cache.increment('bad', /** @type {any} */ ('1')), 'ERR_INVALID_ARG_TYPE', /"by"/],
      [() => cache.increment('bad', Number.NaN), 'ERR_OUT_OF_RANGE', /"by"/],
      [() => cache.increment('bad', Infinity), 'ERR_OUT_OF_RANGE', /"by"/],
      [() => cache.increment('bad', 1, -1), 'ERR_OUT_OF_RANGE', /"ttl"/],
      [() => cache.compareAndSet('bad', undefined, undefined), 'ERR_INVALID_ARG_TYPE', /"value"/],
      [() => cache.compareAndSet('bad', () => {}, 1), 'ERR_INVALID_ARG_TYPE', /"expected"/],
    ]
    for (const [call, code, message] of calls) {
      await assert.rejects(call(), (/** @type {any} */ error) => error.code === code && message.test(error.message))
    }
    assert.equal(await cache.has('bad'), false)
  })

  test(`${title}: increment counts from 0, up and down, and in decimal`, async () => {
    const cache = await make()
    assert.equal(await cache.increment('n'), 1)
    assert.equal(await cache.increment('n', 41), 42)
    assert.equal(await cache.increment('n', -2), 40)
    assert.equal(await cache.get('n'), 40)
    assert.equal(await cache.increment('decimal', 0.1), 0.1)
    assert.equal(await cache.increment('decimal', 0.2), 0.3)
    assert.equal(await cache.increment('decimal', -0.3), 0)
    await cache.set('large', Number.MAX_SAFE_INTEGER - 1)
    assert.equal(await cache.increment('large'), Number.MAX_SAFE_INTEGER)
    assert.equal(await cache.increment(LONG.slice(1), 5), 5)
    assert.equal(await cache.increment(LONG.slice(1), 2), 7)
    assert.equal(await cache.get(LONG.slice(1)), 7)
    assert.deepStrictEqual(await cache.keys(LONG.slice(1)), [LONG.slice(1)])
    assert.equal(await cache.increment('tiny', 5e-324), 5e-324)
    assert.equal(await cache.increment('huge', 1e308), 1e308)
    assert.equal(await cache.increment('huge', 1e307), 1.1e308)
  })

  test(`${title}: increment rejects a value that it cannot add to, and keeps that value`, async () => {
    const cache = await make()
    for (const value of ['1', null, true, [1], { value: 1 }]) {
      await cache.set('no number', value)
      await assert.rejects(cache.increment('no number'), {
        name: 'TypeError',
        code: 'ERR_CACHE_NOT_A_NUMBER',
        message: /'no number'/,
      })
      assert.deepStrictEqual(await cache.get('no number'), value)
    }
    await cache.set('too large', Number.MAX_VALUE)
    await assert.rejects(cache.increment('too large', 1e300), { code: 'ERR_CACHE_NOT_A_NUMBER' })
    assert.equal(await cache.get('too large'), Number.MAX_VALUE)
    await cache.set('no number', 'over', 0.001)
    await sleep(2)
    assert.equal(await cache.increment('no number', 3), 3)
  })

  test(`${title}: increment sets the expiry when it creates the counter, and keeps it after that`, async () => {
    const db = await database
    const cache = await make()
    const since = await db.clock()
    await cache.increment('lease', 1, 60_000)
    await assertLease(db, table, stored('lease'), { ttl: 60_000, since })
    const end = await endOf(db, table, stored('lease'))
    await cache.increment('lease', 1, 5_000)
    await cache.increment('lease')
    assert.equal(await endOf(db, table, stored('lease')), end)
    await cache.set('for ever', 1)
    await cache.increment('for ever', 1, 5_000)
    await assert.rejects(endOf(db, table, stored('for ever')), /has no end/)
    await cache.increment('anew', 5, 1)
    await sleep(5)
    const later = await db.clock()
    assert.equal(await cache.increment('anew', 1, 60_000), 1)
    await assertLease(db, table, stored('anew'), { ttl: 60_000, since: later })
  })

  test(`${title}: after a wait for another insert, the TTL begins at the end of the wait`, async () => {
    const db = await database
    const cache = await make()
    /** @type {(() => Promise<number | boolean>)[]} */
    const calls = [
      () => cache.increment('waited', 2, 10_000),
      () => cache.compareAndSet('waited', undefined, 2, 10_000),
    ]
    for (const call of calls) {
      await cache.delete('waited')
      const sql = `INSERT INTO ${table} (key, value) VALUES ($1, '1')`
      const holder = await db.hold(sql, [stored('waited')])
      const { since, result } = await afterWait(db, holder, 'rollback', call)
      assert.ok(result === 2 || result === true)
      // The time that the statements let pass before they write a new expiry.
      await assertLease(db, table, stored('waited'), { ttl: 10_000, since, tolerance: 50 })
    }
  })

  test(`${title}: increment and compareAndSet sweep expired entries of other keys`, async () => {
    const db = await database
    const cache = await make()
    const keys = Array.from({ length: 50 }, (_, n) => `swept${n}`)
    await cache.setMany(keys.map((key) => [key, 1, 1]))
    await sleep(5)
    const left = async () =>
      (await db.query(`SELECT count(*)::int AS n FROM ${table} WHERE key = ANY ($1)`, [keys.map(stored)]))[0].n
    for (const call of [() => cache.increment('sweeps'), () => cache.compareAndSet('sweeps too', undefined, 1)]) {
      await cache.setMany(keys.map((key) => [key, 1, 1]))
      await sleep(5)
      await untilWritesSweep()
      await call()
      assert.equal(await left(), 0)
    }
  })

  test(`${title}: concurrent increments of several processes add up, and each returns its own number`, async () => {
    const db = await database
    const cache = await make()
    const input = { url: db.url, own: title === 'PostgresCacheAdapter', key: 'together', each: 250 }
    const results = (await inProcesses(4, 'increment', input)).flat()
    assert.deepStrictEqual(
      results.sort((a, b) => a - b),
      Array.from({ length: 1_000 }, (_, n) => n + 1),
    )
    assert.equal(await cache.get('together'), 1_000)
  })

  test(`${title}: increments that wait for each other share a statement, and each returns its own sum`, async () => {
    const cache = await make()
    // Those that differ in sign or TTL, or are written with an exponent, do not add up with the one before.
    const numbers = Array.from({ length: 400 }, (_, n) => [1, 2.25, 40, 1e6, 0, -3, -0.5, 2 ** -20][(n >> 4) % 8] ?? 0)
    for (const key of ['shared', LONG.slice(3)]) {
      let sum = 0
      const expected = numbers.map((number) => (sum += number))
      const { count, sum: calls } = cache.metrics().statements
      const ttl = (/** @type {number} */ n) => (n < 200 ? 60_000 : undefined)
      const sums = await Promise.all(numbers.map((number, n) => cache.increment(key, number, ttl(n))))
      assert.deepStrictEqual(sums, expected)
      assert.equal(await cache.get(key), sum)
      const { statements } = cache.metrics()
      assert.ok(statements.sum - calls >= 400)
      assert.ok(statements.count - count < 200, `${statements.count - count} statements`)
    }
  })

  test(`${title}: increments that share a statement are exact, and each is rejected if there is no number`, async () => {
    const cache = await make()
    await cache.set('exact', 0.1)
    const tenths = await Promise.all(Array.from({ length: 40 }, () => cache.increment('exact', 0.1)))
    assert.deepStrictEqual(
      tenths,
      Array.from({ length: 40 }, (_, n) => (n + 2) / 10),
    )
    await cache.set('no sum', 'text')
    const all = await Promise.allSettled(Array.from({ length: 40 }, () => cache.increment('no sum')))
    const codes = all.map((one) => one.status === 'rejected' && one.reason.code)
    assert.deepStrictEqual(new Set(codes), new Set(['ERR_CACHE_NOT_A_NUMBER']))
    assert.equal(await cache.get('no sum'), 'text')
    // One that has run out starts again, with the first of them.
    await cache.set('over', 50, 0.001)
    await sleep(2)
    const anew = await Promise.all([3, 4, 5].map((number) => cache.increment('over', number)))
    assert.deepStrictEqual(anew, [3, 7, 12])
  })

  test(`${title}: compareAndSet replaces a value that is equal as JSON, and no other`, async () => {
    const db = await database
    const cache = await make()
    for (const key of ['cas', LONG.slice(2)]) {
      await cache.delete(key)
      assert.equal(await cache.compareAndSet(key, null, 1), false)
      assert.equal(await cache.has(key), false)
      assert.equal(await cache.compareAndSet(key, undefined, { a: 1, b: [2] }), true)
      assert.equal(await cache.compareAndSet(key, undefined, 'second'), false)
      assert.equal(await cache.compareAndSet(key, { a: 1 }, 'part'), false)
      assert.deepStrictEqual(await cache.get(key), { a: 1, b: [2] })
      assert.equal(await cache.compareAndSet(key, { b: [2], a: 1.0 }, null), true)
      assert.equal(await cache.has(key), true)
      assert.equal(await cache.compareAndSet(key, undefined, 'a stored null is no absence'), false)
      assert.equal(await cache.compareAndSet(key, null, 'end', 60_000), true)
      assert.deepStrictEqual(await cache.getMany([key]), ['end'])
    }
    const since = await db.clock()
    await cache.compareAndSet('cas', 'end', 'leased', 60_000)
    await assertLease(db, table, stored('cas'), { ttl: 60_000, since })
    assert.equal(await cache.compareAndSet('cas', 'leased', 'for ever'), true)
    await assert.rejects(endOf(db, table, stored('cas')), /has no end/)
    await cache.set('cas', 'over', 1)
    await sleep(5)
    assert.equal(await cache.compareAndSet('cas', 'over', 'no'), false)
    assert.equal(await cache.compareAndSet('cas', undefined, 'anew'), true)
  })

  test(`${title}: an entry that expires while compareAndSet waits for its row is not the expected one`, async () => {
    const db = await database
    const cache = await make()
    await cache.set('expires', 'old', 100)
    const holder = await db.hold(`SELECT FROM ${table} WHERE key = $1 FOR UPDATE`, [stored('expires')])
    const { result } = await afterWait(db, holder, 'rollback', () => cache.compareAndSet('expires', 'old', 'new'))
    assert.equal(result, false)
    assert.equal(await cache.get('expires'), null)
  })

  test(`${title}: compareAndSet sees a value that another transaction commits while it waits`, async () => {
    const db = await database
    const cache = await make()
    const change = `UPDATE ${table} SET value = '"theirs"' WHERE key = $1`
    /** @type {[string, string, boolean][]} */
    const waits = [
      ['commit', 'mine', false],
      ['rollback', 'mine', true],
    ]
    for (const [how, expected, isStored] of waits) {
      await cache.set('changes', 'mine')
      const holder = await db.hold(change, [stored('changes')])
      const call = () => cache.compareAndSet('changes', expected, 'new')
      const { result } = await afterWait(db, holder, /** @type {'commit' | 'rollback'} */ (how), call)
      assert.equal(result, isStored)
      assert.equal(await cache.get('changes'), isStored ? 'new' : 'theirs')
    }
  })

  test(`${title}: among several processes, compareAndSet calls succeed one after the other`, async () => {
    const db = await database
    const cache = await make()
    const input = { url: db.url, own: title === 'PostgresCacheAdapter', keys: ['cas1', 'cas2', 'cas3'], each: 30 }
    await inProcesses(4, 'addByComparing', input)
    assert.deepStrictEqual(await cache.getMany(input.keys), [120, 120, 120])
    const first = (await inProcesses(6, 'setIfAbsent', { ...input, rounds: 40 })).flat()
    assert.deepStrictEqual(
      first.sort((a, b) => a - b),
      Array.from({ length: 40 }, (_, n) => n),
    )
  })
}
