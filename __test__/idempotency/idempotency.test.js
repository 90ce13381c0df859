// @ts-check
// @configurations every
'use strict'

const assert = require('node:assert/strict')
const vm = require('node:vm')
const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')
const { PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { without } = require('../support/route.js')
const { afterWait, assertLastsToItsEnd, assertLease } = require('../support/leases.js')
const { untilWritesSweep } = require('../support/waiting.js')

const database = useDatabase()
const pool = database.then((db) => db.pool())
const [created, pgBased, zoneless] = Array.from({ length: 3 }, () => useDatabase({ migrated: false }))

/** @param {import('goscope-postgres').PostgresIdempotencyAdapterOptions} [options] */
async function adapter(options) {
  return new PostgresIdempotencyAdapter(await pool, options)
}

const serverNow = async () => (await database).clock()

/** @param {string} key */
async function row(key) {
  const [found] = await (await database).query(
    `SELECT value, extract(epoch FROM expires_at) * 1000 AS expires_at,
            extract(epoch FROM created_at) * 1000 AS created_at, extract(epoch FROM updated_at) * 1000 AS updated_at
       FROM go_goscope_idempotency WHERE key = $1`,
    [key],
  )
  return found
}

test('connect creates the documented table, with a partial index on the expiry', { skip: without.ddl }, async () => {
  const db = await created
  const results = new PostgresIdempotencyAdapter(db.pool({ max: 1 }))
  assert.equal(await results.connect(), undefined)
  await results.connect()
  const columns = await db.query(`
    SELECT column_name AS name, data_type AS type, is_nullable AS nullable, column_default AS "default"
      FROM information_schema.columns WHERE table_name = 'go_goscope_idempotency' ORDER BY ordinal_position`)
  assert.deepEqual(
    columns.map(({ name, type, nullable, default: value }) => [name, type, nullable, value]),
    [
      ['key', 'text', 'NO', null],
      ['value', 'jsonb', 'NO', null],
      ['expires_at', 'timestamp with time zone', 'YES', null],
      ['created_at', 'timestamp with time zone', 'YES', 'CURRENT_TIMESTAMP'],
      ['updated_at', 'timestamp with time zone', 'YES', 'CURRENT_TIMESTAMP'],
      // Additional to the documented columns, and nullable.
      ['fingerprint', 'text', 'YES', null],
    ],
  )
  const indexes = await db.query("SELECT indexdef FROM pg_indexes WHERE tablename = 'go_goscope_idempotency'")
  assert.equal(indexes.filter(({ indexdef }) => /\(expires_at\) WHERE/.test(indexdef)).length, 1)
  assert.equal(
    (await db.query("SELECT count(*)::int AS n FROM pg_tables WHERE schemaname = 'public'"))[0].n,
    1,
    'and no other table',
  )
})

test('a missing key is null; set, get, set again, delete', async () => {
  const results = await adapter()
  assert.equal(await results.get('missing'), null)
  assert.equal(await results.set('key', { a: [1] }), undefined)
  assert.deepEqual(await results.get('key'), { value: { a: [1] } })
  await results.set('key', 'second')
  assert.deepEqual(await results.get('key'), { value: 'second' })
  assert.equal(await results.delete('key'), undefined)
  assert.equal(await results.delete('key'), undefined)
  assert.equal(await results.get('key'), null)
})

test('a stored null is not a miss', async () => {
  const results = await adapter()
  await results.set('null', null)
  assert.deepEqual(await results.get('null'), { value: null })
})

test('expiresAt is absent if there is no TTL', async () => {
  const results = await adapter()
  for (const ttl of /** @type {any[]} */ ([undefined, null, 0, -0, Infinity])) {
    await results.set('endless', 1, 60_000)
    await results.set('endless', 2, ttl)
    const found = await results.get('endless')
    assert.deepEqual(found, { value: 2 })
    assert.equal('expiresAt' in found, false, String(ttl))
    assert.equal((await row('endless')).expires_at, null)
  }
})

test("expiresAt is the server's now + TTL, a number to the millisecond", async () => {
  const results = await adapter()
  for (const value of ['inserted', 'replaced']) {
    const before = await serverNow()
    await results.set('expires', value, 3_600_000)
    const found = await results.get('expires')
    assert.ok(found?.expiresAt)
    assert.equal(found.value, value)
    assert.ok(Number.isInteger(found.expiresAt))
    assert.ok(found.expiresAt >= before + 3_600_000 - 1 && found.expiresAt <= (await serverNow()) + 3_600_000 + 1)
    assert.equal(found.expiresAt, Math.round(Number((await row('expires')).expires_at)))
  }
  await (await database).query(
    "UPDATE go_goscope_idempotency SET expires_at = '2345-06-07 08:09:10.123+00' WHERE key = 'expires'",
  )
  assert.equal((await results.get('expires'))?.expiresAt, Date.UTC(2345, 5, 7, 8, 9, 10, 123))
})

test('created_at and updated_at are the moments of the first and the last set', async () => {
  const results = await adapter()
  const before = await serverNow()
  await results.set('stamped', 1)
  const between = await serverNow()
  await results.set('stamped', 2)
  const { created_at, updated_at } = await row('stamped')
  assert.ok(created_at >= before - 1 && Number(created_at) <= between + 1)
  assert.ok(updated_at >= between - 1 && Number(updated_at) <= (await serverNow()) + 1)
})

test('an expired entry is null and can be set again', async () => {
  const results = await adapter()
  await results.set('short', 1, 300)
  const isThere = async () => (await results.get('short'))?.value === 1
  await assertLastsToItsEnd(await database, 'go_goscope_idempotency', 'short', isThere)
  await results.set('short', 2, 60_000)
  assert.equal((await results.get('short'))?.value, 2)
})

test('fractional and huge TTLs; negative and NaN ones reject and leave the entry unchanged', async () => {
  const results = await adapter()
  await results.set('ttl', 1, 0.25)
  await sleep(1)
  assert.equal(await results.get('ttl'), null)
  for (const ttl of [1e15, Number.MAX_VALUE]) {
    await results.set('ttl', 2, ttl)
    const found = await results.get('ttl')
    assert.ok(found?.expiresAt && !Number.isNaN(new Date(found.expiresAt).getTime()), `${found?.expiresAt} is a time`)
  }
  for (const ttl of [-1, -0.5, Number.NaN, -Infinity]) {
    await assert.rejects(results.set('ttl', 3, ttl), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message: /ttl/ })
    await assert.rejects(results.set('ttl:new', 3, ttl), { code: 'ERR_OUT_OF_RANGE' })
  }
  assert.equal((await results.get('ttl'))?.value, 2)
  assert.equal(await row('ttl:new'), undefined)
})

