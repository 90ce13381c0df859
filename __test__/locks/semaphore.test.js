// @ts-check
// @configurations every
// Semaphores: so many holders at once and no more, with the leases and the waiting of locks.
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { LONG } = require('../support/caches.js')
const { useDatabase } = require('../support/database.js')
const { holderInRefusal } = require('../support/leases.js')
const { startProxy } = require('../support/proxy.js')
const { until } = require('../support/waiting.js')

const [database, bare] = [useDatabase(), useDatabase()]
const TTL = 600_000
const AT_ONCE = { ttl: TTL, wait: 0 }

/** Adapters with a pool each, as separate processes would have. @param {number} count @param {string} [keyPrefix] */
async function adapters(count, keyPrefix = '') {
  const db = await database
  return Array.from({ length: count }, () => new PostgresAdapter(db.pool({ max: 3 }), { keyPrefix }))
}

/** @param {Promise<any>} acquisition @returns {Promise<any>} null if no permit was free */
const orBusy = (acquisition) =>
  acquisition.catch((error) => {
    if (error.code === 'ERR_LOCK_WAIT_TIMEOUT') return null
    throw error
  })

/** @param {string} key part of the stored keys */
const rows = async (key) =>
  (await database).query('SELECT key, owner FROM go_goscope_locks WHERE strpos(key, $1) > 0 ORDER BY key', [key])

test('so many hold it at once; one more gets it when any of them releases', async () => {
  const [one = assert.fail(), two = assert.fail()] = await adapters(2)
  const [semaphore, other] = [one.semaphore('basic', 3), two.locks.semaphore('basic', 3)]
  assert.deepEqual([semaphore.key, semaphore.permits], ['basic', 3])
  const held = [await semaphore.acquire({ ttl: TTL }), await other.acquire(AT_ONCE), await semaphore.acquire(AT_ONCE)]
  assert.deepEqual(
    held.map(({ permit }) => permit),
    [1, 2, 3],
  )
  for (const lease of held) {
    assert.equal(lease.key, 'basic')
    assert.equal(await lease.isValid(), true)
    assert.equal(await lease.extend(TTL), true)
  }
  assert.deepEqual(
    (await other.holders()).map(({ owner }) => owner),
    held.map(({ owner }) => owner),
  )
  for (const each of [semaphore, other]) {
    await assert.rejects(each.acquire({ ttl: TTL, wait: 0 }), {
      code: 'ERR_LOCK_WAIT_TIMEOUT',
      message: /^No permit of the semaphore "basic" became free within 0 ms\. It is held by "/,
    })
  }
  const waiting = other.acquire({ ttl: TTL })
  await until('the marks', async () => {
    const marked = await (await database).query('SELECT FROM go_goscope_locks WHERE has_waiters')
    return marked.length === 3
  })
  await held[1]?.release()
  const next = await waiting
  assert.equal(next.permit, 2)
  assert.ok(next.fencingToken > (held[2]?.fencingToken ?? 0n))
  await Promise.all([held[0], held[2], next].map((lease) => lease?.release()))
  await held[1]?.release()
  assert.deepEqual(await semaphore.holders(), [])
  assert.deepEqual(await rows('basic'), [])
})

test('of many callers of several pools, each permit has one, and no permit stays free beside a refused caller', async () => {
  const all = await adapters(6)
  for (let round = 0; round < 12; round++) {
    const key = `raced:${round % 3}`
    const wanted = round % 2 ? 18 : 12
    const found = await Promise.all(
      Array.from({ length: wanted }, (_, n) =>
        orBusy((all[n % 6] ?? assert.fail()).semaphore(key, 12).acquire(AT_ONCE)),
      ),
    )
    const leases = found.filter((lease) => lease !== null)
    const permits = leases.map(({ permit }) => permit).sort((a, b) => a - b)
    assert.deepEqual(
      permits,
      Array.from({ length: 12 }, (_, n) => n + 1),
      `round ${round}`,
    )
    await Promise.all(leases.map((lease) => lease.release()))
  }
})

test('expired permits are taken again by as many, also while others hold some', async () => {
  const all = await adapters(4)
  const db = await database
  const [first = assert.fail()] = all
  const kept = await first.semaphore('expired', 6).acquire(AT_ONCE)
  await Promise.all(Array.from({ length: 5 }, () => first.semaphore('expired', 6).acquire({ ttl: TTL, renew: false })))
  const sql = "UPDATE go_goscope_locks SET expires_at = timezone('UTC', now()) - interval '1 second' WHERE owner <> $1"
  await db.query(sql, [kept.owner])
  assert.equal((await first.semaphore('expired', 6).holders()).length, 1)
  const found = await Promise.all(
    all.flatMap((adapter) => [1, 2, 3].map(() => orBusy(adapter.semaphore('expired', 6).acquire(AT_ONCE)))),
  )
  assert.equal(found.filter((lease) => lease !== null).length, 5)
  assert.equal(await kept.isValid(), true)
})

