// @ts-check
// @configurations first
// acquire with reentrant: false: an owner that holds the lock does not get it again, whoever makes its calls and however they end.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { afterWait } = require('../support/leases.js')
const { startProxy } = require('../support/proxy.js')
const { until } = require('../support/waiting.js')

const [database, bare] = [useDatabase(), useDatabase()]
const proxied = database.then(({ url }) => startProxy(url))
const TTL = 600_000
const ONCE = { reentrant: false }

/** Adapters with a pool each, as separate processes would have. @param {number} count */
async function adapters(count) {
  const db = await database
  return Array.from({ length: count }, () => new PostgresAdapter(db.pool({ max: 3 })))
}

/** Over the proxy. */
async function overProxy() {
  const adapter = new PostgresAdapter(new pg.Pool({ connectionString: (await proxied).url, max: 1 }))
  await adapter.connect()
  return adapter
}

/** @param {string} key */
async function row(key) {
  const sql = 'SELECT owner, acquisition, fencing_token FROM go_goscope_locks WHERE key = $1'
  return (await (await database).query(sql, [`lock:${key}`]))[0]
}

test('the owner of a live lease gets null; of an expired or released one, the lock', async () => {
  const [adapter = assert.fail()] = await adapters(1)
  const first = await adapter.acquire('own', TTL, 'me', ONCE)
  assert.ok(first)
  assert.equal(await adapter.acquire('own', TTL, 'me', ONCE), null)
  assert.equal(await adapter.acquire('own', TTL, 'you', ONCE), null)
  assert.equal(await adapter.acquire('own', TTL, 'you'), null)
  assert.equal(await first.isValid(), true)
  assert.equal(await first.extend(1), true)
  await until('the lease has ended', async () => !(await first.isValid()))
  const second = await adapter.acquire('own', TTL, 'me', ONCE)
  assert.ok(second && second.fencingToken > first.fencingToken)
  await second.release()
  const third = await adapter.acquire('own', TTL, 'me', ONCE)
  assert.ok(third && third.fencingToken > second.fencingToken)
  // By default the owner takes its lock again, and then the lock is that call's.
  const again = await adapter.acquire('own', TTL, 'me')
  assert.ok(again && again.fencingToken > third.fencingToken)
  assert.equal((await row('own')).acquisition, null)
  assert.equal(await adapter.acquire('own', TTL, 'me', ONCE), null)
  assert.equal(await adapter.lock.acquire('own', TTL, 'me', ONCE), null)
  assert.equal(await adapter.locks.acquire('own', TTL, 'me', ONCE), null)
})

test('an owner that is drawn is never one that holds the lock', async () => {
  const [adapter = assert.fail()] = await adapters(1)
  assert.ok(await adapter.acquire('drawn', TTL, undefined, ONCE))
  assert.equal(await adapter.acquire('drawn', TTL, undefined, ONCE), null)
})

test('of many calls under one name, over several pools, one gets an absent, an expired, a released lock', async () => {
  const all = await adapters(6)
  const db = await database
  for (let round = 0; round < 15; round++) {
    const keys = Array.from({ length: 12 }, (_, n) => `raced:${round % 5}:${n}`)
    const leases = await Promise.all(
      keys.flatMap((key) => all.flatMap((adapter) => [1, 2].map(() => adapter.acquire(key, TTL, 'me', ONCE)))),
    )
    for (const [n, key] of keys.entries()) {
      const taken = leases.slice(n * 12, n * 12 + 12).filter((lease) => lease !== null)
      assert.equal(taken.length, 1, `${key} in round ${round}`)
      if (round % 2) await taken[0]?.release()
    }
    await db.query("UPDATE go_goscope_locks SET expires_at = timezone('UTC', now()) - interval '1 second'")
  }
})

test('in one statement with calls that re-enter, each has its own outcome', async () => {
  const [adapter = assert.fail(), other = assert.fail()] = await adapters(2)
  const keys = Array.from({ length: 60 }, (_, n) => `mixed:${n}`)
  await Promise.all(keys.map((key, n) => n % 3 && other.acquire(key, TTL, n % 3 === 1 ? 'me' : 'you')))
  const { count } = adapter.metrics().statements
  const outcomes = await Promise.all(keys.map((key, n) => adapter.acquire(key, TTL, 'me', { reentrant: n % 2 === 0 })))
  assert.ok(adapter.metrics().statements.count - count < 20)
  for (const [n, outcome] of outcomes.entries()) {
    assert.equal(outcome !== null, n % 3 === 0 || (n % 3 === 1 && n % 2 === 0), `call ${n}`)
  }
})

test('a call that waits for the row of an expired lock, and finds it taken for its owner meanwhile, gets null', async () => {
  const db = await database
  const [adapter = assert.fail()] = await adapters(1)
  for (const [acquisition, key] of /** @type {const} */ ([
    ['NULL', 'waited'],
    ["'another call'", 'waited for'],
  ])) {
    await adapter.acquire(key, 0, 'me')
    const sql = `UPDATE go_goscope_locks SET expires_at = timezone('UTC', now()) + interval '1 hour', acquisition = ${acquisition}
                  WHERE key = $1`
    const holder = await db.hold(sql, [`lock:${key}`])
    const { result } = await afterWait(db, holder, 'commit', () => adapter.acquire(key, TTL, 'me', ONCE))
    assert.equal(result, null)
  }
})