test('expired rows are removed in bounded batches as a by-product of set', async () => {
  const db = await database
  const results = await adapter()
  await results.set('live', 1, 60_000)
  await db.query(`INSERT INTO go_goscope_idempotency (key, value, expires_at)
    SELECT 'old:' || n, '1', now() - interval '1 hour' FROM generate_series(1, 2000) AS n`)
  let left = 2000
  for (let sets = 0; left > 0; sets++) {
    assert.ok(sets < 100, `${left} are left after ${sets} sets`)
    await untilWritesSweep()
    await results.set('endless', sets)
    const [{ n }] = await db.query("SELECT count(*)::int AS n FROM go_goscope_idempotency WHERE key LIKE 'old:%'")
    assert.ok(n < left && left - n <= 600, `${left - n} went at once`)
    left = n
  }
  assert.equal((await results.get('live'))?.value, 1)
})

/** Every kind of error that a task may fail with. @type {[string, unknown][]} */
const ERRORS = [
  ['an Error', new Error('failed')],
  ['an Error of a subclass', new (class CustomError extends TypeError {})('failed')],
  [
    'an error with fields',
    Object.assign(new RangeError('failed'), { code: 'E', toJSON: () => ({ message: 'failed' }) }),
  ],
  ['an AggregateError', new AggregateError([new Error('one')])],
  ['a DOMException', new DOMException('aborted', 'AbortError')],
  ["an AbortSignal's reason", AbortSignal.abort().reason],
  ["another realm's Error", vm.runInNewContext("new Error('failed')")],
  ["another realm's subclass", vm.runInNewContext('new (class extends TypeError {})()')],
  ['an old-style subclass', Object.create(Error.prototype, { message: { value: 'failed' } })],
]

