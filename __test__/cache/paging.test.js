// @ts-check
// @configurations first
// Keys by prefix, page by page, and deletion by prefix: the same in both caches.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')
const { LONG, cachesOn } = require('../support/caches.js')
const { useDatabase } = require('../support/database.js')
const { afterWait } = require('../support/leases.js')

const database = useDatabase()
const large = useDatabase()

const many = (/** @type {string} */ prefix, /** @type {number} */ count) =>
  Array.from({ length: count }, (_, n) => `${prefix}${n}`)

/** @param {AsyncIterable<string>} keys */
async function all(keys) {
  const list = []
  for await (const key of keys) list.push(key)
  return list
}

/** Page by page with `after`. @param {PostgresAdapter | PostgresCacheAdapter} cache @param {string} prefix @param {number} limit */
async function paged(cache, prefix, limit) {
  const list = []
  /** @type {string | undefined} */
  let after
  for (;;) {
    /** @type {string[]} */
    const page = await cache.keys({ prefix, limit, after })
    assert.ok(page.length <= limit)
    list.push(...page)
    if (page.length < limit) return list
    after = page.at(-1)
  }
}

for (const { title, table, stored, make } of cachesOn(database)) {
  test(`${title}: pages have each live key of a prefix once, digests included`, async () => {
    const cache = await make()
    const other = new (title === 'PostgresAdapter' ? PostgresAdapter : PostgresCacheAdapter)((await database).pool(), {
      keyPrefix: 'q:',
    })
    const own = ['page', 'page%', 'page_1', 'PAGE', 'pagé', 'page\\', 'p', '', ...many('page:', 57)]
    const digested = [...many(`page${LONG}`, 9), 'page\ud800', '\u0001#page', `other${LONG}`, '\ufffd\ud800']
    const keys = [...own, ...digested]
    await cache.setMany(keys.map((key) => [key, 1]))
    await other.setMany(keys.map((key) => [`${key}!`, 1]))
    await cache.setMany(many('page over', 20).map((key) => [key, 1, 0.001]))
    for (const prefix of [
      'page',
      '',
      'p',
      'page%',
      'page:1',
      `page${LONG}`,
      'page\ud800',
      '\ufffd\ud800',
      '\ud800',
      '\u0001',
      '\u0001#',
      '\ufffd',
      'none',
    ]) {
      const expected = keys.filter((key) => key.startsWith(prefix)).sort()
      assert.deepStrictEqual((await cache.keys({ prefix })).sort(), expected)
      for (const limit of [1, 7, expected.length || 1, 1_000]) {
        const found = await paged(cache, prefix, limit)
        assert.deepStrictEqual(found, await cache.keys({ prefix }), 'the order does not depend on the pages')
        assert.deepStrictEqual(await all(cache.iterateKeys({ prefix, pageSize: limit })), found)
      }
    }
    // A key that is not there any more is as good.
    const [first, second, third] = await cache.keys({ prefix: 'page:' })
    await cache.delete(second ?? '')
    assert.deepStrictEqual(await cache.keys({ prefix: 'page:', after: second, limit: 1 }), [third])
    assert.deepStrictEqual(await cache.keys({ prefix: 'page:', after: first, limit: 1 }), [third])
    await cache.clear()
    await other.clear()
  })

  test(`${title}: bad options reject, or throw at once if there is no promise`, async () => {
    const cache = /** @type {any} */ (await make())
    for (const [options, code] of /** @type {[any, string][]} */ ([
      [{ limit: 0 }, 'ERR_OUT_OF_RANGE'],
      [{ limit: 1.5 }, 'ERR_OUT_OF_RANGE'],
      [{ limit: '1' }, 'ERR_INVALID_ARG_TYPE'],
      [{ prefix: 'a\0' }, 'ERR_INVALID_ARG_VALUE'],
      [{ prefix: true }, 'ERR_INVALID_ARG_TYPE'],
      [{ after: {} }, 'ERR_INVALID_ARG_TYPE'],
      [{ prefx: 'a' }, 'ERR_INVALID_ARG_VALUE'],
    ])) {
      await assert.rejects(cache.keys(options), { code })
      if (options.prefix) await assert.rejects(cache.clear({ prefix: options.prefix }), TypeError)
      if (options.after) continue
      assert.throws(
        () => cache.iterateKeys({ prefix: options.prefix, pageSize: options.limit, prefx: options.prefx }),
        { code },
      )
    }
  })

  test(`${title}: clear deletes the entries of a prefix and no others, by bounded statements`, async () => {
    const db = await database
    const cache = await make()
    const other = new PostgresAdapter(db.pool(), { keyPrefix: 'q:' })
    const gone = [...many('gone:', 12_000), ...many(`gone:${LONG}`, 3), 'gone:\ud800']
    const kept = ['gone', 'gone%', 'Gone:', 'gon_:', `gone${LONG}`, 'kept', 'half', 'half\ufffd', 'half\udfff']
    const malformed = ['half\ud800', 'half\ud800 and more']
    await cache.setMany([...gone, ...malformed, ...kept].map((key) => [key, 1]))
    await cache.setMany(many('gone:over', 10).map((key) => [key, 1, 0.001]))
    await other.set('gone:1', 1)
    const calls = () => cache.metrics().operations['cache.clear']?.calls ?? 0
    const before = calls()
    assert.equal(await cache.clear({ prefix: 'gone:' }), undefined)
    assert.equal(calls() - before, 3, '5,000 rows, 5,000, and the rest')
    assert.deepStrictEqual((await cache.keys()).sort(), [...kept, ...malformed].sort())
    await cache.clear({ prefix: 'half\ud800' })
    assert.deepStrictEqual((await cache.keys()).sort(), kept.sort())
    assert.deepStrictEqual(await other.keys(), ['gone:1'])
    const rows = await db.query(`SELECT FROM ${table} WHERE starts_with(key, $1)`, [stored('gone:')])
    assert.equal(rows.length, 0)
    await cache.clear({ prefix: 'none' })
    await cache.clear({ prefix: '' })
    assert.deepStrictEqual(await cache.keys(), [])
    assert.deepStrictEqual(await other.keys(), ['gone:1'])
  })

  test(`${title}: a row that others change or delete while clear waits for it is gone afterwards`, async () => {
    const db = await database
    const cache = await make()
    const sql = {
      changed: `UPDATE ${table} SET value = '2' WHERE key = $1`,
      deleted: `DELETE FROM ${table} WHERE key = $1`,
    }
    for (const change of Object.values(sql)) {
      await cache.setMany(many('w', 20).map((key) => [key, 1]))
      const holder = await db.hold(change, [stored('w7')])
      await afterWait(db, holder, 'commit', () => cache.clear({ prefix: 'w' }))
      assert.deepStrictEqual(await cache.keys(), [])
    }
  })

  test(`${title}: clear by prefix beside writers of the same keys leaves each key as a write made it, or gone`, async () => {
    const db = await database
    const [cache, rival] = [await make(), await make()]
    const keys = many('rival', 400)
    await Promise.all(
      Array.from({ length: 12 }, async (_, round) => {
        const call = [
          () => cache.clear({ prefix: 'rival' }),
          () => rival.setMany(keys.map((key) => [key, round])),
          () => rival.deleteMany(keys),
        ][round % 3]
        await call?.()
      }),
    )
    for (const value of await cache.getMany(keys)) assert.ok(value === null || [1, 4, 7, 10].includes(Number(value)))
    assert.equal((await db.query('SELECT 1')).length, 1)
    await cache.clear({ prefix: 'rival' })
  })
}

