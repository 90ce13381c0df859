// @ts-check
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../helpers/database.js')

const database = useDatabase()
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** @param {import('goscope-postgres').PersistenceAdapterOptions} [options] */
async function adapter(options) {
  return new PostgresAdapter((await database).pool(), options)
}

/** @param {string} key */
async function row(key) {
  const rows = await (await database).query(
    `SELECT owner, extract(epoch FROM expires_at - timezone('UTC', clock_timestamp())) * 1000 AS remaining
       FROM go_goscope_locks WHERE key = $1`,
    [key],
  )
  return rows[0] && { owner: rows[0].owner, remaining: Number(rows[0].remaining) }
}

test('a free lock is taken under its key, and for the TTL by the server clock', async () => {
  const locks = await adapter()
  const handle = await locks.acquire('free', 60_000, 'me')
  assert.ok(handle)
  const stored = await row('lock:free')
  assert.equal(stored.owner, 'me')
  assert.ok(stored.remaining > 55_000 && stored.remaining <= 60_000, `${stored.remaining} ms remain`)
  assert.equal(await handle.isValid(), true)
})

test('a live lock of another owner is null, and its row is not touched', async () => {
  const locks = await adapter()
  assert.ok(await locks.acquire('busy', 60_000, 'first'))
  const before = await (await database).query("SELECT xmin, ctid FROM go_goscope_locks WHERE key = 'lock:busy'")
  assert.equal(await locks.acquire('busy', 60_000, 'second'), null)
  assert.equal(await locks.acquire('busy', 60_000), null)
  const after = await (await database).query("SELECT xmin, ctid FROM go_goscope_locks WHERE key = 'lock:busy'")
  assert.deepEqual(after, before)
})

test('the owner defaults to a UUIDv4, another each time', async () => {
  const locks = await adapter()
  await locks.acquire('uuid:1', 60_000)
  await locks.acquire('uuid:2', 60_000, /** @type {any} */ (null))
  const [one, two] = [(await row('lock:uuid:1')).owner, (await row('lock:uuid:2')).owner]
  assert.match(one, UUID_V4)
  assert.match(two, UUID_V4)
  assert.notEqual(one, two)
})

test('the same owner re-acquires and replaces the expiry, shorter too', async () => {
  const locks = await adapter()
  await locks.acquire('again', 60_000, 'me')
  const handle = await locks.acquire('again', 5_000, 'me')
  assert.ok(handle)
  assert.ok((await row('lock:again')).remaining <= 5_000)
})

test('an expired lock is free', async () => {
  const locks = await adapter()
  const first = await locks.acquire('expires', 50, 'first')
  await sleep(80)
  assert.equal(await first?.isValid(), false)
  const second = await locks.acquire('expires', 60_000, 'second')
  assert.ok(second)
  assert.equal((await row('lock:expires')).owner, 'second')
})

test('the default TTL is the option, and without one its absence is a TypeError', async () => {
  const locks = await adapter({ defaultLockTTL: 30_000 })
  for (const absent of [undefined, null]) {
    assert.ok(await locks.acquire('default', /** @type {any} */ (absent), 'me'))
    const { remaining } = await row('lock:default')
    assert.ok(remaining > 25_000 && remaining <= 30_000)
  }
  const bare = await adapter()
  await assert.rejects(bare.acquire('default', /** @type {any} */ (undefined)), {
    name: 'TypeError',
    code: 'ERR_INVALID_ARG_TYPE',
  })
})

test('extend: the owner of a live lock only; it may shorten', async () => {
  const locks = await adapter()
  await locks.acquire('extend', 60_000, 'me')
  assert.equal(await locks.extend('extend', 120_000, 'me'), true)
  assert.ok((await row('lock:extend')).remaining > 100_000)
  assert.equal(await locks.extend('extend', 10_000, 'me'), true)
  assert.ok((await row('lock:extend')).remaining <= 10_000)
  assert.equal(await locks.extend('extend', 60_000, 'other'), false)
  assert.equal(await locks.extend('absent', 60_000, 'me'), false)
})

