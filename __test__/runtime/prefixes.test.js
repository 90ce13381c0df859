// @ts-check
// @configurations every
// keyPrefix: a namespace for everything that an adapter stores. It is data, never a pattern.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { inTime } = require('../support/waiting.js')
const { TITLES, storesOf } = require('../support/stores.js')

const database = useDatabase({ cacheTables: ['beginnings'] })
const pool = database.then((db) => db.pool())

/** For tests that need the whole table: what is stored, what is cleared. */
const ownDatabase = useDatabase({ cacheTables: ['wild'] })

/**
 * Prefixes are separate: each has its own value under the same name, each lists its own names, and what is removed from
 * the last one stays in the others. None may begin with another: 'a' with the key 'bc' is 'ab' with the key 'c', as
 * documented.
 *
 * @param {any[]} prefixes
 * @param {string[]} names
 */
async function areApart(prefixes, names) {
  for (const [at, title] of TITLES.entries()) {
    const stores = await Promise.all(prefixes.map(async (keyPrefix) => storesOf(await pool, keyPrefix)[at]))
    const all = stores.flatMap((store, s) => names.map((name, n) => ({ store, name, n: 1 + s * names.length + n })))
    await Promise.all(all.map(({ store, name, n }) => store.put(name, n)))
    const held = await Promise.all(all.map(({ store, name, n }) => store.holds(name, n)))
    const lost = all.filter((_, n) => !held[n]).map(({ name, n }) => [name.slice(0, 20), n])
    assert.deepEqual(lost, [], title)
    for (const { keys } of stores) {
      if (keys) assert.deepEqual((await keys()).map(brief).sort(), names.map(brief).sort(), title)
    }
    const removed = stores[stores.length - 1]
    await Promise.all(names.map((name) => removed.remove(name)))
    for (const { store, name, n } of all)
      assert.equal(await store.holds(name, n), store !== removed, `${title}, ${brief(name)}`)
  }
}

/** A name as a failure should show it. */
const brief = (/** @type {string} */ name) => (name.length > 100 ? `${name.slice(0, 20)}...(${name.length})` : name)

test('a prefix is data: _, % and \\ in it match themselves', async () => {
  await areApart(['a_c:', 'abc:', 'a%:', 'axyz:', 'a\\_c:', 'a\\:', 'A_C:', '%:', '_:', '%%:'], ['name', 'n_me', '%'])
})

test('a prefix may be any text', async () => {
  await areApart(
    // biome-ignore format: one line each would be a page
    [
      ' ', '\t', "it's:", '":', '$1', '{}', '{table}', 'ключ:', '鍵', '🙂', '\u0001:', '\u0001sha256:', '\ufffd', '\ud800',
      '\udfff', '\\ud800', '"\\ud800"',
    ],
    ['name', ' '],
  )
})

test('a prefix may be very long, and long prefixes differ at their ends', async () => {
  const shared = crypto.randomBytes(5_000).toString('hex')
  const prefixes = [100, 1_000, 1_299, 1_300, 1_301, 2_500, 2_600, 2_700, 10_000].map(
    (length) => `${shared.slice(0, length - 1)}|`,
  )
  await areApart(
    [...prefixes, `${shared}a`, `${shared}b`, 'é'.repeat(1_000)],
    ['name', '', 'long'.repeat(100), 'longer'.repeat(1_000), '\ud800'],
  )
})

test('a prefix that looks like the stored form of a long prefix is a different prefix', async () => {
  const long = 'p'.repeat(5_000)
  for (const [at, title] of TITLES.entries()) {
    const store = storesOf(await pool, long)[at]
    await store.put('imposter', 1)
    const [{ name }] = await (await database).query(
      `SELECT ${store.column} AS name FROM ${store.table} WHERE ${store.column} LIKE '%imposter'`,
    )
    const storedPrefix = name.slice(0, name.length - `${store.namespace}imposter`.length)
    assert.ok(storedPrefix.length < 1_000, 'the prefix is stored in another form')
    const imposter = storesOf(await pool, storedPrefix)[at]
    assert.equal(await imposter.holds('imposter', 1), false, title)
    await imposter.remove('imposter')
    assert.equal(await store.holds('imposter', 1), true, title)
    if (imposter.keys) assert.deepEqual(await imposter.keys(), [], title)
  }
})

