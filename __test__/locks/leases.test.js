// @ts-check
// @configurations first
// The properties of a lease, and its renewal.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { after, test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { runScript, startScript } = require('../support/script.js')
const { inTime, until } = require('../support/waiting.js')

const database = useDatabase()
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-leases-'))
after(() => fs.rmSync(folder, { recursive: true, force: true }))

/** @typedef {import('goscope-postgres').Lease} Lease */

const makeAdapter = async () => new PostgresAdapter((await database).pool())

/**
 * @param {PostgresAdapter} adapter
 * @param {string} key
 * @returns {Promise<Lease>}
 */
async function taken(adapter, key, ttl = 60_000) {
  const lease = await adapter.acquire(key, ttl)
  assert.ok(lease)
  return lease
}

/** @param {Lease} lease */
const untilLost = (lease) => until('the signal', () => lease.signal.aborted && /** @type {any} */ (lease.signal.reason))

test('a lease has its key, its owner, and an expiresAt that follows extensions', async () => {
  const adapter = await makeAdapter()
  const before = Date.now()
  const lease = await adapter.acquire('given', 60_000, 'me')
  assert.ok(lease)
  assert.deepEqual([lease.key, lease.owner], ['given', 'me'])
  // Counted from before the request. So at the time of the response it is at most the length of the lease ahead.
  assert.ok(lease.expiresAt >= before + 60_000 - 1 && lease.expiresAt <= Date.now() + 60_000, `${lease.expiresAt}`)
  assert.equal(await lease.extend(10_000), true)
  assert.ok(lease.expiresAt <= Date.now() + 10_000)
  assert.equal(await lease.extend(120_000), true)
  assert.ok(lease.expiresAt >= before + 120_000 - 1)
  const drawn = await adapter.acquire(/** @type {any} */ (42), 1000)
  assert.equal(drawn?.key, '42')
  assert.match(drawn?.owner ?? '', /^[0-9a-f-]{36}$/)
  const odd = '\ud800odd'
  assert.equal((await taken(adapter, odd)).key, odd)
})

test('the estimate never outlasts the lease', async () => {
  const adapter = await makeAdapter()
  for (let round = 0; round < 50; round++) {
    const lease = await taken(adapter, `estimate${round}`)
    // First: what passes from here on is less for both.
    const asked = performance.now()
    const left = lease.expiresAt - Date.now()
    const [{ rest }] = await (await database).query(
      `SELECT extract(epoch FROM expires_at - timezone('UTC', clock_timestamp()))::float8 * 1000 AS rest
         FROM go_goscope_locks WHERE key = $1`,
      [`lock:estimate${round}`],
    )
    assert.ok(left <= rest + (performance.now() - asked) + 1, `${left} of ${rest}`)
  }
})