test('waiters of a process are served first-in, first-out, also through several adapters of its pool', async () => {
  const pool = (await database).pool()
  const semaphores = [1, 2].map(() => new PostgresAdapter(pool).semaphore('fifo', 2))
  const [semaphore = assert.fail()] = semaphores
  const held = [await semaphore.acquire(AT_ONCE), await semaphore.acquire(AT_ONCE)]
  /** @type {number[]} */
  const served = []
  const waits = Array.from({ length: 10 }, async (_, n) => {
    const lease = await (semaphores[n % 2] ?? semaphore).acquire({ ttl: TTL })
    served.push(n)
    await lease.release()
  })
  await until(
    'the marks',
    async () => (await (await database).query('SELECT FROM go_goscope_locks WHERE has_waiters')).length === 2,
  )
  await held[0]?.release()
  await Promise.all(waits)
  assert.deepEqual(
    served,
    Array.from({ length: 10 }, (_, n) => n),
  )
  await held[1]?.release()
})

test('waiters of many processes all get a permit in the end, without notifications, too', async () => {
  const db = await bare
  const all = Array.from({ length: 5 }, () => new PostgresAdapter(db.pool({ max: 3 })))
  await all[0]?.connect()
  await db.query('DROP TRIGGER go_goscope_lock_released ON go_goscope_locks')
  let [most, holders, served] = [0, 0, 0]
  await Promise.all(
    all.flatMap((adapter) =>
      Array.from({ length: 4 }, async () => {
        const lease = await adapter.semaphore('polled', 3).acquire({ ttl: TTL })
        holders++
        most = Math.max(most, holders)
        // However slowly the others poll, so many hold one at once.
        await until('three hold a permit', () => most === 3)
        await sleep(5)
        holders--
        served += lease.signal.aborted ? 0 : 1
        await lease.release()
      }),
    ),
  )
  assert.deepEqual([most, served], [3, 20])
})

test('a wait ends by its time and by its signal, and leaves nothing behind', async () => {
  const [adapter = assert.fail()] = await adapters(1)
  const semaphore = adapter.semaphore('given up', 1)
  const held = await semaphore.acquire(AT_ONCE)
  assert.equal(await holderInRefusal(() => semaphore.acquire({ ttl: TTL, wait: 50 })), held.owner)
  const giveUp = new AbortController()
  const waiting = semaphore.acquire({ ttl: TTL, signal: giveUp.signal })
  const behind = semaphore.acquire({ ttl: TTL })
  giveUp.abort(new Error('no longer wanted'))
  await assert.rejects(waiting, { message: 'no longer wanted' })
  await held.release()
  await (await behind).release()
  assert.deepEqual(await rows('given up'), [])
})

test('a permit is renewed, and one that is not renewed is free for a waiter when it has ended', async () => {
  const [adapter = assert.fail(), other = assert.fail()] = await adapters(2)
  const renewed = await adapter.semaphore('ends', 2).acquire({ ttl: 2_000 })
  const firstEnd = renewed.expiresAt
  const ends = await adapter.semaphore('ends', 2).acquire({ ttl: 300, renew: false })
  const next = await other.semaphore('ends', 2).acquire({ ttl: TTL })
  assert.equal(next.permit, ends.permit)
  assert.ok(next.fencingToken > ends.fencingToken)
  assert.equal(await ends.isValid(), false)
  await until('a renewal', async () => renewed.expiresAt > firstEnd + 500)
  assert.equal(await renewed.isValid(), true)
  await Promise.all([renewed.release(), next.release()])
})

test('an owner that asks again gets its own permit again; owners that are drawn are never the same', async () => {
  const [adapter = assert.fail(), other = assert.fail()] = await adapters(2)
  const first = await adapter.semaphore('owned', 3).acquire({ ...AT_ONCE, owner: 'other' })
  const mine = await adapter.semaphore('owned', 3).acquire({ ...AT_ONCE, owner: 'me' })
  await first.release()
  const again = await other.semaphore('owned', 3).acquire({ ...AT_ONCE, owner: 'me' })
  assert.equal(again.permit, mine.permit)
  assert.ok(again.fencingToken > mine.fencingToken)
  assert.equal((await adapter.semaphore('owned', 3).holders()).length, 1)
  await again.release()
})

test('callers that say different numbers: each gets one of its own, and does not wait behind the others', async () => {
  const [adapter = assert.fail()] = await adapters(1)
  const [small, large] = [adapter.semaphore('sizes', 1), adapter.semaphore('sizes', 3)]
  const held = await small.acquire(AT_ONCE)
  const waiting = small.acquire({ ttl: TTL })
  const others = [await large.acquire({ ttl: TTL }), await large.acquire({ ttl: TTL })]
  assert.deepEqual(
    others.map(({ permit }) => permit),
    [2, 3],
  )
  assert.equal(await orBusy(large.acquire(AT_ONCE)), null)
  await others[0]?.release()
  assert.equal(await orBusy(small.acquire(AT_ONCE)), null, 'permit 2 is none of its permits')
  assert.deepEqual([(await small.holders()).length, (await large.holders()).length], [1, 2])
  await held.release()
  const next = await waiting
  assert.equal(next.permit, 1)
  await Promise.all([next.release(), others[1]?.release()])
})

