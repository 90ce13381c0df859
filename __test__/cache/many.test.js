// @ts-check
// @configurations first
// Many entries in one call: the same in both caches.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')
const { LONG, cachesOn } = require('../support/caches.js')
const { useDatabase } = require('../support/database.js')
const { assertLease, endOf } = require('../support/leases.js')
const { startProxy } = require('../support/proxy.js')

const database = useDatabase()

for (const { title, table, stored, make } of cachesOn(database)) {
  test(`${title}: getMany returns values in the order of the keys, null for a miss, duplicates included`, async () => {
    const cache = await make()
    await cache.set('a', { v: [1, null] })
    await cache.set('null', null)
    await cache.set('over', 1, 0.001)
    await cache.set(LONG, 'long')
    await sleep(2)
    const keys = ['a', 'missing', 'null', LONG, 'over', 'a', '\ud800']
    const expected = [{ v: [1, null] }, null, null, 'long', null, { v: [1, null] }, null]
    assert.deepStrictEqual(await cache.getMany(keys), expected)
    assert.deepStrictEqual(await cache.getMany(new Set(keys)), [...expected.slice(0, 5), null])
    assert.deepStrictEqual(await cache.getMany([]), [])
    const many = Array.from({ length: 3_000 }, (_, n) => `many${n}`)
    await cache.setMany(many.map((key, n) => [key, n]))
    assert.deepStrictEqual(
      await cache.getMany(many),
      many.map((_, n) => n),
    )
  })

  test(`${title}: setMany stores entries, each with its TTL; of two with one key the later wins`, async () => {
    const db = await database
    const cache = await make()
    const since = await db.clock()
    assert.equal(
      await cache.setMany(
        [
          ['m1', 'first'],
          ['m2', { b: 2 }, 120_000],
          [LONG, 3],
          ['m1', 'second'],
          ['m3', null, 0],
          ['m4', 4, /** @type {any} */ (null)],
        ],
        60_000,
      ),
      undefined,
    )
    assert.deepStrictEqual(await cache.getMany(['m1', 'm2', LONG, 'm3']), ['second', { b: 2 }, 3, null])
    assert.equal(await cache.has('m3'), true)
    await assertLease(db, table, stored('m1'), { ttl: 60_000, since })
    await assertLease(db, table, stored('m4'), { ttl: 60_000, since })
    await assertLease(db, table, stored('m2'), { ttl: 120_000, since })
    await assert.rejects(endOf(db, table, stored('m3')), /has no end/)
    await cache.setMany(new Map([['m1', 'of a Map']]))
    assert.equal(await cache.get('m1'), 'of a Map')
    await assert.rejects(endOf(db, table, stored('m1')), /has no end/)
    await cache.setMany([])
  })

  test(`${title}: deleteMany removes those entries and no others`, async () => {
    const cache = await make()
    await cache.setMany([
      ['d1', 1],
      ['d2', 2],
      ['d3', 3],
      [LONG, 4],
    ])
    await cache.set('over', 5, 0.001)
    await sleep(2)
    const keys = ['d1', LONG, 'd3', 'd1', 'never there', 'over']
    assert.deepStrictEqual(await cache.deleteMany(keys), [true, true, true, false, false, false])
    assert.deepStrictEqual(await cache.deleteMany([]), [])
    assert.deepStrictEqual(await cache.getMany(['d1', 'd2', 'd3', LONG]), [null, 2, null, null])
  })

  test(`${title}: calls on many keys keep their order among the other calls on each key`, async () => {
    const cache = await make()
    for (let round = 0; round < 50; round++) {
      const read = await Promise.all([
        cache.set('o1', `${round}a`),
        cache.getMany(['o1', 'o2']),
        cache.setMany([
          ['o2', `${round}b`],
          ['o1', `${round}c`],
        ]),
        cache.get('o1'),
        cache.deleteMany(['o2', 'o1']),
        cache.getMany(['o1', 'o2']),
      ])
      assert.deepStrictEqual(read[1], [`${round}a`, null])
      assert.equal(read[3], `${round}c`)
      assert.deepStrictEqual(read[5], [null, null])
    }
  })

  test(`${title}: the error names an invalid argument and its position, and nothing is stored`, async () => {
    const cache = await make()
    /** @type {[() => Promise<unknown>, string, RegExp][]} */
    const calls = [
      [() => cache.getMany(/** @type {any} */ ('ab')), 'ERR_INVALID_ARG_TYPE', /"keys"/],
      [() => cache.getMany(/** @type {any} */ (null)), 'ERR_INVALID_ARG_TYPE', /"keys"/],
      [() => cache.getMany(['a', /** @type {any} */ ({})]), 'ERR_INVALID_ARG_TYPE', /"keys\[1\]"/],
      [() => cache.deleteMany(['a', 'b\0']), 'ERR_INVALID_ARG_VALUE', /keys\[1\]/],
      [() => cache.setMany(/** @type {any} */ ({ bad: 1 })), 'ERR_INVALID_ARG_TYPE', /"entries"/],
      [() => cache.setMany([['bad', 1], /** @type {any} */ ('bad')]), 'ERR_INVALID_ARG_TYPE', /"entries\[1\]"/],
      [
        () =>
          cache.setMany([
            ['bad', 1],
            ['bad', undefined],
          ]),
        'ERR_INVALID_ARG_TYPE',
        /"entries\[1\]\[1\]"/,
      ],
      [() => cache.setMany([['bad', 1, -1]]), 'ERR_OUT_OF_RANGE', /"entries\[0\]\[2\]"/],
      [() => cache.setMany([['bad', 1]], Number.NaN), 'ERR_OUT_OF_RANGE', /"ttl"/],
    ]
    for (const [call, code, message] of calls) {
      await assert.rejects(call(), (/** @type {any} */ error) => error.code === code && message.test(error.message))
    }
    assert.equal(await cache.has('bad'), false)
  })

  test(`${title}: an entry that the server refuses rejects setMany, after the others are stored`, async () => {
    const cache = await make()
    const refused = cache.setMany([
      ['r1', 1],
      ['r2', 'with \0'],
      ['r3', 3],
    ])
    await assert.rejects(refused, { code: '22P05' })
    assert.deepStrictEqual(await cache.getMany(['r1', 'r2', 'r3']), [1, null, 3])
  })

  test(`${title}: a getMany of a few keys that is alone is one statement`, async () => {
    const cache = await make()
    await cache.set('a', 1)
    await sleep(20)
    const { count } = cache.metrics().statements
    await cache.getMany(Array.from('abcdefghijklmnopqrst'))
    assert.equal(cache.metrics().statements.count - count, 1)
  })

  test(`${title}: getManys of one moment share statements, and each gets its own values`, async () => {
    const cache = await make()
    await cache.setMany(Array.from({ length: 150 }, (_, n) => [`k${n}`, n]))
    await sleep(20)
    const { count } = cache.metrics().statements
    const read = async (/** @type {number} */ first) => {
      const values = await cache.getMany(Array.from({ length: 10 }, (_, n) => `k${first * 10 + n}`))
      assert.deepStrictEqual(
        values,
        Array.from({ length: 10 }, (_, n) => (first < 15 ? first * 10 + n : null)),
      )
    }
    await Promise.all(Array.from({ length: 16 }, (_, n) => read(n)))
    const statements = cache.metrics().statements.count - count
    assert.ok(statements < 8, `${statements} statements`)
  })
}

test('hits and misses of getMany are counted for each key', async () => {
  const cache = new PostgresCacheAdapter((await database).pool(), { keyPrefix: 'counted:' })
  await cache.set('hit', null)
  await cache.getMany(['hit', 'miss', 'hit'])
  const { hits, misses } = await cache.stats()
  assert.deepStrictEqual([hits, misses], [2, 1])
})

test('a call takes one round trip if its keys fit into one statement', async () => {
  const db = await database
  const proxy = await startProxy(db.url)
  const cache = new PostgresAdapter(db.pool({ connectionString: proxy.url, max: 1 }))
  const entries = Array.from({ length: 100 }, (_, n) => /** @type {[string, number]} */ ([`trip${n}`, n]))
  const keys = entries.map(([key]) => key)
  const calls = [() => cache.setMany(entries), () => cache.getMany(keys), () => cache.deleteMany(keys)]
  // The second run on a connection prepares the statement.
  for (const call of [...calls, ...calls]) await call()
  for (const call of calls) {
    proxy.reset()
    await call()
    assert.equal(proxy.messages.match(/S/g)?.length, 1, proxy.messages)
  }
})
