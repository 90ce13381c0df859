// @ts-check
// @configurations first
// Many entries in one call, counters, and conditional writes: the same in both caches.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { afterWait, assertLease, endOf } = require('../support/leases.js')
const { inProcesses } = require('../support/processes.js')
const { startProxy } = require('../support/proxy.js')
const { untilWritesSweep } = require('../support/waiting.js')

const database = useDatabase()
const pool = database.then((db) => db.pool())

/** @typedef {{ title: string, table: string, stored: (key: string) => string, make: () => Promise<PostgresAdapter | PostgresCacheAdapter> }} Cache */

/** @type {Cache[]} */
const CACHES = [
  {
    title: 'PostgresAdapter',
    table: 'go_goscope_cache',
    stored: (key) => `p_%:cache:${key}`,
    make: async () => new PostgresAdapter(await pool, { keyPrefix: 'p_%:' }),
  },
  {
    title: 'PostgresCacheAdapter',
    table: 'cache',
    stored: (key) => `p_%:${key}`,
    make: async () => new PostgresCacheAdapter(await pool, { keyPrefix: 'p_%:' }),
  },
]

/** Longer than any index row holds, so that it is stored as a digest, with its value beside it. */
const LONG = 'k'.repeat(5_000)

for (const { title, table, stored, make } of CACHES) {
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

test('hits and misses of getMany are counted for each key', async () => {
  const cache = new PostgresCacheAdapter(await pool, { keyPrefix: 'counted:' })
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
