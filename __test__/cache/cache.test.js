// @ts-check
// @configurations every
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { afterWait, assertLastsToItsEnd, assertLease } = require('../support/leases.js')
const { inTime, untilWritesSweep } = require('../support/waiting.js')

const TABLE = 'go_goscope_cache'
/** How much of its TTL an entry may lose while its insert waits. */
const STALE_MS = 50

const database = useDatabase()
const pool = database.then((db) => db.pool())

/** @param {import('goscope-postgres').PersistenceAdapterOptions} [options] */
async function cache(options) {
  return new PostgresAdapter(await pool, options)
}

/** @param {string} key */
async function row(key) {
  const rows = await (await database).query(
    'SELECT value::text AS json, expires_at, xmin, ctid FROM go_goscope_cache WHERE key = $1',
    [key],
  )
  return rows[0]
}

/** @param {string} condition */
async function count(condition) {
  return (await (await database).query(`SELECT count(*)::int AS n FROM go_goscope_cache WHERE ${condition}`))[0].n
}

test('a missing key is null, for get and has', async () => {
  const adapter = await cache()
  assert.equal(await adapter.get('missing'), null)
  assert.equal(await adapter.has('missing'), false)
})

test('a value is stored under its key, is returned, and is replaced', async () => {
  const adapter = await cache({ keyPrefix: 'app:' })
  assert.equal(await adapter.set('replaced', { a: [1] }), undefined)
  assert.deepEqual(await adapter.get('replaced'), { a: [1] })
  assert.equal((await row('app:cache:replaced')).json, '{"a": [1]}')
  await adapter.set('replaced', 'plain')
  assert.equal(await adapter.get('replaced'), 'plain')
})

test('has distinguishes a stored null from a miss', async () => {
  const adapter = await cache()
  await adapter.set('null', null)
  assert.equal(await adapter.get('null'), null)
  assert.equal(await adapter.has('null'), true)
  await adapter.delete('null')
  assert.equal(await adapter.has('null'), false)
})

test('an entry is gone when its TTL has expired', async () => {
  const adapter = await cache()
  for (const isThere of [async () => (await adapter.get('short')) === 1, () => adapter.has('short')]) {
    await adapter.set('short', 1, 400)
    await assertLastsToItsEnd(await database, TABLE, 'cache:short', isThere)
  }
})

test("the server's clock is used, not the process's", async () => {
  const db = await database
  const adapter = await cache()
  const now = Date.now
  for (const days of [2, -2]) {
    Date.now = () => now() + days * 86_400_000
    try {
      const since = await db.clock()
      await adapter.set('clock', days, 60_000)
      await assertLease(db, TABLE, 'cache:clock', { ttl: 60_000, since })
      assert.equal(await adapter.get('clock'), days)
    } finally {
      Date.now = now
    }
  }
})

test('a TTL that is absent, null, 0 or Infinity means no expiry', async () => {
  const adapter = await cache()
  for (const ttl of /** @type {any[]} */ ([undefined, null, 0, -0, Infinity])) {
    await adapter.set('endless', 'before', 60_000)
    await adapter.set('endless', String(ttl), ttl)
    assert.equal((await row('cache:endless')).expires_at, null, String(ttl))
    assert.equal(await adapter.get('endless'), String(ttl))
  }
})

test('a TTL that is negative or NaN rejects and stores nothing', async () => {
  const adapter = await cache()
  await adapter.set('kept', 'old', 60_000)
  for (const ttl of [-1, -0.001, -Infinity, Number.NaN]) {
    for (const key of ['refused', 'kept']) {
      await assert.rejects(adapter.set(key, 'new', ttl), {
        name: 'RangeError',
        code: 'ERR_OUT_OF_RANGE',
        message: /ttl/,
      })
    }
  }
  assert.equal(await row('cache:refused'), undefined)
  assert.equal(await adapter.get('kept'), 'old')
})

test('a fractional TTL counts, even far below a millisecond', async () => {
  const db = await database
  const adapter = await cache()
  const since = await db.clock()
  await adapter.set('fractional', 1, 60_000.75)
  await assertLease(db, TABLE, 'cache:fractional', { ttl: 60_000.75, since })
  for (const ttl of [0.5, 1e-9, Number.MIN_VALUE]) {
    await adapter.set('fraction', 1, ttl)
    assert.notEqual((await row('cache:fraction')).expires_at, null, `${ttl} is no endless TTL`)
    await sleep(1)
    assert.equal(await adapter.get('fraction'), null)
  }
})