test('a prefix that begins like the stored form of long prefixes does not see their keys', async () => {
  const tableName = 'beginnings'
  const long = new PostgresCacheAdapter(await pool, { tableName, keyPrefix: 'q'.repeat(5_000) })
  await long.set('beginning', 1)
  const [{ key }] = await (await database).query('SELECT key FROM beginnings')
  for (const length of [1, 2, 10]) {
    const beginning = new PostgresCacheAdapter(await pool, { tableName, keyPrefix: key.slice(0, length) })
    assert.deepEqual(await beginning.keys(), [])
    assert.equal((await beginning.stats()).size, 0)
    assert.equal(await beginning.get(key.slice(length)), null)
    await beginning.clear()
    assert.equal(await long.get('beginning'), 1)
  }
})

test('an absent, null or empty prefix means no prefix', async () => {
  for (const [n, keyPrefix] of [undefined, null, ''].entries()) {
    for (const [at, title] of TITLES.entries()) {
      await storesOf(await pool, keyPrefix)[at].remove('unprefixed')
      await storesOf(await pool, keyPrefix)[at].put('unprefixed', n + 1)
      for (const same of [undefined, null, '']) {
        assert.equal(await storesOf(await pool, same)[at].holds('unprefixed', n + 1), true, title)
      }
    }
  }
})

test('a number or bigint as a prefix is its decimal text', async () => {
  for (const [given, text] of /** @type {[any, string][]} */ ([
    [7, '7'],
    [8n, '8'],
    [0, '0'],
    [-1.5, '-1.5'],
  ])) {
    for (const [at, title] of TITLES.entries()) {
      await storesOf(await pool, given)[at].put('prefixed', 1)
      assert.equal(await storesOf(await pool, text)[at].holds('prefixed', 1), true, title)
    }
  }
})

for (const Adapter of [PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter]) {
  test(`${Adapter.name}: a value that is not text is refused as a prefix`, async () => {
    const made = async (/** @type {any} */ keyPrefix) => new Adapter(await pool, { keyPrefix })
    for (const prefix of [
      {},
      [],
      ['a'],
      true,
      false,
      Symbol('a'),
      () => 'a',
      Number.NaN,
      Infinity,
      new String('a'),
      Buffer.from('a'),
    ]) {
      await assert.rejects(made(prefix), {
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
        message: /"options\.keyPrefix"/,
      })
    }
    for (const prefix of ['\0', 'a\0b']) {
      await assert.rejects(made(prefix), {
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_VALUE',
        message: /'options\.keyPrefix'/,
      })
    }
  })
}

test('every table holds the prefix before its namespace, byte for byte', async () => {
  const own = (await ownDatabase).pool({ max: 2 })
  for (const keyPrefix of ['app:', 'a_%\\:', 'ключ 🙂 ', "'", 'x'.repeat(500)]) {
    for (const store of storesOf(own, keyPrefix)) {
      await store.put('k', 1)
      const rows = await (await ownDatabase).query(`SELECT ${store.column} AS name FROM ${store.table}`)
      assert.ok(
        rows.some(({ name }) => name === `${keyPrefix}${store.namespace}k`),
        store.title,
      )
    }
  }
})

test('clear, keys, stats and prune keep to a prefix with wildcards in it', async () => {
  const own = (await ownDatabase).pool({ max: 2 })
  const past = "timezone('UTC', clock_timestamp()) - interval '1 second'"
  for (const [pattern, ...matched] of [
    ['a_c:', 'abc:', 'a%c:'],
    ['a%c:', 'abbc:', 'ac:'],
    ['a\\_:', 'a_:', 'a\\x:'],
    ['%', 'any', '_'],
  ]) {
    const adapter = new PostgresAdapter(own, { keyPrefix: pattern })
    const entries = new PostgresCacheAdapter(own, { tableName: 'wild', keyPrefix: pattern })
    const others = matched.flatMap((keyPrefix) => [
      new PostgresAdapter(own, { keyPrefix }),
      new PostgresCacheAdapter(own, { tableName: 'wild', keyPrefix }),
    ])
    for (const cache of [adapter, entries, ...others]) await cache.set('live', 1)
    await (await ownDatabase).query(
      `INSERT INTO wild (key, value, expires_at)
       SELECT prefix || 'over', '1', ${past} FROM unnest($1::text[]) AS prefix`,
      [[pattern, ...matched]],
    )
    assert.deepEqual([await adapter.keys(), await entries.keys()], [['live'], ['live']])
    assert.equal((await entries.stats()).size, 1)
    assert.equal(await entries.prune(), 1)
    await Promise.all([adapter.clear(), entries.clear()])
    assert.deepEqual([await adapter.keys(), await entries.keys()], [[], []])
    for (const other of others) assert.equal(await other.has('live'), true, `not under ${pattern}`)
    await (await ownDatabase).query('TRUNCATE wild, go_goscope_cache')
  }
})

