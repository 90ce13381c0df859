// @ts-check
// @configurations every
// close(), Symbol.asyncDispose and ping() of all three classes. Closing one adapter ends no object that was given to
// it, and no other adapter.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { startProxy } = require('../support/proxy.js')
const { inTime, until } = require('../support/waiting.js')
const { without } = require('../support/route.js')

const database = useDatabase()
const CLOSED = { code: 'ERR_ADAPTER_CLOSED', message: 'Cannot use an adapter after calling close on it' }
const ENDED = { message: 'Cannot use a pool after calling end on the pool' }

/** A write and a read of each class. @type {[any, (adapter: any) => Promise<any>, (adapter: any) => Promise<any>][]} */
const CLASSES = [
  [PostgresAdapter, (adapter) => adapter.set('k', 1), (adapter) => adapter.get('k')],
  [PostgresCacheAdapter, (adapter) => adapter.set('k', 1), (adapter) => adapter.get('k')],
  [PostgresIdempotencyAdapter, (adapter) => adapter.set('k', 1), (adapter) => adapter.get('k')],
]

/** The number of sessions under an application name. */
const sessions = async (/** @type {string} */ name) => {
  const sql = 'SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = $1'
  return (await (await database).query(sql, [name]))[0].n
}

for (const [Class, write, read] of CLASSES) {
  const title = Class.name

  test(`${title}: close() waits for its calls, refuses later ones, leaves pool and other adapters open`, async () => {
    const db = await database
    const name = `closing ${title}`
    const pool = db.pool({ application_name: name, idleTimeoutMillis: 0 })
    const [adapter, other] = [new Class(pool), new Class(pool)]
    await read(other)
    let isWritten = false
    const writing = write(adapter).then(() => {
      isWritten = true
    })
    const closing = adapter.close()
    const refused = assert.rejects(read(adapter), CLOSED)
    await inTime('close()', closing)
    await Promise.all([refused, writing])
    assert.ok(isWritten)
    await adapter.close()
    await assert.rejects(adapter.ping(), CLOSED)
    // The other one is open, and so is the pool.
    assert.ok(await read(other))
    assert.equal((await pool.query('SELECT 1 AS n')).rows[0].n, 1)
    const before = other.metrics().pool.open
    assert.ok(before >= 1)
    await other.close()
    assert.equal(other.metrics().pool.open, 0)
    assert.equal((await pool.query('SELECT 1 AS n')).rows[0].n, 1)
    if (!without.sessions) await until('only the pool of pg is connected', async () => (await sessions(name)) === 1)
    // A new adapter on the pool connects again.
    const later = new Class(pool)
    assert.ok(await read(later))
    await later.disconnect()
    assert.equal(pool.ended, true)
    await assert.rejects(read(later), ENDED)
  })

  test(`${title}: disconnect() ends the pool for all adapters, also after close()`, async () => {
    const db = await database
    for (const closesFirst of [false, true]) {
      const pool = db.pool()
      const [adapter, other] = [new Class(pool), new Class(pool)]
      await read(adapter)
      if (closesFirst) await adapter.close()
      await adapter.disconnect()
      await adapter.disconnect()
      assert.equal(pool.ended, true)
      await assert.rejects(read(other), ENDED)
      await other.close()
    }
  })

  test(`${title}: Symbol.asyncDispose closes`, { skip: Symbol.asyncDispose === undefined }, async () => {
    const pool = (await database).pool()
    const adapter = new Class(pool)
    await read(adapter)
    await adapter[Symbol.asyncDispose]()
    await assert.rejects(read(adapter), CLOSED)
    assert.equal(pool.ending, false)
    assert.deepEqual(Object.keys(adapter), [])
  })

  test(`${title}: ping() makes a request to the server`, async () => {
    const db = await database
    const proxy = await startProxy(db.url)
    const adapter = new Class(db.pool({ connectionString: proxy.url, max: 1 }))
    assert.equal(await adapter.ping(), undefined)
    const asked = proxy.messages.length
    await adapter.ping()
    assert.ok(proxy.messages.length > asked)
    assert.equal(adapter.metrics().operations.ping?.calls, 2)
    proxy.refuse()
    proxy.cutAll()
    await assert.rejects(adapter.ping(), (/** @type {any} */ error) => /^ECONN/.test(error.code))
    proxy.refuse(false)
    await adapter.ping()
    await adapter.disconnect()
    await assert.rejects(adapter.ping(), ENDED)
  })
}