test('a huge TTL works, and the pg-based adapter can read its end as a Date', async () => {
  const adapter = await cache()
  for (const ttl of [1e12, Number.MAX_SAFE_INTEGER, 1e300, Number.MAX_VALUE]) {
    await adapter.set('huge', ttl, ttl)
    assert.equal(await adapter.get('huge'), ttl)
    assert.ok((await row('cache:huge')).expires_at.getTime() > Date.now() + 9e11, String(ttl))
    await adapter.set('huge', 'again', ttl)
    assert.equal(await adapter.get('huge'), 'again')
  }
})

test('overwriting replaces the expiry, whether it is longer or shorter', async () => {
  const db = await database
  const adapter = await cache()
  for (const ttl of [60_000, 5_000, 60_000, undefined, 60_000]) {
    const since = await db.clock()
    await adapter.set('expiry', 1, ttl)
    if (ttl) await assertLease(db, TABLE, 'cache:expiry', { ttl, since })
    else assert.equal((await row('cache:expiry')).expires_at, null)
  }
})

test('an expired entry can be set again', async () => {
  const adapter = await cache()
  await adapter.set('revived', 'old', 0.001)
  await sleep(1)
  assert.equal(await adapter.get('revived'), null)
  await adapter.set('revived', 'new', 60_000)
  assert.equal(await adapter.get('revived'), 'new')
})

test('delete removes its key only, and accepts an absent key', async () => {
  const adapter = await cache()
  await adapter.set('deleted', 1)
  await adapter.set('deleted:not', 2)
  assert.equal(await adapter.delete('deleted'), undefined)
  assert.equal(await adapter.delete('deleted'), undefined)
  assert.equal(await row('cache:deleted'), undefined)
  assert.equal(await adapter.get('deleted:not'), 2)
})

test('calls on one key take effect in the order in which they were made', async () => {
  const adapter = await cache()
  const other = await cache()
  const results = await Promise.all([
    adapter.set('ordered', 1),
    other.get('ordered'),
    adapter.set('ordered', 2),
    adapter.get('ordered'),
    other.delete('ordered'),
    adapter.has('ordered'),
    adapter.get('ordered'),
    other.set('ordered', 3),
    adapter.get('ordered'),
  ])
  assert.deepEqual(results, [undefined, 1, undefined, 2, undefined, false, null, undefined, 3])
  const writes = Array.from({ length: 300 }, (_, n) => adapter.set('ordered', n))
  assert.equal(await adapter.get('ordered'), 299)
  await Promise.all(writes)
})

test('overlapping sets and deletes of several adapters neither fail nor lose a key', async () => {
  const db = await database
  const adapters = await Promise.all(Array.from({ length: 6 }, async () => new PostgresAdapter(db.pool({ max: 3 }))))
  const numbers = Array.from({ length: 40 }, (_, n) => n)
  for (let round = 0; round < 5; round++) {
    const shuffled = () => numbers.toSorted(() => Math.random() - 0.5)
    await Promise.all(
      adapters.flatMap((adapter) => [
        ...shuffled().map((n) => adapter.set(`overlap:${n}`, { n, round }, 60_000)),
        ...shuffled().map((n) => adapter.delete(`overlap:other:${n}`)),
        ...shuffled().map((n) => adapter.set(`overlap:other:${n}`, n)),
      ]),
    )
    const found = await Promise.all(numbers.map((n) => adapters[0].get(`overlap:${n}`)))
    assert.deepEqual(
      found,
      numbers.map((n) => ({ n, round })),
    )
  }
})

test('reads write nothing', async () => {
  const adapter = await cache()
  await adapter.set('read', 1, 60_000)
  const { xmin, ctid } = await row('cache:read')
  assert.equal(await adapter.get('read'), 1)
  assert.equal(await adapter.has('read'), true)
  assert.ok((await adapter.keys('read')).includes('read'))
  const after = await row('cache:read')
  assert.deepEqual([after.xmin, after.ctid], [xmin, ctid])
})