test('no lock is a permit, and no prefix shares one, however they are named', async () => {
  const [adapter = assert.fail()] = await adapters(1, 'p:')
  const [other = assert.fail()] = await adapters(1, 'q:')
  for (const key of ['name', '', '1:name', LONG, 'ключ']) {
    const semaphore = adapter.semaphore(key, 2)
    const leases = [await semaphore.acquire(AT_ONCE), await semaphore.acquire(AT_ONCE)]
    for (const lock of [key, `1:${key}`, `\u0001#1:${key}`, `\u0001#2:${key}`]) {
      const lease = await adapter.acquire(lock, TTL, 'me')
      assert.ok(lease, lock)
      await adapter.forceRelease(lock)
    }
    assert.equal(await orBusy(semaphore.acquire(AT_ONCE)), null)
    await (await other.semaphore(key, 1).acquire(AT_ONCE)).release()
    await (await adapter.semaphore(`${key}:`, 1).acquire(AT_ONCE)).release()
    for (const lease of leases) {
      assert.equal(await lease.isValid(), true)
      await lease.release()
    }
  }
})

test('a transaction is checked against the lease of a permit, and no other holder has it before the end', async () => {
  const pool = (await database).pool()
  const adapter = new PostgresAdapter(pool, { keyPrefix: 'checked:' })
  for (const key of ['name', LONG]) {
    const semaphore = adapter.semaphore(key, 2)
    const [lease, other] = [await semaphore.acquire(AT_ONCE), await semaphore.acquire(AT_ONCE)]
    const client = await (await database).clients().connect()
    await client.query('BEGIN')
    await adapter.within(client).assertHeld(other)
    await client.query('COMMIT')
    await lease.release()
    await client.query('BEGIN')
    await assert.rejects(adapter.within(client).assertHeld(lease), { code: 'GF001' })
    await client.query('ROLLBACK')
    const plain = { key: lease.key, fencingToken: other.fencingToken }
    await assert.rejects(adapter.within(client).assertHeld(plain), { code: 'GF001' }, 'no lock of that name is held')
    client.release()
    await other.release()
  }
})

test('a lost reply: the call has the permit that it has taken, and no second one', async () => {
  const db = await database
  const proxy = await startProxy(db.url)
  const adapter = new PostgresAdapter(new pg.Pool({ connectionString: proxy.url, max: 1 }))
  await adapter.connect()
  const semaphore = adapter.semaphore('lost', 3)
  const first = await semaphore.acquire(AT_ONCE)
  proxy.loseNextAnswerTo(':lost')
  const lease = await semaphore.acquire({ ttl: TTL })
  assert.deepEqual(
    (await rows(':lost')).map(({ owner }) => owner),
    [first.owner, lease.owner],
  )
  // No answer can come: what was taken is released as soon as the server can be reached.
  proxy.loseNextAnswerTo(':lost', { atOnce: () => proxy.refuse() })
  await assert.rejects(semaphore.acquire(AT_ONCE))
  assert.equal((await rows(':lost')).length, 3)
  proxy.refuse(false)
  await until('the release', async () => (await rows(':lost')).length === 2)
})

test('a lease that is not released in time is lost, and its signal aborts', async () => {
  const [adapter = assert.fail()] = await adapters(1)
  const lease = await adapter.semaphore('freed', 1).acquire({ ttl: 300 })
  await (await database).query("DELETE FROM go_goscope_locks WHERE strpos(key, ':freed') > 0")
  if (!lease.signal.aborted) await new Promise((resolve) => lease.signal.addEventListener('abort', resolve))
  assert.equal(/** @type {any} */ (lease.signal.reason).code, 'ERR_LEASE_LOST')
})

test('a wrong key, number or option is refused: at once, or by the promise', async () => {
  const [adapter = assert.fail()] = await adapters(1)
  const any = /** @type {any} */ (adapter)
  for (const permits of [0, -1, 1.5, Number.NaN, Infinity, 1_001]) {
    assert.throws(() => any.semaphore('k', permits), { code: 'ERR_OUT_OF_RANGE', message: /"permits"/ })
  }
  for (const permits of [undefined, null, '3', 3n]) {
    assert.throws(() => any.semaphore('k', permits), { code: 'ERR_INVALID_ARG_TYPE' })
  }
  assert.throws(() => any.semaphore(undefined, 1), { code: 'ERR_INVALID_ARG_TYPE' })
  for (const key of ['a\0', 'a\ud800']) assert.throws(() => any.semaphore(key, 1), { code: 'ERR_INVALID_ARG_VALUE' })
  const { acquire } = any.semaphore('k', 1)
  await assert.rejects(acquire(), { code: 'ERR_INVALID_ARG_TYPE' })
  await assert.rejects(acquire({ ttl: Infinity }), { code: 'ERR_OUT_OF_RANGE', message: /a lease needs an end/ })
  await assert.rejects(acquire({ ttl: TTL, wayt: 1 }), { code: 'ERR_INVALID_ARG_VALUE', message: /'wait' is meant/ })
})
