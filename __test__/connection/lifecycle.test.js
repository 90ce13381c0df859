// @ts-check
// @configurations every
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { startProxy } = require('../support/proxy.js')
const { until } = require('../support/waiting.js')
const { without } = require('../support/route.js')

const database = useDatabase()
const skip = without.sessions
const ENDED = { message: 'Cannot use a pool after calling end on the pool' }

/**
 * Counts the sessions on the server under an application name.
 *
 * @param {string} name
 */
async function sessions(name) {
  const [{ n }] = await (await database).query(
    'SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = $1',
    [name],
  )
  return n
}

/** The server's processes need a moment to end after the Terminate. */
const untilGone = async (/** @type {string} */ name) =>
  skip || until(`the end of the sessions '${name}'`, async () => (await sessions(name)) === 0)

test('isConnected follows connect and disconnect', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  assert.equal(adapter.isConnected(), false)
  await adapter.connect()
  assert.equal(adapter.isConnected(), true)
  const ending = adapter.disconnect()
  assert.equal(adapter.isConnected(), false)
  await ending
  assert.equal(adapter.isConnected(), false)
})

test('adapters on one pool share one native pool, within its max, opened lazily', { skip }, async () => {
  const db = await database
  const pool = db.pool({ application_name: 'shared', max: 3 })
  const adapters = [
    new PostgresAdapter(pool),
    new PostgresAdapter(pool, { keyPrefix: 'x:' }),
    new PostgresCacheAdapter(pool),
  ]
  const results = new PostgresIdempotencyAdapter(pool)
  assert.equal(await sessions('shared'), 0)
  let most = 0
  let isOver = false
  const watch = async () => {
    // Once more after all calls have ended: the connections are still open.
    for (let isLast = false; !isLast; ) {
      isLast = isOver
      most = Math.max(most, await sessions('shared'))
    }
  }
  const watched = watch()
  for (let round = 0; round < 20; round++) {
    await Promise.all(
      Array.from({ length: 60 }, (_, n) => [adapters[n % 3].set(`k${n}`, n), results.get(`k${n}`)]).flat(),
    )
  }
  isOver = true
  await watched
  assert.ok(most >= 1 && most <= 3, `${most} connections at the most`)
})

test('idle connections are closed after idleTimeoutMillis, with a proper Terminate', { skip }, async () => {
  const db = await database
  const proxy = await startProxy(db.url)
  const pool = db.pool({ connectionString: proxy.url, application_name: 'idle', idleTimeoutMillis: 200 })
  const adapter = new PostgresAdapter(pool)
  await adapter.get('x')
  await until('a Terminate', () => proxy.messages.endsWith('X'))
  await untilGone('idle')
  assert.equal(await adapter.get('x'), null)
})

test('idleTimeoutMillis: 0 keeps them', { skip }, async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool({ application_name: 'kept', idleTimeoutMillis: 0 }))
  await adapter.get('x')
  await sleep(400)
  assert.equal(await sessions('kept'), 1)
  await adapter.disconnect()
})

test('disconnect waits for the calls in flight, closes the connections, and ends the given pool once', async () => {
  const db = await database
  const pool = db.pool({ application_name: 'ends' })
  let ended = 0
  const end = pool.end.bind(pool)
  Object.assign(pool, {
    end: () => {
      ended++
      return end()
    },
  })
  const adapter = new PostgresAdapter(pool)
  const other = new PostgresAdapter(pool, { keyPrefix: 'other:' })
  await adapter.connect()
  const under = Array.from({ length: 200 }, (_, n) => adapter.set(`under-way:${n}`, n))
  const settled = Promise.allSettled(under)
  const first = adapter.disconnect()
  const second = adapter.disconnect()
  await assert.rejects(adapter.get('x'), ENDED)
  await Promise.all([first, second])
  assert.ok((await settled).every(({ status }) => status === 'fulfilled'))
  await untilGone('ends')
  await adapter.disconnect()
  await other.disconnect()
  assert.equal(ended, 1)
  assert.equal(pool.ended, true)
  for (const call of [
    adapter.get('x'),
    adapter.connect(),
    adapter.acquire('x', 1),
    adapter.save({ id: '1', taskId: '1', sequence: 1, timestamp: 1, progress: 1, data: 1 }),
    other.set('x', 1),
    new PostgresAdapter(pool).get('x'),
    new PostgresIdempotencyAdapter(pool).get('x'),
    new PostgresCacheAdapter(pool).initialize(),
  ]) {
    await assert.rejects(call, ENDED)
  }
  const [{ n }] = await db.query("SELECT count(*)::int AS n FROM go_goscope_cache WHERE key LIKE 'cache:under-way:%'")
  assert.equal(n, 200)
})

test('a handle of a disconnected adapter rejects like the adapter', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  const handle = await adapter.acquire('handle', 60_000)
  await adapter.disconnect()
  await assert.rejects(/** @type {any} */ (handle).isValid(), ENDED)
})

test('disconnect before any call', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  await adapter.disconnect()
  await assert.rejects(adapter.get('x'), ENDED)
})

test('a pool that the application ends also closes the native connections', async () => {
  const db = await database
  const pool = db.pool({ application_name: 'ended by the application' })
  const adapter = new PostgresAdapter(pool)
  await adapter.connect()
  await pool.end()
  assert.equal(adapter.isConnected(), false)
  await assert.rejects(adapter.get('x'), ENDED)
  await untilGone('ended by the application')
  await adapter.disconnect()
})

test('a promise resolves only after the commit: every session sees what it wrote', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool())
  for (let n = 0; n < 50; n++) {
    await adapter.set(`acknowledged:${n}`, n)
    const [row] = await db.query('SELECT value FROM go_goscope_cache WHERE key = $1', [`cache:acknowledged:${n}`])
    assert.equal(row.value, n)
  }
})