test('rows of the pg-based adapter are read, their expiry as UTC', async () => {
  const adapter = await cache({ keyPrefix: 'fleet:' })
  await adapter.set('theirs', 'ours')
  await (await database).query(`
    INSERT INTO go_goscope_cache (key, value, expires_at) VALUES
      ('fleet:cache:endless', '{"a": 1}', NULL),
      ('fleet:cache:live', '[null]', timezone('UTC', clock_timestamp()) + interval '1 minute'),
      ('fleet:cache:over', '1', timezone('UTC', clock_timestamp()) - interval '1 second')`)
  assert.deepEqual(await adapter.get('endless'), { a: 1 })
  assert.deepEqual(await adapter.get('live'), [null])
  assert.equal(await adapter.get('over'), null)
  assert.equal(await adapter.has('over'), false)
  assert.deepEqual(await adapter.keys(), ['endless', 'live', 'theirs'])
})

test('each set removes a bounded number of expired rows, until none is left, and never a live one', async () => {
  const adapter = await cache()
  await adapter.set('sweep:first', 1)
  await (await database).query(`
    INSERT INTO go_goscope_cache
    SELECT kind || ':cache:' || n, '1', timezone('UTC', clock_timestamp()) + ttl
      FROM (VALUES ('old', 3000, interval '-1 hour'), ('live', 50, '1 hour'), ('endless', 50, NULL)) AS kinds (kind, many, ttl)
     CROSS JOIN generate_series(1, many) AS n`)
  let left = 3000
  for (let sets = 0; left > 0; sets++) {
    assert.ok(sets < 100, `${left} are left after ${sets} sets`)
    await untilWritesSweep()
    await adapter.set('sweep:again', sets)
    const now = await count("key LIKE 'old:%'")
    assert.ok(now < left, 'each set removes some')
    assert.ok(left - now <= 600, `${left - now} went at once`)
    left = now
  }
  assert.equal(await count("key LIKE 'live:%' OR key LIKE 'endless:%'"), 100)
})

test('short-lived entries do not pile up', async () => {
  const adapter = await cache({ keyPrefix: 'pile:' })
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 50 }, (_, n) => adapter.set(`${round}:${n}`, n, 0.01)))
  }
  const left = await count("key LIKE 'pile:%'")
  assert.ok(left < 400, `${left} of 1,000 entries are left`)
})

test('removing expired rows waits for no row lock', async () => {
  const db = await database
  const adapter = await cache()
  await adapter.set('held-up:not', 0)
  await db.query(`INSERT INTO go_goscope_cache VALUES ('held-up', '1', timezone('UTC', now()) - interval '10 days')`)
  const holder = await db.hold("SELECT * FROM go_goscope_cache WHERE key = 'held-up' FOR UPDATE")
  await untilWritesSweep()
  await inTime('a set beside a locked row', adapter.set('held-up:not', 1))
  assert.equal(await count("key = 'held-up'"), 1, 'the locked row is unchanged')
  await holder.rollback()
  await untilWritesSweep()
  await adapter.set('held-up:not', 2)
  assert.equal(await count("key = 'held-up'"), 0, 'the row is removed once it is unlocked')
})

test('expiry is computed after the wait for a row', async () => {
  const db = await database
  const adapter = await cache()
  await adapter.set('waited', 'old')
  const holder = await db.hold("SELECT * FROM go_goscope_cache WHERE key = 'cache:waited' FOR UPDATE")
  const { since } = await afterWait(db, holder, 'commit', () => adapter.set('waited', 'new', 60_000))
  await assertLease(db, TABLE, 'cache:waited', { ttl: 60_000, since })
})

test('expiry is computed after the wait for an insert that is rolled back', async () => {
  const db = await database
  const adapter = await cache()
  await adapter.connect()
  const holder = await db.hold("INSERT INTO go_goscope_cache VALUES ('cache:rolled-back', '1')")
  const { since } = await afterWait(db, holder, 'rollback', () => adapter.set('rolled-back', 'new', 60_000))
  await assertLease(db, TABLE, 'cache:rolled-back', { ttl: 60_000, since, tolerance: STALE_MS })
})
