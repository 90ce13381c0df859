// @ts-check
// @configurations every
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { afterWait, assertLastsToItsEnd, assertLease, endOf } = require('../support/leases.js')
const { inTime, until, untilWritesSweep } = require('../support/waiting.js')

const TABLE = 'go_goscope_locks'

const database = useDatabase()
const indexed = useDatabase()
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** @param {import('goscope-postgres').PersistenceAdapterOptions} [options] */
async function adapter(options) {
  return new PostgresAdapter((await database).pool(), options)
}

/** @param {string} key */
async function row(key) {
  return (await (await database).query('SELECT owner FROM go_goscope_locks WHERE key = $1', [key]))[0]
}

/**
 * Acquires a lease of a moment, and waits for its end.
 *
 * @param {PostgresAdapter} locks
 * @param {string} key
 * @param {string} owner
 */
async function expired(locks, key, owner) {
  const handle = await locks.acquire(key, 20, owner)
  assert.ok(handle)
  await until('the end of the lease', async () => !(await handle.isValid()))
  return handle
}

test('a free lock is acquired under its key, for the TTL on the clock of the server', async () => {
  const db = await database
  const locks = await adapter()
  const since = await db.clock()
  const handle = await locks.acquire('free', 60_000, 'me')
  assert.ok(handle)
  assert.equal((await row('lock:free')).owner, 'me')
  await assertLease(db, TABLE, 'lock:free', { ttl: 60_000, since })
  assert.equal(await handle.isValid(), true)
})

test('acquiring a live lock of another owner returns null, and its row is unchanged', async () => {
  const locks = await adapter()
  assert.ok(await locks.acquire('busy', 60_000, 'first'))
  const before = await (await database).query("SELECT xmin, ctid FROM go_goscope_locks WHERE key = 'lock:busy'")
  assert.equal(await locks.acquire('busy', 60_000, 'second'), null)
  assert.equal(await locks.acquire('busy', 60_000), null)
  const after = await (await database).query("SELECT xmin, ctid FROM go_goscope_locks WHERE key = 'lock:busy'")
  assert.deepEqual(after, before)
})

test('the owner defaults to a UUIDv4, a new one each time', async () => {
  const locks = await adapter()
  await locks.acquire('uuid:1', 60_000)
  await locks.acquire('uuid:2', 60_000, /** @type {any} */ (null))
  const [one, two] = [(await row('lock:uuid:1')).owner, (await row('lock:uuid:2')).owner]
  assert.match(one, UUID_V4)
  assert.match(two, UUID_V4)
  assert.notEqual(one, two)
})

test('the same owner re-acquires and replaces the expiry, also with a shorter one', async () => {
  const db = await database
  const locks = await adapter()
  for (const ttl of [600_000, 60_000, 900_000]) {
    const since = await db.clock()
    assert.ok(await locks.acquire('again', ttl, 'me'))
    await assertLease(db, TABLE, 'lock:again', { ttl, since })
  }
})

test('a lease lasts for its TTL, and no longer', async () => {
  const locks = await adapter()
  const handle = await locks.acquire('lasts', 500)
  assert.ok(handle)
  await assertLastsToItsEnd(await database, TABLE, 'lock:lasts', handle.isValid)
})

test('an expired lock is free', async () => {
  const locks = await adapter()
  await expired(locks, 'expires', 'first')
  const second = await locks.acquire('expires', 60_000, 'second')
  assert.ok(second)
  assert.equal((await row('lock:expires')).owner, 'second')
})

test('the default TTL is the option, and without the option an absent TTL is a TypeError', async () => {
  const db = await database
  const locks = await adapter({ defaultLockTTL: 30_000 })
  for (const absent of [undefined, null]) {
    const since = await db.clock()
    assert.ok(await locks.acquire('default', /** @type {any} */ (absent), 'me'))
    await assertLease(db, TABLE, 'lock:default', { ttl: 30_000, since })
  }
  const bare = await adapter()
  await assert.rejects(bare.acquire('default', /** @type {any} */ (undefined)), {
    name: 'TypeError',
    code: 'ERR_INVALID_ARG_TYPE',
  })
})

test('extend: only the owner of a live lock may extend it, or shorten it', async () => {
  const db = await database
  const locks = await adapter()
  await locks.acquire('extend', 300_000, 'me')
  for (const ttl of [600_000, 60_000]) {
    const since = await db.clock()
    assert.equal(await locks.extend('extend', ttl, 'me'), true)
    await assertLease(db, TABLE, 'lock:extend', { ttl, since })
  }
  assert.equal(await locks.extend('extend', 60_000, 'other'), false)
  assert.equal(await locks.extend('absent', 60_000, 'me'), false)
})

