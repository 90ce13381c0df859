// @ts-check
// @configurations every
// release(key, owner): for callers that have no handle.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { LONG } = require('../support/caches.js')
const { useDatabase } = require('../support/database.js')
const { afterWait } = require('../support/leases.js')
const { startProxy } = require('../support/proxy.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()
const TTL = 600_000

/** Adapters with a pool each, as separate processes would have. @param {number} count @param {string} [keyPrefix] */
async function adapters(count, keyPrefix = '') {
  const db = await database
  return Array.from({ length: count }, () => new PostgresAdapter(db.pool({ max: 3 }), { keyPrefix }))
}

test('it frees the lock of its owner alone, and tells whether it was held', async () => {
  const [adapter = assert.fail(), other = assert.fail()] = await adapters(2, 'r_%:')
  for (const key of ['plain', LONG, 'lone \ud800', '']) {
    assert.ok(await adapter.acquire(key, TTL, 'me'))
    assert.equal(await other.release(key, 'you'), false)
    assert.equal((await other.holder(key))?.owner, 'me')
    assert.equal(await other.release(key, 'me'), true)
    assert.equal(await other.release(key, 'me'), false)
    assert.equal(await adapter.holder(key), null)
    assert.ok(await adapter.acquire(key, TTL, 'you'))
    for (const release of [adapter.lock.release, adapter.locks.release]) assert.equal(await release(key, 'me'), false)
    assert.equal(await adapter.lock.release(key, 'you'), true)
  }
})

test('of several callers, one frees it; an acquisition between them is not undone', async () => {
  const all = await adapters(5)
  const [adapter = assert.fail()] = all
  for (let round = 0; round < 40; round++) {
    await adapter.acquire('raced', TTL, 'me')
    const outcomes = await Promise.all([
      ...all.map((each) => each.release('raced', 'me')),
      ...all.map((each, n) => each.acquire('raced', TTL, `next ${n}`)),
    ])
    assert.equal(outcomes.slice(0, 5).filter(Boolean).length, 1, `round ${round}`)
    const next = outcomes.slice(5).filter(Boolean)
    assert.ok(next.length <= 1)
    const holder = await adapter.holder('raced')
    assert.equal(holder?.owner, /** @type {any} */ (next[0])?.owner)
    if (holder) assert.equal(await adapter.release('raced', holder.owner), true)
  }
})

test('a lease that has expired was not held until now, also if it expires during a wait for its row', async () => {
  const db = await database
  const [adapter = assert.fail()] = await adapters(1)
  await adapter.acquire('over', 0, 'me')
  assert.equal(await adapter.release('over', 'me'), false)
  await adapter.acquire('waits', TTL, 'me')
  const expiry = "UPDATE go_goscope_locks SET expires_at = timezone('UTC', now()) WHERE key = $1"
  const holder = await db.hold(expiry, ['lock:waits'])
  assert.equal((await afterWait(db, holder, 'commit', () => adapter.release('waits', 'me'))).result, false)
  assert.deepEqual(await db.query("SELECT FROM go_goscope_locks WHERE key = 'lock:waits'"), [])
})

test('a lock that another owner takes while it waits for the row stays that owner’s', async () => {
  const db = await database
  const [adapter = assert.fail()] = await adapters(1)
  await adapter.acquire('taken', TTL, 'me')
  const holder = await db.hold("UPDATE go_goscope_locks SET owner = 'you' WHERE key = $1", ['lock:taken'])
  assert.equal((await afterWait(db, holder, 'commit', () => adapter.release('taken', 'me'))).result, false)
  assert.equal((await adapter.holder('taken'))?.owner, 'you')
})

test('many share statements, each with its own outcome, and callers in opposite orders do not fail', async () => {
  const [adapter = assert.fail(), other = assert.fail()] = await adapters(2)
  const keys = Array.from({ length: 200 }, (_, n) => `many:${n}`)
  await Promise.all(keys.map((key, n) => adapter.acquire(key, TTL, n % 2 ? 'me' : 'you')))
  const { count } = adapter.metrics().statements
  const [mine, theirs] = await Promise.all([
    Promise.all(keys.map((key) => adapter.release(key, 'me'))),
    Promise.all([...keys].reverse().map((key) => other.release(key, 'you'))),
  ])
  assert.ok(adapter.metrics().statements.count - count < 30)
  assert.deepEqual([mine, theirs.reverse()], [keys.map((_, n) => n % 2 === 1), keys.map((_, n) => n % 2 === 0)])
})

test('it wakes waiters, and the handle of that lease learns that it is lost', async () => {
  const [adapter = assert.fail(), other = assert.fail()] = await adapters(2)
  const db = await database
  const lease = await adapter.lock('woken', { ttl: 3_000, owner: 'me' })
  const waiting = other.lock('woken', { ttl: TTL })
  await until('the mark', async () => (await db.query('SELECT FROM go_goscope_locks WHERE has_waiters')).length === 1)
  assert.equal(await other.release('woken', 'me'), true)
  const next = await waiting
  if (!lease.signal.aborted) await new Promise((resolve) => lease.signal.addEventListener('abort', resolve))
  assert.equal(/** @type {any} */ (lease.signal.reason).code, 'ERR_LEASE_LOST')
  await lease.release()
  assert.equal(await next.isValid(), true)
  await next.release()
})

test('a lost reply rejects, after the release has taken effect once, and is not taken for a lock that was not held', async () => {
  const proxy = await startProxy((await database).url)
  const adapter = new PostgresAdapter(new pg.Pool({ connectionString: proxy.url, max: 1 }))
  await adapter.acquire('lost', TTL, 'me')
  proxy.loseNextAnswerTo('lock:lost')
  await assert.rejects(adapter.release('lost', 'me'), { code: 'ECONNRESET' })
  assert.equal(await adapter.holder('lost'), null)
  assert.equal(await adapter.release('lost', 'me'), false)
})
