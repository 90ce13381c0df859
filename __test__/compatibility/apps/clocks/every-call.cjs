// Every call of the package, while the clock and the timers of the program are fakes that do not move. The caller gives
// what it has loaded, so that the package may have been loaded before the fakes were installed or after that.
'use strict'

const net = require('node:net')
const { MessageChannel } = require('node:worker_threads')

/** @type {import('node:assert/strict')} */
const assert = require('node:assert/strict')

/**
 * @param {typeof import('goscope-postgres')} goscope
 * @param {any} pg or null: to connect by a configuration, without pg
 * @param {{ hooks: boolean, nodeStands?: boolean }} options whether Node's own sockets stand still: a fake `process.nextTick` stops
 * those, and so pg and TLS
 */
async function everyCall(goscope, pg, { hooks, nodeStands = false }) {
  const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = goscope
  // Keeps the process alive where only a lease's end is waited for, as an application's own server would.
  const { port1: alive } = new MessageChannel()
  alive.on('message', () => {})
  const connectionString = process.env.APP_DATABASE_URL
  const mark = `${process.pid}_${Math.random().toString(36).slice(2)}`
  const onConnect = async (/** @type {any} */ client) => {
    await client.query("SET application_name = 'hooked'")
    const { rows } = await client.query('SELECT $1::int + 1 AS sum', [1])
    assert.equal(rows[0].sum, '2')
  }
  let connected = 0
  const configuration = { connectionString, ...(hooks && { onConnect }) }
  const pool = pg ? new pg.Pool(configuration) : configuration
  if (hooks && pg) {
    pool.on('connect', (/** @type {any} */ client) => {
      connected++
      client.query('SELECT 1', () => client.query('SELECT 2'))
    })
  }
  const adapter = new PostgresAdapter(pool, { keyPrefix: `${mark}:`, defaultLockTTL: 60_000 })
  await adapter.connect()
  assert.equal(connected > 0, hooks && pg !== null)

  const lock = await adapter.acquire('report', 60_000)
  assert.ok(lock)
  assert.equal(lock.signal.aborted, false)
  assert.equal(await lock.extend(120_000), true)
  assert.equal(await lock.isValid(), true)
  assert.equal(await adapter.extend('report', 60_000, lock.owner), true)
  assert.equal((await adapter.holder('report'))?.owner, lock.owner)
  const waiting = adapter.lock('report', { wait: 60_000 })
  await lock.release()
  const next = await waiting
  assert.equal(next.signal.aborted, false)
  await assert.rejects(adapter.lock('report', { wait: 50 }), { code: 'ERR_LOCK_WAIT_TIMEOUT' })
  const giveUp = new AbortController()
  const given = adapter.lock('report', { signal: giveUp.signal })
  giveUp.abort(new Error('no longer wanted'))
  await assert.rejects(given, { message: 'no longer wanted' })
  await next.release()
  await adapter.forceRelease('report')
  assert.ok(await adapter.acquire('report', 60_000, 'me', { reentrant: false }))
  assert.equal(await adapter.acquire('report', 60_000, 'me', { reentrant: false }), null)
  assert.equal(await adapter.release('report', 'me'), true)

  const semaphore = adapter.semaphore('uploads', 1)
  const permit = await semaphore.acquire()
  assert.equal((await semaphore.holders())[0]?.owner, permit.owner)
  const queued = semaphore.acquire({ wait: 60_000 })
  await permit.release()
  await (await queued).release()
  await assert.rejects((async () => [await semaphore.acquire(), await semaphore.acquire({ wait: 50 })])(), {
    code: 'ERR_LOCK_WAIT_TIMEOUT',
  })

  // The end of a lease is real time, too.
  const short = await adapter.acquire('short', 50)
  assert.ok(short)
  const { signal } = short
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
  assert.equal(signal.reason.code, 'ERR_LEASE_LOST')

  /** @type {Promise<unknown>} */
  const heard = new Promise((resolve) => adapter.subscribe('payments', resolve))
  await adapter.setState('payments', { state: 'closed', failureCount: 1, lastFailureTime: 1, lastSuccessTime: 0 })
  assert.equal(await adapter.recordFailure('payments', 2), 2)
  assert.equal((await adapter.getState('payments'))?.state, 'open')
  assert.equal(await adapter.tryProbe('payments', 60_000), false)
  await heard
  await adapter.recordSuccess('payments')

  await adapter.set('user', { name: 'Ada' }, 60_000)
  assert.deepEqual(await adapter.get('user'), { name: 'Ada' })
  assert.equal(await adapter.has('user'), true)
  assert.deepEqual((await adapter.getEntry('user')).value, { name: 'Ada' })
  assert.equal(await adapter.touch('user'), true)
  assert.deepEqual(await adapter.keys('us%'), ['user'])
  assert.deepEqual(await adapter.keys({ prefix: 'us', limit: 1 }), ['user'])
  for await (const key of adapter.iterateKeys({ prefix: 'us' })) assert.equal(key, 'user')
  await adapter.setMany([['a', 1]])
  assert.deepEqual(await adapter.getMany(['a', 'b']), [1, null])
  assert.equal(await adapter.increment('n', 2), 2)
  assert.deepEqual(await adapter.incrementEntry('n', 0), { value: 2 })
  assert.equal(await adapter.compareAndSet('n', 2, 3), true)
  assert.equal(await adapter.getOrSet('computed', async () => 7), 7)
  assert.equal(await adapter.take('computed'), 7)
  assert.deepEqual(await adapter.deleteMany(['a', 'b']), [true, false])
  await adapter.delete('user')
  await adapter.clear({ prefix: 'us' })
  await adapter.clear()

  await adapter.save({ id: 'c', taskId: 't', sequence: 1, timestamp: 1, progress: 50, data: null })
  assert.equal((await adapter.load('c'))?.sequence, 1)
  assert.equal((await adapter.loadLatest('t'))?.sequence, 1)
  assert.equal((await adapter.list('t')).length, 1)
  await adapter.saveMany([{ id: 'd', taskId: 't', sequence: 2, timestamp: 1, progress: 50, data: null }])
  assert.equal((await adapter.list('t', { limit: 1, order: 'desc' }))[0]?.id, 'd')
  assert.deepEqual(await adapter.listTasks(), ['t'])
  for await (const task of adapter.iterateTasks()) assert.equal(task, 't')
  await adapter.cleanup('t', 0)
  await adapter.deleteAll('t')

  const results = new PostgresIdempotencyAdapter(pool, { keyPrefix: `${mark}:` })
  await results.connect()
  assert.equal(await results.run('order', async () => 5), 5)
  assert.equal((await results.get('order'))?.value, 5)
  /** @type {(result: number) => void} */
  let finish = () => {}
  const held = new Promise((resolve) => (finish = resolve))
  const working = results.run('held', () => held)
  await assert.rejects(
    results.run('held', () => 0, { wait: 50 }),
    { code: 'ERR_WORK_WAIT_TIMEOUT' },
  )
  const waits = results.run('held', () => 0, { wait: 60_000 })
  finish(9)
  assert.deepEqual(await Promise.all([working, waits]), [9, 9])
  await results.set('order', 6)
  await results.delete('order')

  const cache = new PostgresCacheAdapter(pool, { tableName: `cache_${mark}` })
  await cache.initialize()
  await cache.set('a', 1)
  assert.equal((await cache.stats()).size, 1)
  await cache.prune()
  assert.equal(typeof adapter.metrics().pool.open, 'number')

  for (const each of /** @type {any[]} */ ([adapter, results, cache])) await each.ping()
  await cache.close()

  if (!nodeStands) await silentServer(PostgresAdapter)
  for (const each of /** @type {any[]} */ ([adapter, results, cache])) await each.disconnect?.()
  alive.close()
}

/**
 * A server that accepts and says nothing: the time limit for a connection is real time, with TLS and without.
 *
 * @param {typeof import('goscope-postgres').PostgresAdapter} PostgresAdapter
 */
async function silentServer(PostgresAdapter) {
  const sockets = new Set()
  const server = net.createServer((socket) => sockets.add(socket.on('error', () => {})))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  const { port } = /** @type {net.AddressInfo} */ (server.address())
  for (const ssl of [true, false]) {
    const configuration = { host: '127.0.0.1', port, user: 'u', database: 'd', ssl, connectionTimeoutMillis: 200 }
    const silent = new PostgresAdapter(configuration)
    await assert.rejects(silent.get('a'), /Connection terminated/)
    await silent.disconnect()
  }
  for (const socket of sockets) socket.destroy()
  server.close()
}

module.exports = { everyCall }