test('a failed Result is not stored, and deletes an older entry', async () => {
  const results = await adapter()
  for (const [title, error] of ERRORS) {
    const kinds = [[error, undefined], vm.runInNewContext('(e) => [e, undefined]')(error)]
    for (const failed of kinds) {
      await results.delete('failed')
      assert.equal(await results.set('failed', failed, 60_000), undefined)
      assert.equal(await row('failed'), undefined, title)
      await results.set('failed', [undefined, 'earlier'])
      await results.set('failed', failed)
      assert.equal(await results.get('failed'), null, title)
    }
  }
})

test('a successful Result is stored, and replayed as one', async () => {
  const results = await adapter()
  for (const value of [1, null, 'text', { a: 1 }, [new Date(0)], undefined]) {
    await results.set('success', [undefined, value])
    assert.deepEqual(await results.get('success'), { value: JSON.parse(JSON.stringify([undefined, value])) })
  }
})

test('a value that only looks like a failed Result is stored', async () => {
  const results = await adapter()
  const error = new Error('failed')
  for (const value of [
    ['x', undefined],
    [{ message: 'failed', name: 'Error', stack: '' }, undefined],
    [null, undefined],
    [undefined, undefined],
    [error, 1],
    [error, null],
    [error],
    [error, undefined, undefined],
    [1, error],
    error,
    { 0: error, 1: undefined, length: 2 },
    [[error, undefined]],
  ]) {
    await results.set('alike', 'old')
    await results.set('alike', value)
    assert.deepEqual(await results.get('alike'), { value: JSON.parse(JSON.stringify(value)) })
  }
})

test('a failed Result with a bad TTL rejects, and the older entry stays', async () => {
  const results = await adapter()
  await results.set('bad ttl', 'old')
  await assert.rejects(results.set('bad ttl', [new Error('failed'), undefined], -1), { code: 'ERR_OUT_OF_RANGE' })
  assert.deepEqual(await results.get('bad ttl'), { value: 'old' })
})

test('calls on one key keep their order, also with failed Results', async () => {
  const results = await adapter()
  const [, one, , none, , two] = await Promise.all([
    results.set('order', 1),
    results.get('order'),
    results.set('order', [new Error('failed'), undefined]),
    results.get('order'),
    results.set('order', 2),
    results.get('order'),
  ])
  assert.deepEqual([one, none, two], [{ value: 1 }, null, { value: 2 }])
})

test('keys are stored under the prefix, and two prefixes do not see each other', async () => {
  const [one, two, none] = await Promise.all(['a_b:', 'a-b:', ''].map((keyPrefix) => adapter({ keyPrefix })))
  for (const [n, results] of [one, two, none].entries()) await results.set('prefixed', n)
  assert.deepEqual(
    [(await row('a_b:prefixed')).value, (await row('a-b:prefixed')).value, (await row('prefixed')).value],
    [0, 1, 2],
  )
  await one.delete('prefixed')
  await two.set('prefixed', [new Error('failed'), undefined])
  assert.deepEqual(await Promise.all([one, two, none].map((results) => results.get('prefixed'))), [
    null,
    null,
    { value: 2 },
  ])
})

const LENGTHS = [0, 1, 182, 183, 184, 254, 255, 256, 257, 1_000, 2_600, 2_601, 10_000]

test('keys of any length', async () => {
  const results = await adapter({ keyPrefix: 'long:' })
  await everyLength(results)
})

