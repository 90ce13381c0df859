// @ts-check
// @configurations first
// Locks in a database that an older version has made, and beside processes of an older version: its waiters mark the
// column `awaited`, ours the column `has_waiters`.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { setTimeout: sleep } = require('node:timers/promises')
const { after, test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { runCommand } = require('../support/command.js')
const { administer, useDatabase } = require('../support/database.js')
const { partitioned } = require('../support/partitions.js')
const { until } = require('../support/waiting.js')
const { grants, migration, urlAs } = require('../support/route.js')

const [migrated, narrow, newer, partitions, byHand, cleaned] = Array.from({ length: 6 }, () => useDatabase())

const role = `goscope_test_${crypto.randomBytes(6).toString('hex')}`
const made = administer(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
after(() => administer(`DROP ROLE ${role}`))

/** @typedef {Awaited<typeof migrated>} Database */

/** How often a waiter polls a lock whose release is announced. */
const SELDOM_MS = 5_000
const TTL = { ttl: 600_000 }

/** What an older version makes for waiters where its column or its trigger is missing. */
const OLD_WAKING = `
  ALTER TABLE go_goscope_locks ADD COLUMN IF NOT EXISTS awaited BOOLEAN;
  DROP TRIGGER IF EXISTS go_goscope_released ON go_goscope_locks;
  CREATE TRIGGER go_goscope_released AFTER DELETE ON go_goscope_locks FOR EACH ROW
    WHEN (OLD.awaited)
    EXECUTE FUNCTION go_goscope_notify();`

/** An older version marks a busy lock. */
const OLD_AWAIT = `UPDATE go_goscope_locks SET awaited = true
  WHERE key = $1 AND expires_at > timezone('UTC', clock_timestamp()) AND awaited IS NOT TRUE`

/** An older version acquires a lock, here without a fencing token. */
const OLD_ACQUIRE = `INSERT INTO go_goscope_locks AS held (key, owner, expires_at)
  VALUES ($1, $2, timezone('UTC', clock_timestamp()) + INTERVAL '10 minutes')
  ON CONFLICT (key) DO UPDATE
    SET owner = excluded.owner, expires_at = excluded.expires_at,
        awaited = CASE WHEN held.owner = excluded.owner THEN held.awaited END
    WHERE held.owner = excluded.owner OR held.expires_at <= timezone('UTC', clock_timestamp())
  RETURNING held.key`

/** Any version releases a lock. */
const RELEASE = 'DELETE FROM go_goscope_locks WHERE key = $1'

/** The columns and triggers for waiters, with each trigger's definition. @param {Database} db */
const marks = async (db) =>
  Object.fromEntries(
    (
      await db.query(`
        SELECT attname AS name, attnum::text AS is FROM pg_attribute
         WHERE attrelid = 'go_goscope_locks'::regclass AND attname IN ('awaited', 'has_waiters')
         UNION ALL
        SELECT tgname, pg_get_triggerdef(oid) || ' ' || oid FROM pg_trigger WHERE tgrelid = 'go_goscope_locks'::regclass`)
    ).map(({ name, is }) => [name, is]),
  )

/** The tables as an older version has made them. @param {Database} db @param {string} [sql] */
async function makeOld(db, sql = migration('schema.sql')) {
  await db.query(`${sql}; DROP TRIGGER go_goscope_lock_released ON go_goscope_locks;
    ALTER TABLE go_goscope_locks DROP COLUMN has_waiters; ${OLD_WAKING}`)
  const functions = await db.query(
    "SELECT pg_get_functiondef(oid) AS sql FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
  )
  for (const { sql: current } of functions) {
    await db.query(current.replace(/goscope-postgres additions \d+/, 'goscope-postgres additions 3'))
  }
}

/** A waiter of an older version: what its session receives. @param {Database} db */
async function oldWaiter(db) {
  const client = await db.plain.connect()
  /** @type {string[]} */
  const received = []
  client.on('notification', ({ payload }) => received.push(String(payload)))
  await client.query('LISTEN go_goscope')
  return {
    received,
    mark: (/** @type {string} */ key) => client.query(OLD_AWAIT, [`lock:${key}`]),
    /** The notifications of the statements before this. */
    all: async () => {
      await client.query("NOTIFY go_goscope, 'the last'")
      await until('the last', () => received.at(-1) === 'the last')
      return received.splice(0).slice(0, -1)
    },
    end: () => client.release(true),
  }
}

/** @param {Database} db @param {string} column @param {string} key */
const untilMarked = (db, column, key) =>
  until(`${column} of ${key}`, async () => {
    const [row] = await db.query(`SELECT ${column} AS mark FROM go_goscope_locks WHERE key = $1`, [`lock:${key}`])
    return row?.mark
  })

/** @param {PostgresAdapter} adapter @param {string} key */
function waitFor(adapter, key) {
  const lease = adapter.lock(key, TTL)
  lease.catch(() => {})
  return lease
}

/** The waiter gets the lock after a release, long before its next poll. */
async function isWoken(/** @type {Promise<any>} */ waiting, /** @type {() => Promise<unknown>} */ release) {
  // Past the polls of the beginning, before the session of the notifications was connected.
  await sleep(500)
  const released = performance.now()
  await release()
  const lease = await waiting
  const took = performance.now() - released
  assert.ok(took < SELDOM_MS / 2, `${took} ms`)
  await lease.release()
}

/**
 * Releases by either version wake waiters of both.
 *
 * @param {Database} db
 * @param {PostgresAdapter} holder
 * @param {PostgresAdapter} waiter
 */
async function wakesBoth(db, holder, waiter) {
  const old = await oldWaiter(db)
  for (const [key, release] of /** @type {[string, (lease: any) => Promise<unknown>][]} */ ([
    ['released by ours', (lease) => lease.release()],
    ['released by theirs', () => db.query(RELEASE, ['lock:released by theirs'])],
  ])) {
    const lease = await holder.lock(key, { ...TTL, renew: false })
    const waiting = waitFor(waiter, key)
    await untilMarked(db, 'has_waiters', key)
    await isWoken(waiting, () => release(lease))
    assert.deepEqual(await old.all(), [`public.go_goscope_locks:lock:${key}`], 'a waiter of ours')

    const next = await holder.lock(key, { ...TTL, renew: false })
    await old.mark(key)
    await release(next)
    assert.deepEqual(await old.all(), [`public.go_goscope_locks:lock:${key}`], 'a waiter of theirs')

    const last = await holder.lock(key, { ...TTL, renew: false })
    const beside = waitFor(waiter, key)
    await untilMarked(db, 'has_waiters', key)
    await old.mark(key)
    await isWoken(beside, () => release(last))
    assert.deepEqual(await old.all(), [`public.go_goscope_locks:lock:${key}`], 'waiters of both: one notification')
  }
  old.end()
}

const adapterOf = (/** @type {Database} */ db) => new PostgresAdapter(db.pool({ connectionString: db.ownUrl }))

test('connect() adds has_waiters, and keeps the old column, its trigger and its marks', async () => {
  const db = await migrated
  await makeOld(db)
  await db.query(OLD_ACQUIRE, ['lock:before', 'theirs'])
  const old = await oldWaiter(db)
  await old.mark('before')
  const before = await marks(db)
  assert.deepEqual(Object.keys(before).sort(), ['awaited', 'go_goscope_released'])

  await adapterOf(db).connect()
  const { has_waiters: column, go_goscope_lock_released: trigger, ...kept } = await marks(db)
  assert.deepEqual(kept, before)
  assert.ok(column)
  assert.match(trigger, /WHEN \(old\.has_waiters\)/)
  await adapterOf(db).connect()
  assert.deepEqual(await marks(db), { ...before, has_waiters: column, go_goscope_lock_released: trigger })
  const { stdout } = await runCommand(['schema', '--missing', '--only', 'locks'], { DATABASE_URL: db.ownUrl })
  assert.equal(stdout, '-- Nothing is missing.\n')

  await db.query(RELEASE, ['lock:before'])
  assert.deepEqual(await old.all(), ['public.go_goscope_locks:lock:before'])
  old.end()
})

test('a release by either version wakes waiters of both', async () => {
  const db = await migrated
  await wakesBoth(db, adapterOf(db), adapterOf(db))
})

test('a takeover by either version loses no waiter', async () => {
  const db = await migrated
  const [adapter, waiter] = [adapterOf(db), adapterOf(db)]
  const old = await oldWaiter(db)
  // By theirs: the mark of ours stays, and is as good for the new lease.
  await adapter.acquire('taken by theirs', 600_000, 'first')
  const waiting = waitFor(waiter, 'taken by theirs')
  await untilMarked(db, 'has_waiters', 'taken by theirs')
  // In one transaction, so that no attempt of the waiter comes between the end of the lease and the takeover.
  const takeover = await db.hold(
    "UPDATE go_goscope_locks SET expires_at = 'epoch', owner = 'gone' WHERE key = 'lock:taken by theirs'",
  )
  assert.equal((await takeover.query(OLD_ACQUIRE, ['lock:taken by theirs', 'theirs'])).length, 1)
  await takeover.commit()
  await untilMarked(db, 'has_waiters', 'taken by theirs')
  await isWoken(waiting, () => db.query(RELEASE, ['lock:taken by theirs']))

  // By ours: the mark of theirs stays, and costs a notification.
  await db.query(OLD_ACQUIRE, ['lock:taken by ours', 'theirs'])
  await old.all()
  await old.mark('taken by ours')
  await db.query("UPDATE go_goscope_locks SET expires_at = 'epoch' WHERE key = 'lock:taken by ours'")
  const lease = await adapter.lock('taken by ours', TTL)
  await lease.release()
  assert.deepEqual(await old.all(), ['public.go_goscope_locks:lock:taken by ours'])
  old.end()
})

test('locks shows waiters of either version', async () => {
  const db = await migrated
  for (const [key, column] of [
    ['ours', 'has_waiters'],
    ['theirs', 'awaited'],
    ['free', 'fencing_owner'],
  ]) {
    const mark = column === 'fencing_owner' ? "'me'" : 'true'
    await db.query(
      `INSERT INTO go_goscope_locks (key, owner, expires_at, ${column}) VALUES ($1, 'me', 'infinity', ${mark})`,
      [`lock:${key}`],
    )
  }
  const env = { DATABASE_URL: db.ownUrl }
  const { stdout } = await runCommand(['locks', '--json'], env)
  assert.deepEqual(
    JSON.parse(stdout).map((/** @type {any} */ { key, hasWaiters }) => [key, hasWaiters]),
    [
      ['free', null],
      ['ours', true],
      ['theirs', true],
    ],
  )
  assert.match((await runCommand(['locks'], env)).stdout, /HAS WAITERS/)
})

test('a role that may not alter the table marks the old column, is notified, and goes on after the migration', async () => {
  const db = await narrow
  await makeOld(db)
  await made
  await db.query(grants(role))
  const url = urlAs(db.ownUrl, role)
  const [holder, waiter] = [0, 1].map(() => new PostgresAdapter(db.pool({ connectionString: url })))
  await Promise.all([holder.connect(), waiter.connect()])
  assert.deepEqual(Object.keys(await marks(db)).sort(), ['awaited', 'go_goscope_released'])

  const lease = await holder.lock('old table', TTL)
  const waiting = waitFor(waiter, 'old table')
  await untilMarked(db, 'awaited', 'old table')
  // Without notifications it would poll at least four times a second, with two statements.
  await until('a waiter that does not poll', async () => {
    const before = waiter.metrics().statements.count
    await sleep(1_000)
    return waiter.metrics().statements.count - before <= 3
  })
  await isWoken(waiting, () => lease.release())

  const doctor = async () => {
    const { stdout } = await runCommand(['doctor', '--json', '--only', 'locks'], { DATABASE_URL: db.ownUrl })
    return JSON.parse(stdout).checks.find((/** @type {any} */ { name }) => name === 'go_goscope_locks additions')
  }
  const { status, message } = await doctor()
  assert.equal(status, 'warning')
  assert.match(message, /has_waiters.*older version/)

  // The owner's process migrates. Those that have read the table before it still mark the old column.
  const owner = adapterOf(db)
  await owner.connect()
  assert.equal((await doctor()).status, 'ok')
  const held = await owner.lock('migrated', TTL)
  const still = waitFor(waiter, 'migrated')
  await untilMarked(db, 'awaited', 'migrated')
  await isWoken(still, () => held.release())
  // The first call that fails for the old column reads the table again.
  await db.query(
    'DROP TRIGGER go_goscope_released ON go_goscope_locks; ALTER TABLE go_goscope_locks DROP COLUMN awaited',
  )
  const first = await holder.lock('old column gone', TTL)
  const last = waitFor(waiter, 'old column gone')
  await untilMarked(db, 'has_waiters', 'old column gone')
  await isWoken(last, () => first.release())
})

test('an older process that connects to a newer database changes nothing for waiters of ours', async () => {
  const db = await newer
  const [holder, waiter] = [adapterOf(db), adapterOf(db)]
  await Promise.all([holder.connect(), waiter.connect()])
  const { has_waiters: column, go_goscope_lock_released: trigger, ...more } = await marks(db)
  assert.deepEqual(more, {})
  await db.query(OLD_WAKING)
  const { awaited: _, go_goscope_released: __, ...ours } = await marks(db)
  assert.deepEqual(ours, { has_waiters: column, go_goscope_lock_released: trigger })
  await wakesBoth(db, holder, waiter)
})

test('partitioned tables of an older version are migrated, and wake waiters of both versions', async () => {
  const db = await partitions
  await makeOld(db, partitioned(migration('schema.sql')))
  const [holder, waiter] = [adapterOf(db), adapterOf(db)]
  await holder.connect()
  await wakesBoth(db, holder, waiter)
})

test('the migration sql/schema.sql does the same as connect()', async () => {
  const db = await byHand
  await makeOld(db)
  const before = await marks(db)
  for (let run = 0; run < 2; run++) {
    await db.query(migration('schema.sql'))
    const { has_waiters: column, go_goscope_lock_released: trigger, ...kept } = await marks(db)
    assert.deepEqual(kept, before)
    assert.ok(column && trigger)
  }
  await wakesBoth(db, adapterOf(db), adapterOf(db))
})

test('the documented statements remove the old column, and locks are not affected', async () => {
  const db = await cleaned
  await makeOld(db)
  const [holder, waiter] = [adapterOf(db), adapterOf(db)]
  await Promise.all([holder.connect(), waiter.connect()])
  const [removal] = /DROP TRIGGER go_goscope_released .*;$/m.exec(migration('schema.sql')) ?? ['']
  assert.match(removal, /DROP COLUMN awaited/)
  await db.query(removal)
  const lease = await holder.lock('k', TTL)
  const waiting = waitFor(waiter, 'k')
  await untilMarked(db, 'has_waiters', 'k')
  await isWoken(waiting, () => lease.release())
  assert.deepEqual(Object.keys(await marks(db)).sort(), ['go_goscope_lock_released', 'has_waiters'])
})