test('a lost reply: the call knows the lock that it has taken itself from one that its owner held before', async () => {
  const [adapter, proxy] = [await overProxy(), await proxied]
  const [other = assert.fail()] = await adapters(1)
  for (const [key, before] of /** @type {const} */ ([
    ['lost:free', undefined],
    ['lost:held', ONCE],
    ['lost:held again', { reentrant: true }],
  ])) {
    const held = before && (await other.acquire(key, TTL, 'me', before))
    const earlier = await row(key)
    proxy.loseNextAnswerTo(`lock:${key}`)
    const lease = await adapter.acquire(key, TTL, 'me', ONCE)
    assert.equal(adapter.metrics().operations['locks.acquire']?.retries ? 'retried' : 'not retried', 'retried')
    if (held) {
      assert.equal(lease, null)
      assert.deepEqual(await row(key), earlier)
    } else {
      assert.equal(await lease?.isValid(), true)
      assert.equal(await adapter.acquire(key, TTL, 'me', ONCE), null)
    }
  }
})

test('a lost reply, and before the call runs again another of the same owner has the lock: it gets null', async () => {
  const [adapter, proxy] = [await overProxy(), await proxied]
  const [other = assert.fail()] = await adapters(1)
  const db = await database
  /** @type {Record<string, (key: string) => Promise<unknown>>} */
  const changes = {
    're-entered': async (key) => assert.ok(await other.acquire(key, TTL, 'me')),
    'freed and taken': async (key) => {
      await other.forceRelease(key)
      assert.ok(await other.acquire(key, TTL, 'me', ONCE))
    },
    'expired and taken': async (key) => {
      const sql = "UPDATE go_goscope_locks SET expires_at = timezone('UTC', now()) - interval '1 second' WHERE key = $1"
      await db.query(sql, [`lock:${key}`])
      assert.ok(await other.acquire(key, TTL, 'me', ONCE))
    },
  }
  for (const [key, change] of Object.entries(changes)) {
    proxy.loseNextAnswerTo(`lock:${key}`, { atOnce: () => proxy.refuse() })
    const pending = adapter.acquire(key, TTL, 'me', ONCE)
    try {
      await until('the server has taken the lock', async () => (await row(key)) !== undefined)
      assert.equal(await other.acquire(key, TTL, 'me', ONCE), null, 'it is the lost call’s')
      await change(key)
    } finally {
      proxy.refuse(false)
    }
    const after = await row(key)
    assert.equal(await pending, null, key)
    assert.deepEqual(await row(key), after)
  }
})

test('a table without the column rejects such calls by name and takes nothing; all others work', async () => {
  const db = await bare
  await new PostgresAdapter(db.pool()).connect()
  await db.query('ALTER TABLE go_goscope_locks DROP COLUMN acquisition')
  const adapter = new PostgresAdapter(db.pool(), { createTables: false })
  const refused = { code: 'ERR_REENTRANCY_UNAVAILABLE', message: /column `acquisition`.*connect\(\)/ }
  await assert.rejects(adapter.acquire('k', TTL, 'me', ONCE), refused)
  assert.deepEqual(await db.query('SELECT FROM go_goscope_locks'), [])
  const settled = await Promise.allSettled(
    Array.from({ length: 20 }, (_, n) => adapter.acquire(`many:${n}`, TTL, 'me', { reentrant: n % 2 === 0 })),
  )
  for (const [n, { status }] of settled.entries()) assert.equal(status, n % 2 ? 'rejected' : 'fulfilled')
  const lease = await adapter.acquire('k', TTL, 'me')
  assert.ok(await adapter.acquire('k', TTL, 'me'))
  assert.equal(await adapter.acquire('k', TTL, 'you'), null)
  assert.equal(await adapter.acquire('k', TTL, undefined, ONCE), null)
  await lease?.release()
  assert.ok(await adapter.acquire('k', TTL, undefined, ONCE), 'an owner that is drawn needs no column')
  await new PostgresAdapter(db.pool()).connect()
  const mended = new PostgresAdapter(db.pool())
  assert.ok(await mended.acquire('mended', TTL, 'me', ONCE))
  assert.equal(await mended.acquire('mended', TTL, 'me', ONCE), null)
})

test('a lease without an end is refused by name, with what to use instead', async () => {
  const [adapter = assert.fail()] = await adapters(1)
  const lease = (await adapter.acquire('endless', TTL, 'me')) ?? assert.fail()
  const message = /out of range.*a lease needs an end.*lock\(\) renews a lease.*extend\(\).* Received Infinity$/
  const calls = [
    () => adapter.acquire('other', Infinity),
    () => adapter.extend('endless', Infinity, 'me'),
    () => lease.extend(Infinity),
    () => adapter.lock('other', { ttl: Infinity }),
  ]
  for (const call of calls) await assert.rejects(call, { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message })
  assert.throws(() => new PostgresAdapter({ host: 'localhost' }, { defaultLockTTL: Infinity }), { message })
  assert.equal(await adapter.holder('other'), null)
})