test('extend: an expired lock stays lost', async () => {
  const locks = await adapter()
  const handle = await locks.acquire('extend:expired', 40, 'me')
  await sleep(70)
  assert.equal(await locks.extend('extend:expired', 60_000, 'me'), false)
  assert.equal(await handle?.extend(60_000), false)
})

test('the handle: methods work detached, release twice is harmless', async () => {
  const locks = await adapter()
  const handle = await locks.acquire('handle', 60_000)
  assert.ok(handle)
  const { release, extend, isValid } = handle
  assert.equal(await isValid(), true)
  assert.equal(await extend(90_000), true)
  assert.equal(await release(), undefined)
  assert.equal(await release(), undefined)
  assert.equal(await isValid(), false)
  assert.equal(await extend(60_000), false)
  assert.equal(await row('lock:handle'), undefined)
})

test('the handle: release leaves a lock that somebody else has taken since', async () => {
  const locks = await adapter()
  const stale = await locks.acquire('stale', 40, 'first')
  await sleep(70)
  const fresh = await locks.acquire('stale', 60_000, 'second')
  await stale?.release()
  assert.equal(await stale?.isValid(), false)
  assert.equal(await fresh?.isValid(), true)
})

test('forceRelease frees whoever holds, and an absent lock without complaint', async () => {
  const locks = await adapter()
  const handle = await locks.acquire('forced', 60_000, 'me')
  assert.equal(await locks.forceRelease('forced'), undefined)
  assert.equal(await locks.forceRelease('forced'), undefined)
  assert.equal(await handle?.isValid(), false)
  assert.ok(await locks.acquire('forced', 60_000, 'other'))
})

test('acquire cleans up expired locks, a bounded number, and no live one', async () => {
  const db = await database
  const locks = await adapter()
  await locks.acquire('sweep:live', 60_000, 'me')
  await db.query(`INSERT INTO go_goscope_locks SELECT 'lock:old:' || n, 'gone', timezone('UTC', now()) - interval '1 hour'
                    FROM generate_series(1, 50) AS n`)
  await locks.acquire('sweep:one', 60_000)
  const left = await db.query("SELECT count(*)::int AS n FROM go_goscope_locks WHERE key LIKE 'lock:old:%'")
  assert.equal(left[0].n, 0)
  assert.ok(await row('lock:sweep:live'))

  await db.query(`INSERT INTO go_goscope_locks SELECT 'lock:old:' || n, 'gone', timezone('UTC', now()) - interval '1 hour'
                    FROM generate_series(1, 1000) AS n`)
  await locks.acquire('sweep:two', 60_000)
  const some = await db.query("SELECT count(*)::int AS n FROM go_goscope_locks WHERE key LIKE 'lock:old:%'")
  assert.ok(some[0].n >= 900 && some[0].n < 1000, `${some[0].n} are left for later`)
})

test("the clean-up waits for nobody's row lock", async () => {
  const db = await database
  const locks = await adapter()
  await db.query(
    `INSERT INTO go_goscope_locks VALUES ('lock:held-up', 'gone', timezone('UTC', now()) - interval '1 day')`,
  )
  const holder = await db.plain.connect()
  try {
    await holder.query('BEGIN')
    await holder.query("SELECT * FROM go_goscope_locks WHERE key = 'lock:held-up' FOR UPDATE")
    const taken = await Promise.race([locks.acquire('not-held-up', 60_000), sleep(30_000, 'waited', { ref: false })])
    assert.notEqual(taken, 'waited')
    assert.ok(taken)
    assert.ok(await row('lock:held-up'), 'the locked row was left alone')
  } finally {
    await holder.query('ROLLBACK')
    holder.release()
  }
})