test('close() ends waits and subscriptions of its own, and waits for running work', async () => {
  const db = await database
  const pool = db.pool()
  const [locks, other] = [new PostgresAdapter(pool), new PostgresAdapter(pool)]
  const results = new PostgresIdempotencyAdapter(pool)
  await locks.connect()
  assert.equal(locks.isConnected(), true)
  const lease = await other.lock('busy', { ttl: 600_000 })
  const waiting = assert.rejects(locks.lock('busy', { ttl: 1_000 }), CLOSED)
  const patient = other.lock('busy', { ttl: 600_000 })
  /** @type {string[]} */
  const notified = []
  locks.subscribe('breaker', () => notified.push('closed'))
  other.subscribe('breaker', () => notified.push('open'))
  await other.getState('breaker')
  await inTime('close()', locks.close())
  assert.equal(locks.isConnected(), false)
  await inTime('the wait', waiting)
  assert.throws(() => locks.subscribe('breaker', () => {}), CLOSED)
  await other.setState('breaker', { state: 'open', failureCount: 1 })
  await until('the other adapter is notified', () => notified.includes('open'))
  assert.deepEqual(notified, ['open'])
  await lease.release()
  await (await inTime('the wait of the other adapter', patient)).release()

  let hasEnded = false
  let begin = () => {}
  const begun = new Promise((/** @type {(nothing: void) => void} */ resolve) => (begin = resolve))
  const working = results.run('work', async () => {
    begin()
    // Within the work, it returns at once, and calls of the work are not refused.
    await results.close()
    assert.equal(await results.get('work'), null)
    hasEnded = true
    return 'done'
  })
  await begun
  const refused = assert.rejects(results.get('work'), CLOSED)
  await inTime('close()', results.close())
  assert.ok(hasEnded)
  assert.equal(await working, 'done')
  await refused
  assert.equal((await new PostgresIdempotencyAdapter(pool).get('work'))?.value, 'done')
  // Its subscription would still poll when the database is dropped, and PgBouncer makes a client of a missing one wait.
  await other.disconnect()
})

test('a lease of an adapter that is closed is not renewed, and expires', async () => {
  const pool = (await database).pool()
  const [adapter, other] = [new PostgresAdapter(pool), new PostgresAdapter(pool)]
  const lease = await adapter.lock('left', { ttl: 300 })
  await adapter.close()
  await assert.rejects(lease.release(), CLOSED)
  await (await inTime('the next holder', other.lock('left', { ttl: 300 }))).release()
})

test('many adapters in turn on one pool leave nothing on it', async () => {
  const pool = (await database).pool()
  const { end } = pool
  for (let round = 0; round < 5; round++) {
    const cache = new PostgresCacheAdapter(pool)
    await cache.set('k', round)
    await cache.close()
  }
  assert.equal(pool.end, end)
})

test('adapters that overlap on one pool leave nothing on it, and the end of the pool ends the open ones', async () => {
  const pool = (await database).pool()
  const { end } = pool
  const visit = async () => {
    for (let round = 0; round < 20; round++) {
      const cache = new PostgresCacheAdapter(pool)
      await cache.get('k')
      // The next one is made while this one closes.
      const closing = cache.close()
      const next = new PostgresCacheAdapter(pool)
      await Promise.all([closing, next.get('k')])
      await next.close()
    }
  }
  await Promise.all([visit(), visit(), visit()])
  assert.equal(pool.end, end)

  const closing = new PostgresCacheAdapter(pool)
  await closing.get('k')
  const closed = closing.close()
  const open = new PostgresCacheAdapter(pool)
  await open.get('k')
  await inTime('the end of the pool', pool.end())
  await closed
  await assert.rejects(open.get('k'), ENDED)
})