test('one name in two prefixes is two names: calls on them do not wait for each other', async () => {
  const db = await database
  const [one, two] = ['one:', 'two:'].map((keyPrefix) => new PostgresAdapter(db.pool({ max: 2 }), { keyPrefix }))
  await Promise.all([one.set('shared', 1), two.set('shared', 2)])
  const holder = await db.hold("SELECT * FROM go_goscope_cache WHERE key = 'one:cache:shared' FOR UPDATE")
  const waiting = one.set('shared', 3)
  await db.untilWaiting()
  await inTime('a set under the other prefix', two.set('shared', 4))
  assert.equal(await two.get('shared'), 4)
  assert.equal((await db.query("SELECT value FROM go_goscope_cache WHERE key = 'one:cache:shared'"))[0].value, 1)
  await holder.commit()
  await waiting
  assert.equal(await one.get('shared'), 3)
})

test('adapters of one pool and one prefix keep the order of the calls on a key, across adapters', async () => {
  const own = await pool
  const stores = Array.from({ length: 4 }, () => storesOf(own, 'ordered:'))
  for (const [at, title] of TITLES.entries()) {
    const pending = []
    for (let n = 1; n <= 40; n++) {
      pending.push(stores[n % 4][at].remove('k'), stores[(n + 1) % 4][at].put('k', n))
      const look = stores[(n + 2) % 4][at].holds('k', n).then((held) => assert.ok(held, `${title}: ${n}`))
      pending.push(look)
      // A `load` may see later writes.
      if (title === 'checkpoint ids') await look
    }
    await Promise.all(pending)
  }
})

test('prefixes of which one begins with another share rows, as documented; the rule keeps them apart', async () => {
  const tableName = 'beginnings'
  const [short, long] = [
    new PostgresCacheAdapter(await pool, { tableName, keyPrefix: 'over' }),
    new PostgresCacheAdapter(await pool, { tableName, keyPrefix: 'over:' }),
  ]
  await long.set('1', 'of the long')
  assert.equal(await short.get(':1'), 'of the long')
  assert.deepEqual([await short.keys(), (await short.stats()).size], [[':1'], 1])
  await short.clear()
  assert.equal(await long.has('1'), false)

  // Only from the part behind the prefix. In the tables of a PostgresAdapter a word follows the prefix.
  const checkpoint = { id: '1', taskId: 't', sequence: 1, timestamp: 1, progress: 1, data: 1 }
  await new PostgresAdapter(await pool, { keyPrefix: 'over:' }).save(checkpoint)
  const shared = await new PostgresAdapter(await pool, { keyPrefix: 'over' }).load(':1')
  assert.deepEqual(shared, { ...checkpoint, id: ':1', taskId: ':t' })
  for (const [at, title] of TITLES.entries()) {
    // The id of its task shows the prefix, too.
    if (title === 'checkpoint ids') continue
    const [one, other] = [storesOf(await pool, 'over')[at], storesOf(await pool, 'over:')[at]]
    await other.put('2', 7)
    assert.equal(await one.holds(':2', 7), other.namespace === '', title)
    const within = storesOf(await pool, `over${other.namespace}`)[at]
    await within.put('3', 8)
    assert.equal(await one.holds(`${other.namespace}3`, 8), true, title)
  }
  await areApart(['sep:', 'sept:', 'se:', 's:'], ['1', ':1', 't:1', 'p:1'])
})