test('extend: an expired lock stays lost', async () => {
  const locks = await adapter()
  const handle = await expired(locks, 'extend:expired', 'me')
  assert.equal(await locks.extend('extend:expired', 60_000, 'me'), false)
  assert.equal(await handle.extend(60_000), false)
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

test('the handle: release does not affect a lock that another owner has acquired since', async () => {
  const locks = await adapter()
  const stale = await expired(locks, 'stale', 'first')
  const fresh = await locks.acquire('stale', 60_000, 'second')
  await stale.release()
  assert.equal(await stale.isValid(), false)
  assert.equal(await fresh?.isValid(), true)
})

test('forceRelease frees the lock of any holder, and accepts an absent lock', async () => {
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
  await untilWritesSweep()
  await locks.acquire('sweep:one', 60_000)
  const left = await db.query("SELECT count(*)::int AS n FROM go_goscope_locks WHERE key LIKE 'lock:old:%'")
  assert.equal(left[0].n, 0)
  assert.ok(await row('lock:sweep:live'))

  await db.query(`INSERT INTO go_goscope_locks SELECT 'lock:old:' || n, 'gone', timezone('UTC', now()) - interval '1 hour'
                    FROM generate_series(1, 3000) AS n`)
  await untilWritesSweep()
  await locks.acquire('sweep:two', 60_000)
  const some = await db.query("SELECT count(*)::int AS n FROM go_goscope_locks WHERE key LIKE 'lock:old:%'")
  // 514 in one execution of the statement, which is executed up to four times if the server stalls in the middle of one.
  assert.ok(some[0].n >= 3000 - 4 * 514 && some[0].n < 3000, `${some[0].n} are left`)
})

test('the clean-up waits for no row lock', async () => {
  const db = await database
  const locks = await adapter()
  await db.query(
    `INSERT INTO go_goscope_locks VALUES ('lock:held-up', 'gone', timezone('UTC', now()) - interval '1 day')`,
  )
  await db.hold("SELECT * FROM go_goscope_locks WHERE key = 'lock:held-up' FOR UPDATE")
  assert.ok(await inTime('an acquire beside a locked row', locks.acquire('not-held-up', 60_000)))
  assert.ok(await row('lock:held-up'), 'the locked row is unchanged')
})

test('the clean-up finds its rows through the index, however large the table', async () => {
  // No other session reads this table, so the calls read all rows that are counted in it.
  const db = await indexed
  const locks = new PostgresAdapter(db.pool())
  await locks.connect()
  await db.query(`INSERT INTO go_goscope_locks SELECT 'lock:many:' || n, 'me', timezone('UTC', now()) + interval '1 day'
                    FROM generate_series(1, 50000) AS n`)
  await db.query('ANALYZE go_goscope_locks')
  for (let n = 0; n < 20; n++) await locks.acquire(`indexed:${n}`, 600_000)
  // A session reports its counts from time to time, and all of them when it ends.
  await Promise.all([locks.disconnect(), db.plain.end()])
  db.plain = db.pool({ max: 1, application_name: 'goscope_tests' })
  const { scanned } = await until('the statistics of 50,020 rows', async () => {
    const [found] = await db.query(`SELECT sum(n_tup_ins)::int AS inserted, sum(seq_tup_read)::int AS scanned
      FROM pg_stat_user_tables WHERE starts_with(relname::text, 'go_goscope_locks')`)
    return found.inserted >= 50_020 && found
  })
  assert.equal(scanned, 0, 'rows were read by sequential scan')
})

test('expiry is computed after the wait for a row', async () => {
  const db = await database
  const locks = await adapter()
  await locks.acquire('waited', 60_000, 'old')
  await db.query(
    `UPDATE go_goscope_locks SET expires_at = timezone('UTC', now()) - interval '1 second' WHERE key = 'lock:waited'`,
  )
  const holder = await db.hold("SELECT * FROM go_goscope_locks WHERE key = 'lock:waited' FOR UPDATE")
  const { since, result } = await afterWait(db, holder, 'commit', () => locks.acquire('waited', 60_000, 'new'))
  assert.ok(result)
  await assertLease(db, TABLE, 'lock:waited', { ttl: 60_000, since })
})

// A short lease is also granted in full: it does not end before its caller gets the result.
for (const ttl of [60_000, 200, 50, 20]) {
  test(`expiry is computed after the wait for an insert that is rolled back: ${ttl} ms`, async () => {
    const db = await database
    const locks = await adapter()
    const key = `rolled-back:${ttl}`
    await locks.connect()
    const holder = await db.hold("INSERT INTO go_goscope_locks VALUES ($1, 'x', timezone('UTC', now()))", [
      `lock:${key}`,
    ])
    const { since, result } = await afterWait(db, holder, 'rollback', () => locks.acquire(key, ttl, 'me'))
    assert.ok(result)
    await assertLease(db, TABLE, `lock:${key}`, { ttl, since })
  })
}

test('a lease that expired while its extension waited is not extended', async () => {
  const db = await database
  const locks = await adapter()
  for (let ttl = 1_000, hasRunOutWaiting = false; !hasRunOutWaiting; ttl *= 2) {
    await locks.acquire('late', ttl, 'me')
    const holder = await db.hold("SELECT * FROM go_goscope_locks WHERE key = 'lock:late' FOR UPDATE")
    const end = await endOf(db, TABLE, 'lock:late')
    const pending = locks.extend('late', 600_000, 'me')
    await db.untilWaiting()
    // Otherwise the machine was slow and the lease expired too soon. The next one is longer.
    hasRunOutWaiting = (await db.clock()) < end
    await until('the end of the lease', async () => (await db.clock()) > end)
    await holder.commit()
    assert.equal(await pending, false)
  }
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