test('holder() returns the owner and the expiry by the server’s clock, and null for a free lock', async () => {
  const adapter = await makeAdapter()
  const db = await database
  assert.equal(await adapter.holder('held'), null)
  const lease = await adapter.acquire('held', 60_000, 'the "owner"')
  const holder = await adapter.holder('held')
  assert.deepEqual(Object.keys(holder ?? {}), ['owner', 'expiresAt'])
  assert.equal(holder?.owner, 'the "owner"')
  const [{ ms }] = await db.query(
    "SELECT floor(extract(epoch FROM expires_at) * 1000)::float8 AS ms FROM go_goscope_locks WHERE key = 'lock:held'",
  )
  assert.equal(holder?.expiresAt, ms)
  await lease?.extend(1)
  await until('its end', async () => (await adapter.holder('held')) === null)
  await assert.rejects(adapter.holder(/** @type {any} */ (null)), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('the signal aborts at the end of the lease, and not before, also after extensions', async () => {
  const adapter = await makeAdapter()
  const lease = await taken(adapter, 'timed', 300)
  const { signal } = lease
  const started = performance.now()
  assert.equal(signal, lease.signal)
  assert.equal(await lease.extend(900), true)
  const reason = await untilLost(lease)
  assert.ok(performance.now() - started >= 900 - 1, `${performance.now() - started}`)
  assert.equal(reason.code, 'ERR_LEASE_LOST')
  assert.match(reason.message, /"timed"/)
  assert.ok(reason instanceof Error)
})

test('a signal that is first read after the end of the lease has aborted', async () => {
  const adapter = await makeAdapter()
  const lease = await taken(adapter, 'late', 1)
  await sleep(5)
  assert.equal(lease.signal.aborted, true)
})

test('the signal aborts when extend or isValid report that the lease is lost', async () => {
  const adapter = await makeAdapter()
  for (const look of /** @type {((lease: Lease) => Promise<boolean>)[]} */ ([
    (lease) => lease.extend(1000),
    (lease) => lease.isValid(),
  ])) {
    const lease = await taken(adapter, 'looked at')
    assert.equal(lease.signal.aborted, false)
    assert.equal(await look(lease), true)
    assert.equal(lease.signal.aborted, false)
    await adapter.forceRelease('looked at')
    assert.equal(lease.signal.aborted, false, 'the loss is not known yet')
    assert.equal(await look(lease), false)
    assert.equal(/** @type {any} */ (lease.signal.reason).code, 'ERR_LEASE_LOST')
  }
})

test('a release does not abort the signal, then or later; Symbol.asyncDispose releases', async () => {
  const adapter = await makeAdapter()
  const lease = await taken(adapter, 'released', 2_000)
  const renewed = await adapter.lock('released too', { ttl: 2_000 })
  const { signal } = lease
  const { [Symbol.asyncDispose]: dispose } = lease
  await dispose.call(lease)
  await renewed[Symbol.asyncDispose]()
  assert.deepEqual([await adapter.holder('released'), await adapter.holder('released too')], [null, null])
  await sleep(2_100)
  assert.equal(await lease.isValid(), false)
  assert.deepEqual([signal.aborted, renewed.signal.aborted], [false, false])
})

test('methods work detached from the lease', async () => {
  const adapter = await makeAdapter()
  const { release, extend, isValid } = await adapter.lock('detached', { ttl: 60_000 })
  assert.deepEqual([await isValid(), await extend(1000)], [true, true])
  await release()
  await release()
  assert.equal(await adapter.holder('detached'), null)
})

test('a lease of lock() is renewed until it is released', async () => {
  const adapter = await makeAdapter()
  const lease = await adapter.lock('renewed', { ttl: 1_000 })
  const token = lease.fencingToken
  const first = lease.expiresAt
  const { signal } = lease
  await until('several renewals', () => lease.expiresAt > first + 2_000)
  assert.equal(await lease.isValid(), true)
  assert.equal(lease.fencingToken, token)
  assert.equal(signal.aborted, false)
  assert.ok(lease.expiresAt <= Date.now() + 1_000)
  // From here on, renewals use the length of the last extension.
  assert.equal(await lease.extend(3_000), true)
  const holder = async () => (await adapter.holder('renewed'))?.expiresAt ?? 0
  const extended = await holder()
  await until('a renewal of the new length', async () => (await holder()) > extended)
  await lease.release()
  assert.equal(await adapter.holder('renewed'), null)
  const next = await taken(adapter, 'renewed', 300)
  await until('its end, without a renewal', async () => !(await next.isValid()))
})

test('an extension is not undone by a pending renewal with the previous length', async () => {
  const adapter = await makeAdapter()
  const db = await database
  const lease = await adapter.lock('extended', { ttl: 6_000 })
  const row = await db.hold("SELECT FROM go_goscope_locks WHERE key = 'lock:extended' FOR UPDATE")
  const extended = lease.extend(60_000)
  // A third of the length or more: a renewal waits behind the extension.
  await sleep(3_000)
  await row.commit()
  assert.equal(await extended, true)
  const holder = async () => (await adapter.holder('extended'))?.expiresAt ?? 0
  await until('the new length', async () => (await holder()) > Date.now() + 30_000)
  assert.ok(lease.expiresAt > Date.now() + 30_000)
  assert.equal(lease.signal.aborted, false)
  await lease.release()
})

test('with renew: false, a lease ends after its ttl', async () => {
  const adapter = await makeAdapter()
  const lease = await adapter.lock('unrenewed', { ttl: 300, renew: false })
  assert.ok(lease.expiresAt <= Date.now() + 300)
  await untilLost(lease)
  await until('its end', async () => (await adapter.holder('unrenewed')) === null)
})

test('a renewed lease whose lock is freed or taken over is lost at its next renewal', async () => {
  const [adapter, other] = [await makeAdapter(), await makeAdapter()]
  const freed = await adapter.lock('freed', { ttl: 600 })
  const signal = freed.signal
  await adapter.forceRelease('freed')
  const reason = await untilLost(freed)
  assert.deepEqual([signal.reason, reason.code], [reason, 'ERR_LEASE_LOST'])
  const robbed = await adapter.lock('robbed', { ttl: 600 })
  await other.forceRelease('robbed')
  const thief = await taken(other, 'robbed')
  await untilLost(robbed)
  assert.equal(await thief.isValid(), true)
  // A signal that is read later reports the same.
  const unwatched = await adapter.lock('unwatched', { ttl: 600 })
  await other.forceRelease('unwatched')
  await until('its loss', () => unwatched.signal.aborted)
})

test('a lease whose renewal is blocked, here by a row lock, counts as lost at its end', async () => {
  const adapter = await makeAdapter()
  const db = await database
  const lease = await adapter.lock('stuck', { ttl: 1_000 })
  const { signal } = lease
  const holder = await db.hold("SELECT FROM go_goscope_locks WHERE key = 'lock:stuck' FOR UPDATE")
  const started = performance.now()
  await untilLost(lease)
  assert.ok(signal.aborted)
  assert.ok(performance.now() - started >= 300, 'it is not lost before its end')
  await holder.commit()
})

test('disconnect() ends renewals, and the lease ends after its ttl; the signal follows', async () => {
  const adapter = await makeAdapter()
  const other = await makeAdapter()
  const lease = await adapter.lock('disconnected', { ttl: 900 })
  const { signal } = lease
  await inTime('disconnect', adapter.disconnect())
  assert.equal(signal.aborted, false)
  await untilLost(lease)
  await until('its end', async () => (await other.holder('disconnected')) === null)
})

test('disconnect() keeps the end of a lease that its last renewal has set', async () => {
  const adapter = await makeAdapter()
  const lease = await adapter.lock('left behind', { ttl: 6_000 })
  const first = lease.expiresAt
  await until('a renewal', () => lease.expiresAt > first + 1_000)
  const { signal, expiresAt } = lease
  await adapter.disconnect()
  // The two values are from different clocks.
  assert.ok(lease.expiresAt >= expiresAt - 50, `${lease.expiresAt} after ${expiresAt}`)
  assert.equal(signal.aborted, false)
})

test('a blocked event loop does not lose a renewed lease', async () => {
  const db = await database
  const other = await makeAdapter()
  const file = path.join(folder, 'blocked')
  const running = startScript(
    db.url,
    `
    const lease = await adapter.lock('blocked', { ttl: 1_500 })
    const { signal } = lease
    say('held')
    while (!fs.existsSync(input.file));
    await sleep(1)
    say([await lease.isValid(), signal.aborted, lease.expiresAt > Date.now()])
    await lease.release()
    await adapter.disconnect()`,
    { input: { file } },
  )
  await until('the lock', () => running.said().length === 1)
  const end = performance.now() + 3 * 1_500
  while (performance.now() < end) {
    assert.equal(await other.acquire('blocked', 60_000), null)
    await sleep(50)
  }
  fs.writeFileSync(file, '')
  const { said, code, stderr } = await running.ended
  assert.deepEqual([code, stderr, said], [0, '', ['held', [true, false, true]]])
  assert.ok(await other.acquire('blocked', 1))
})

test('a renewed lease and a watched signal do not keep the process alive; the lease then expires', async () => {
  const db = await database
  const other = await makeAdapter()
  const said = await runScript(
    db.url,
    `
    const lease = await adapter.lock('left', { ttl: 2_000 })
    const watched = await adapter.acquire('watched', 600_000)
    say([lease.signal.aborted, watched.signal.aborted])`,
  )
  assert.deepEqual(said, [[false, false]])
  assert.ok(await inTime('the lock of an ended process', other.lock('left', { ttl: 1_000 })))
})

test('invalid arguments reject, with Node’s codes, and nothing is sent', async () => {
  const adapter = await makeAdapter()
  const lock = (/** @type {any} */ key, /** @type {any} */ options) => adapter.lock(key, options)
  /** @type {[string, any, any][]} */
  const cases = [
    ['ERR_INVALID_ARG_TYPE', null, { ttl: 1 }],
    ['ERR_INVALID_ARG_TYPE', 'k', undefined],
    ['ERR_INVALID_ARG_TYPE', 'k', {}],
    ['ERR_INVALID_ARG_TYPE', 'k', 'soon'],
    ['ERR_INVALID_ARG_TYPE', 'k', { ttl: '1' }],
    ['ERR_OUT_OF_RANGE', 'k', { ttl: 0 }],
    ['ERR_OUT_OF_RANGE', 'k', { ttl: Infinity }],
    ['ERR_OUT_OF_RANGE', 'k', { ttl: 1, wait: -1 }],
    ['ERR_OUT_OF_RANGE', 'k', { ttl: 1, wait: NaN }],
    ['ERR_INVALID_ARG_TYPE', 'k', { ttl: 1, wait: '1' }],
    ['ERR_INVALID_ARG_TYPE', 'k', { ttl: 1, renew: 1 }],
    ['ERR_INVALID_ARG_TYPE', 'k', { ttl: 1, signal: {} }],
    ['ERR_INVALID_ARG_VALUE', 'k', { ttl: 1, owner: 'a\0' }],
  ]
  for (const [code, key, options] of cases) await assert.rejects(lock(key, options), { code }, JSON.stringify(options))
  assert.equal(await adapter.holder('k'), null)
  const byDefault = new PostgresAdapter((await database).pool(), { defaultLockTTL: 60_000 })
  await (await byDefault.lock('k')).release()
})