test('the clean-up finds its rows through the index, however large the table', async () => {
  const db = await database
  const locks = await adapter()
  await db.query(`INSERT INTO go_goscope_locks SELECT 'lock:many:' || n, 'me', timezone('UTC', now()) + interval '1 day'
                    FROM generate_series(1, 50000) AS n`)
  await db.query('ANALYZE go_goscope_locks')
  const read = async () => {
    // The statistics of a finished transaction are reported with some delay.
    await db.query('SELECT pg_stat_clear_snapshot()')
    const [{ seq_tup_read }] = await db.query(
      "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'go_goscope_locks'",
    )
    return Number(seq_tup_read)
  }
  await sleep(1500)
  const before = await read()
  for (let n = 0; n < 20; n++) await locks.acquire(`indexed:${n}`, 60_000)
  await sleep(1500)
  assert.equal(await read(), before, 'rows were read by sequential scan')
})

test('expiry is computed after the wait for a row', async () => {
  const db = await database
  const locks = await adapter()
  await locks.acquire('waited', 60_000, 'old')
  await db.query(
    `UPDATE go_goscope_locks SET expires_at = timezone('UTC', now()) - interval '1 second' WHERE key = 'lock:waited'`,
  )
  const held = await db.hold("SELECT * FROM go_goscope_locks WHERE key = 'lock:waited' FOR UPDATE")
  const pending = locks.acquire('waited', 60_000, 'new')
  const before = await held.letGo('COMMIT')
  assert.ok(await pending)
  await assertWhole('lock:waited', 60_000, before)
})

test('expiry is computed after the wait for an insert that is rolled back', async () => {
  const db = await database
  const locks = await adapter()
  const held = await db.hold(
    `INSERT INTO go_goscope_locks VALUES ('lock:rolled-back', 'x', timezone('UTC', now()) + interval '1 hour')`,
  )
  const pending = locks.acquire('rolled-back', 60_000, 'new')
  const before = await held.letGo('ROLLBACK')
  assert.ok(await pending)
  await assertWhole('lock:rolled-back', 60_000, before)
})

test('a short lease is whole, too: not over before its caller hears of it', async () => {
  const db = await database
  const locks = await adapter()
  for (const ttl of [200, 50, 20]) {
    const held = await db.hold(`INSERT INTO go_goscope_locks VALUES ('lock:short${ttl}', 'x', timezone('UTC', now()))`)
    const pending = locks.acquire(`short${ttl}`, ttl, 'me')
    const before = await held.letGo('ROLLBACK')
    await pending
    await assertWhole(`lock:short${ttl}`, ttl, before)
  }
})

/**
 * A lease that began when its wait was over ends a whole TTL after that, and not more than that from now.
 *
 * @param {string} key
 * @param {number} ttl
 * @param {number} before the server's clock just before the wait ended
 */
async function assertWhole(key, ttl, before) {
  const db = await database
  const sql = 'SELECT extract(epoch FROM expires_at) * 1000 AS expires FROM go_goscope_locks WHERE key = $1'
  const expires = Number((await db.query(sql, [key]))[0].expires)
  const now = await db.now()
  assert.ok(expires >= before + ttl, `${expires - before} ms of ${ttl} after the wait`)
  assert.ok(expires <= now + ttl, `${expires - now} ms of ${ttl} from now`)
}

test('a lease that ran out while its extension waited is not extended', async () => {
  const db = await database
  const locks = await adapter()
  await locks.acquire('late', 600, 'me')
  const holder = await db.plain.connect()
  await holder.query('BEGIN')
  await holder.query("SELECT * FROM go_goscope_locks WHERE key = 'lock:late' FOR UPDATE")
  const pending = locks.extend('late', 60_000, 'me')
  await sleep(900)
  await holder.query('COMMIT')
  holder.release()
  assert.equal(await pending, false)
})

test('TTLs at the ends of their range', async () => {
  const locks = await adapter()
  const longest = await locks.acquire('forever', Number.MAX_VALUE, 'me')
  assert.equal(await longest?.isValid(), true)
  const [{ expires_at }] = await (await database).query(
    "SELECT expires_at FROM go_goscope_locks WHERE key = 'lock:forever'",
  )
  assert.ok(expires_at.getTime() > Date.now(), 'a pg-based adapter can read it as a Date')
  const shortest = await locks.acquire('at once', Number.MIN_VALUE, 'me')
  assert.ok(shortest)
  assert.equal(await shortest.isValid(), false)
})