test('500,000 keys: one page is held at a time, and no page sorts or reads the others', async () => {
  const db = await large
  const cache = new PostgresAdapter(db.pool({ max: 1 }), { keyPrefix: 'large:' })
  await cache.connect()
  await db.query(
    "INSERT INTO go_goscope_cache (key, value) SELECT 'large:cache:key ' || n, '1' FROM generate_series(1, 500000) AS n",
  )
  await db.query('VACUUM ANALYZE go_goscope_cache')
  // The server counts with up to a second of delay.
  const read = async () => {
    const [row] = await db.query(
      `SELECT seq_scan::int AS scans, idx_tup_fetch::int AS rows FROM pg_stat_user_tables WHERE relname = 'go_goscope_cache'`,
    )
    return row
  }
  const earlier = await read()
  let [found, longest, before] = [0, 0, performance.now()]
  const heap = process.memoryUsage().rss
  let most = heap
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - before)
    before = performance.now()
    most = Math.max(most, process.memoryUsage().rss)
  }, 1)
  const started = performance.now()
  for await (const key of cache.iterateKeys({ prefix: 'key ' })) found += key.length > 4 ? 1 : 0
  clearInterval(timer)
  const took = performance.now() - started
  assert.equal(found, 500_000)
  assert.equal(cache.metrics().operations['cache.keys']?.calls, 501, 'pages of 1,000')
  const later = await read()
  assert.ok(later.scans - earlier.scans < 50, 'pages scan the table')
  assert.ok(later.rows - earlier.rows < 2_000_000, `pages read ${later.rows - earlier.rows} rows`)
  console.log(
    `  500,000 keys in ${Math.round(took)} ms; event loop held at most ${Math.round(longest)} ms; ` +
      `${Math.round((most - heap) / 2 ** 20)} MB more`,
  )

  const cleared = performance.now()
  await cache.clear({ prefix: 'key ' })
  console.log(`  deleted in ${Math.round(performance.now() - cleared)} ms`)
  assert.deepStrictEqual(await cache.keys({ limit: 1 }), [])
})
