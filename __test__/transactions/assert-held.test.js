// @ts-check
// @configurations every
// assertHeld(lease): the transaction fails unless the lock is held with this token, and keeps it from others until its end.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { without } = require('../support/route.js')
const { begin, failure } = require('../support/transactions.js')
const { inTime, until } = require('../support/waiting.js')

const database = useDatabase()
const [bare, tokenless] = Array.from({ length: 2 }, () => useDatabase({ migrated: false }))

/** @param {ConstructorParameters<typeof PostgresAdapter>[1]} [options] */
async function make(options, of = database) {
  const db = await of
  const adapter = new PostgresAdapter(db.pool(), options)
  await adapter.connect()
  return { db, pool: db.clients(), adapter }
}

/** The failure of the check in a transaction of its own, which is rolled back. */
async function checkFails(/** @type {Awaited<ReturnType<typeof make>>} */ { pool, adapter }, /** @type {any} */ lease) {
  const { within, client, rollback } = await begin(pool, adapter)
  const error = await failure(within.assertHeld(lease))
  const next = error.code === 'GF001' ? await failure(client.query('SELECT 1')) : undefined
  await rollback()
  if (next) assert.equal(next.code, '25P02', 'the transaction cannot commit')
  return error.code
}

/** @param {PostgresAdapter} adapter @param {string} key */
const take = async (adapter, key, ttl = 600_000) => {
  const handle = await adapter.acquire(key, ttl)
  assert.ok(handle)
  return handle
}

test('a lease that is held', async () => {
  const { pool, adapter } = await make({ keyPrefix: 'p_%:' })
  const lease = await take(adapter, 'held')
  const { within, commit } = await begin(pool, adapter)
  assert.equal(await within.assertHeld(lease), undefined)
  // What another process was given of it is as good.
  await within.assertHeld({ key: 'held', fencingToken: lease.fencingToken })
  await commit()
  assert.equal(await lease.isValid(), true)
  const long = await take(adapter, 'k'.repeat(5_000))
  const again = await begin(pool, adapter)
  await again.within.assertHeld(long)
  await again.commit()
})

test('a lease that was released, has expired, or was taken over', async () => {
  const made = await make()
  const { adapter } = made
  const released = await take(adapter, 'released')
  await released.release()
  assert.equal(await checkFails(made, released), 'GF001')

  const expired = await take(adapter, 'expired', 1)
  await until('its end', async () => (await adapter.holder('expired')) === null)
  assert.equal(await checkFails(made, expired), 'GF001')
  const next = await take(adapter, 'expired')
  assert.equal(await checkFails(made, expired), 'GF001')
  const { within, commit } = await begin(made.pool, adapter)
  await within.assertHeld(next)
  await commit()

  const forced = await take(adapter, 'forced')
  await adapter.forceRelease('forced')
  await take(adapter, 'forced')
  assert.equal(await checkFails(made, forced), 'GF001')
})

test('an adapter with another prefix does not find the lease', async () => {
  const [one, other] = [await make({ keyPrefix: 'one:' }), await make({ keyPrefix: 'other:' })]
  const lease = await take(one.adapter, 'k')
  assert.equal(await checkFails(other, lease), 'GF001')
  await take(other.adapter, 'k')
  assert.equal(await checkFails(other, lease), 'GF001')
})

test('no process takes the lock over until the transaction ends, even if the lease runs out', async () => {
  const { db, pool, adapter } = await make({ keyPrefix: 'blocks:' })
  const lease = await take(adapter, 'k', 1_500)
  const { within, query, commit } = await begin(pool, adapter)
  await within.assertHeld(lease)
  await until('the end of the lease', async () => (await adapter.holder('k')) === null)
  let isTaken = false
  const takeover = new PostgresAdapter(db.pool(), { keyPrefix: 'blocks:' }).acquire('k', 600_000).then((next) => {
    isTaken = true
    return next
  })
  await db.untilWaiting()
  await query('SELECT pg_sleep(0.05)', [])
  assert.equal(isTaken, false)
  await commit()
  const next = await inTime('the takeover', takeover)
  assert.ok(next && next.fencingToken > lease.fencingToken)
})

test('an extension does not wait for the transaction', async () => {
  const { pool, adapter } = await make({ keyPrefix: 'extends:' })
  const lease = await take(adapter, 'k')
  const { within, rollback } = await begin(pool, adapter)
  await within.assertHeld(lease)
  assert.equal(await inTime('the extension', lease.extend(600_000)), true)
  await rollback()
})

test('outside of a transaction there is no such method, and what is no lease is refused', async () => {
  const { pool, adapter } = await make()
  assert.equal('assertHeld' in adapter, false)
  const { within, sent, rollback } = await begin(pool, adapter)
  for (const bad of [undefined, null, 1, {}, { key: 'k' }, { fencingToken: 1n }, { key: 'k', fencingToken: 1 }]) {
    const error = await failure(within.assertHeld(/** @type {any} */ (bad)))
    assert.equal(error.code, 'ERR_INVALID_ARG_TYPE', JSON.stringify(error.message))
  }
  assert.deepEqual(sent, [])
  await rollback()
})

test('a database without the function for the check', { skip: without.ddl }, async () => {
  const made = await make({}, bare)
  const lease = await take(made.adapter, 'k')
  const { key, fencingToken } = { key: 'k', fencingToken: lease.fencingToken }
  await made.db.query('DROP FUNCTION go_goscope_check_fencing_token')
  const fresh = await make({ createTables: false }, bare)
  assert.equal(await checkFails(fresh, { key, fencingToken }), 'ERR_FENCING_UNAVAILABLE')
  // Which is created again, and found.
  const again = await make({}, bare)
  const { within, commit } = await begin(again.pool, again.adapter)
  await within.assertHeld({ key, fencingToken })
  await commit()
})

test('a lease without a token', { skip: without.ddl }, async () => {
  const db = await tokenless
  await db.query(
    'CREATE TABLE go_goscope_locks (key TEXT PRIMARY KEY, owner TEXT NOT NULL, expires_at TIMESTAMP NOT NULL)',
  )
  const pool = db.clients()
  const adapter = new PostgresAdapter(db.pool(), { createTables: false })
  const lease = await take(adapter, 'k')
  assert.equal(await checkFails({ db, pool, adapter }, lease), 'ERR_FENCING_UNAVAILABLE')
})