test('keys of any length work if the table has VARCHAR(255), as the pg-based adapter makes it', async () => {
  const db = await withTheirTable(pgBased)
  await db.query(`INSERT INTO go_goscope_idempotency (key, value, expires_at) VALUES
    ('live', '[null, {"n": 1}]', now() + interval '1 minute'), ('over', '1', now() - interval '1 millisecond')`)
  const own = db.pool({ max: 2 })
  const results = new PostgresIdempotencyAdapter(own)
  await results.connect()
  assert.deepEqual((await results.get('live'))?.value, [null, { n: 1 }])
  assert.equal(await results.get('over'), null)
  await everyLength(results)
  await everyLength(new PostgresIdempotencyAdapter(own, { keyPrefix: 'app:' }))
  const indexes = await db.query(
    "SELECT indexname FROM pg_indexes WHERE tablename = 'go_goscope_idempotency' AND indexdef LIKE '%(expires_at)%'",
  )
  assert.deepEqual(indexes, [{ indexname: 'idx_idempotency_expires' }])
})

test('the same holds under a long prefix', async () => {
  const own = (await withTheirTable(pgBased)).pool({ max: 1 })
  for (const length of [150, 200, 255, 300]) {
    await everyLength(new PostgresIdempotencyAdapter(own, { keyPrefix: 'p'.repeat(length) }))
  }
})

test('expiry is also correct if the columns are TIMESTAMP', async () => {
  const db = await zoneless
  await db.query(`CREATE TABLE go_goscope_idempotency (key TEXT PRIMARY KEY, value JSONB NOT NULL, expires_at TIMESTAMP,
    created_at TIMESTAMP, updated_at TIMESTAMP)`)
  const results = new PostgresIdempotencyAdapter(db.pool({ max: 1 }))
  for (const value of [1, 2]) {
    const before = await serverNow()
    await results.set('key', value, 60_000)
    const expiresAt = (await results.get('key'))?.expiresAt
    assert.ok(expiresAt && expiresAt >= before + 60_000 - 1 && expiresAt <= (await serverNow()) + 60_000 + 1)
  }
  await results.set('short', 1, 0.01)
  await sleep(1)
  assert.equal(await results.get('short'), null)
})

for (const [what, sql] of [
  ['a row', "UPDATE go_goscope_idempotency SET value = '1' WHERE key = 'waited'"],
  ['an insert that is rolled back', "INSERT INTO go_goscope_idempotency (key, value) VALUES ('waited', '1')"],
]) {
  test(`expiry is computed after the wait for ${what}`, async () => {
    const db = await database
    const results = await adapter()
    await (sql.startsWith('UPDATE') ? results.set('waited', 'old') : results.delete('waited'))
    const holder = await db.hold(sql)
    const { since } = await afterWait(db, holder, 'rollback', () => results.set('waited', 'new', 60_000))
    // An entry may lose this much of its TTL while its insert waits.
    await assertLease(db, 'go_goscope_idempotency', 'waited', { ttl: 60_000, since, tolerance: 50 })
  })
}

/** The table as the pg-based adapter makes it. */
async function withTheirTable(/** @type {typeof database} */ where) {
  const db = await where
  await db.query(`CREATE TABLE IF NOT EXISTS go_goscope_idempotency (key VARCHAR(255) PRIMARY KEY, value JSONB NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE, created_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP)`)
  await db.query(`CREATE INDEX IF NOT EXISTS idx_idempotency_expires ON go_goscope_idempotency(expires_at)
    WHERE expires_at IS NOT NULL`)
  return db
}

/** @param {PostgresIdempotencyAdapter} results */
async function everyLength(results) {
  const keys = LENGTHS.map((length) => 'ü'.repeat(length))
  await Promise.all(keys.map((key, n) => results.set(key, n)))
  await Promise.all(keys.map((key, n) => results.set(key, [n], 60_000)))
  const found = await Promise.all(keys.map((key) => results.get(key)))
  assert.deepEqual(
    found.map((entry) => entry?.value),
    keys.map((_, n) => [n]),
  )
  await Promise.all(keys.map((key) => results.delete(key)))
  assert.deepEqual(
    await Promise.all(keys.map((key) => results.get(key))),
    keys.map(() => null),
  )
}
