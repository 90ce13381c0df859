// @ts-check
// @configurations first
// An extension retries a fault that is shorter than the rest of the lease: a renewal timer that receives a rejection
// loses its lock, or its process. It retries only within the lease. An expired lease is never extended.
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { after, before, test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { administer, useDatabase } = require('../support/database.js')
const { Figures } = require('../support/figures.js')
const { endOf } = require('../support/leases.js')
const { startRestartableServer } = require('../support/restartable-server.js')
const { startProxy } = require('../support/proxy.js')
const { inTime, until } = require('../support/waiting.js')

const database = useDatabase()
const skip = process.platform === 'linux' ? false : 'it looks into /proc'
const figures = new Figures()
/** As long as it takes, however slow the machine is: the faults are short in comparison. */
const LONG_MS = 120_000
let names = 0

before(async () => new PostgresAdapter((await database).pool()).connect())
after(() => figures.report('extensions under faults'))

/** @typedef {Awaited<ReturnType<typeof startProxy>>} Proxy */
/** @typedef {{ key: string, locks: PostgresAdapter, db: Awaited<typeof database>, proxy: Proxy }} At */

/**
 * @param {pg.PoolConfig} [options]
 * @returns {Promise<At>}
 */
async function place(options) {
  const db = await database
  const proxy = await startProxy(db.url)
  const locks = new PostgresAdapter(db.pool({ connectionString: proxy.url, ...options }))
  return { key: `ridden${names++}`, locks, db, proxy }
}

const outcome = (/** @type {Promise<unknown>} */ promise) =>
  promise.then(
    (value) => ({ value, code: undefined }),
    (error) => {
      figures.error(error, 'extend')
      return { value: undefined, code: error.code }
    },
  )

/** Each begins a fault, and returns what ends it. */
const FAULTS = /** @type {[string, pg.PoolConfig, (at: At) => Promise<() => Promise<unknown>>][]} */ ([
  [
    'no connection is available',
    {},
    async ({ proxy }) => {
      proxy.refuse()
      proxy.cutAll()
      return async () => proxy.refuse(false)
    },
  ],
  [
    'the answer is lost, and then no connection is available',
    {},
    async ({ proxy, key }) => {
      proxy.loseNextAnswerTo(`lock:${key}`, { atOnce: () => proxy.refuse() })
      return async () => proxy.refuse(false)
    },
  ],
  [
    'the peer falls silent, with a query_timeout',
    { query_timeout: 300, connectionTimeoutMillis: 300 },
    async ({ proxy }) => {
      proxy.swallow()
      return async () => proxy.stopSwallowing()
    },
  ],
  [
    'the server is read-only, as after a failover',
    {},
    async ({ db }) => {
      await administer(`ALTER DATABASE ${db.name} SET default_transaction_read_only = on`)
      // Open connections keep their setting.
      await endSessions(db)
      return () => administer(`ALTER DATABASE ${db.name} RESET default_transaction_read_only`)
    },
  ],
  [
    'another session locks the row, with a lock_timeout',
    { lock_timeout: 50 },
    async ({ db, key }) => {
      const holder = await db.hold('SELECT * FROM go_goscope_locks WHERE starts_with(key, $1) FOR UPDATE', [
        `lock:${key}`,
      ])
      return () => holder.rollback()
    },
  ],
])

/** @param {Awaited<typeof database>} db */
async function endSessions(db) {
  await db.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()`)
}

for (const [title, options, begin] of FAULTS) {
  test(`retried, by a handle and by the adapter: ${title}`, async () => {
    const at = await place(options)
    const handle = await at.locks.acquire(at.key, LONG_MS, 'me')
    assert.ok(handle && (await at.locks.acquire(`${at.key}:too`, LONG_MS, 'me')))
    const end = await begin(at)
    const calls = [handle.extend(LONG_MS), at.locks.extend(`${at.key}:too`, LONG_MS, 'me')]
    const extended = Promise.all(calls.map(outcome))
    figures.operations += 2
    figures.faults++
    await sleep(700)
    await end()
    const right = { value: true, code: undefined }
    assert.deepEqual(await inTime('the extension', extended), [right, right])
    await at.proxy.stop()
  })
}

test('retried: the server is killed, and started again', { skip }, async () => {
  const server = await startRestartableServer()
  const pool = new pg.Pool({ connectionString: server.url })
  pool.on('error', () => {})
  const locks = new PostgresAdapter(pool)
  const handle = await locks.acquire('ridden', LONG_MS)
  await server.crash()
  const extended = outcome(/** @type {any} */ (handle).extend(LONG_MS))
  figures.operations++
  figures.faults++
  await sleep(500)
  await server.start()
  assert.deepEqual(await inTime('the extension', extended), { value: true, code: undefined })
  await locks.disconnect()
  await server.stop()
})

test('a fault that outlasts the lease rejects with a code when the lease expires', async () => {
  const { locks, key, proxy, db } = await place()
  const ttl = 1_500
  const handle = await locks.acquire(key, ttl, 'me')
  const end = await endOf(db, 'go_goscope_locks', `lock:${key}`)
  proxy.refuse()
  proxy.cutAll()
  const called = performance.now()
  const { code } = await inTime('the retry deadline', outcome(/** @type {any} */ (handle).extend(60_000)))
  const took = performance.now() - called
  figures.operations++
  figures.faults++
  assert.ok(code, 'the extension must fail')
  const over = (await db.clock()) - end
  console.log(
    `# note: given up after ${took.toFixed(0)} ms, ${over.toFixed(0)} ms after the end of a lease of ${ttl} ms`,
  )
  // The lease has expired, so nothing is retried any more.
  await until('the end of the lease', async () => (await db.clock()) > end)
  const { connections } = proxy
  await sleep(500)
  assert.equal(proxy.connections, connections, 'it keeps retrying')
  await proxy.stop()
})

test('an expired lease stays expired: a late extension finds no lock, or the lock of another owner', async () => {
  for (const taken of [false, true]) {
    const { locks, key, proxy, db } = await place()
    const handle = await locks.acquire(key, 300, 'me')
    proxy.holdBack()
    proxy.cutAll()
    const extended = outcome(/** @type {any} */ (handle).extend(60_000))
    figures.operations++
    figures.faults++
    const direct = new PostgresAdapter(db.pool())
    if (taken) await until('the end of the lease', () => direct.acquire(key, 60_000, 'other'))
    else {
      const end = await endOf(db, 'go_goscope_locks', `lock:${key}`)
      await until('the end of the lease', async () => (await db.clock()) > end)
    }
    proxy.letIn()
    assert.deepEqual(await inTime('the extension', extended), { value: false, code: undefined })
    assert.equal(await direct.extend(key, 60_000, 'other'), taken, 'the lease of the other owner is unchanged')
    await proxy.stop()
  }
})

test('disconnect does not wait for the end of a long lease', async () => {
  const { locks, key, proxy } = await place()
  const handle = await locks.acquire(key, 3_600_000, 'me')
  proxy.refuse()
  proxy.cutAll()
  const extended = outcome(/** @type {any} */ (handle).extend(3_600_000))
  await sleep(200)
  await inTime('the disconnect', locks.disconnect())
  figures.operations++
  figures.faults++
  assert.ok((await extended).code, 'the extension must fail')
  await proxy.stop()
})
