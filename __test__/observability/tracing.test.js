// @ts-check
// @configurations first
// Every operation publishes its calls on the channels of node:diagnostics_channel, with no other effect.
'use strict'

const assert = require('node:assert/strict')
const { AsyncLocalStorage } = require('node:async_hooks')
const { channel, tracingChannel } = require('node:diagnostics_channel')
const { afterEach, test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter, operations } = require('goscope-postgres')
const { GROUPS } = require('../../lib/groups.js')
const { METHODS } = require('../../lib/operations.js')
const { OPERATIONS, adaptersOn, connectAll, missing } = require('../support/operations.js')
const { useDatabase } = require('../support/database.js')
const { until } = require('../support/waiting.js')
const { runScript } = require('../support/script.js')

const database = useDatabase()

/** @typedef {{ event: string, context: import('goscope-postgres').TraceContext }} Received */

const EVENTS = /** @type {const} */ (['start', 'end', 'asyncStart', 'asyncEnd', 'error'])

/** @type {(() => void)[]} */
const undo = []
afterEach(() => {
  for (const each of undo.splice(0)) each()
})

/**
 * Collects the events from here on, until the end of the test or of the subscription.
 *
 * @param {readonly string[]} [of]
 * @param {readonly (typeof EVENTS)[number][]} [events]
 */
function listen(of = operations, events = EVENTS) {
  /** @type {Received[]} */
  const received = []
  const subscriptions = of.flatMap((operation) =>
    events.map((event) => {
      const on = (/** @type {any} */ context) => void received.push({ event, context })
      const name = `tracing:goscope-postgres:${operation}:${event}`
      channel(name).subscribe(on)
      return () => void channel(name).unsubscribe(on)
    }),
  )
  const stop = () => {
    for (const end of subscriptions.splice(0)) end()
  }
  undo.push(stop)
  return { received, stop }
}

const eventsOf = (/** @type {Received[]} */ received) => received.map(({ event }) => event)

test('every operation publishes its start and its outcome, once for each call', async () => {
  const on = adaptersOn((await database).pool())
  await connectAll(on)
  for (const [n, { name, operation, seed, ready }] of OPERATIONS.entries()) {
    const key = `key ${n}`
    await seed?.(on, key)
    const call = await ready(on, key)
    const { received, stop } = listen()
    const promise = call()
    assert.deepEqual(eventsOf(received), ['start', 'end'], name)
    const [first] = received
    await promise
    assert.deepEqual(eventsOf(received), ['start', 'end', 'asyncStart', 'asyncEnd'], name)
    for (const { context } of received) assert.equal(context, first?.context, name)
    assert.equal(first?.context.operation, operation, name)
    stop()
  }
})

test('each method of lib/operations.js has a call in support/operations.js', () => {
  assert.deepEqual(missing(), [])
})

test('a composed call is published; the calls that it makes are not', async () => {
  const on = adaptersOn((await database).pool())
  const { received } = listen(operations, ['start'])
  assert.equal(await on.main.getOrSet('made', () => 1), 1)
  assert.equal(await on.results.run('made', () => 1), 1)
  assert.deepEqual(
    received.map(({ context }) => context.operation),
    ['cache.getOrSet', 'idempotency.run'],
  )
})

test('connect, close and disconnect are published, too', async () => {
  const pool = (await database).pool()
  const main = new PostgresAdapter(pool)
  const { received } = listen()
  await Promise.all([
    main.connect(),
    new PostgresCacheAdapter(pool).initialize(),
    new PostgresIdempotencyAdapter(pool).connect(),
  ])
  await main.ping()
  await main.close()
  await main.disconnect()
  const started = received.filter(({ event }) => event === 'asyncEnd').map(({ context }) => context.operation)
  assert.deepEqual(started, ['connect', 'connect', 'connect', 'ping', 'close', 'disconnect'])
})

test('the table of operations contains every method that returns a promise', () => {
  // Methods that return no promise, and methods that are not public.
  const others = [
    'constructor',
    'isConnected',
    'metrics',
    // It is reported as the ping that it makes.
    'health',
    'subscribe',
    'breaker',
    'iterateKeys',
    'iterateTasks',
    'semaphore',
    '_count',
    '_like',
    '_checkDurability',
    'within',
  ]
  others.push(...Object.keys(GROUPS))
  const CacheProvider = Object.getPrototypeOf(PostgresAdapter)
  const LifeCycle = Object.getPrototypeOf(CacheProvider)
  for (const type of [PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter, CacheProvider, LifeCycle]) {
    const methods = Object.getOwnPropertyNames(type.prototype).filter((name) => !others.includes(name))
    const table = /** @type {Record<string, object>} */ (METHODS)[type.name]
    assert.deepEqual(methods.sort(), Object.keys(table ?? {}).sort(), type.name)
  }
  for (const name of operations) assert.match(name, /^([a-z]+\.)?[a-zA-Z]+$/)
  assert.ok(Object.isFrozen(operations))
})

test('traced methods keep their name, length and property attributes', () => {
  const lengths = { acquire: 3, extend: 3, get: 1, set: 3, keys: 1, save: 1, recordFailure: 2, connect: 0 }
  for (const [name, length] of Object.entries(lengths)) {
    const owner = name in PostgresAdapter.prototype && PostgresAdapter.prototype
    const method = /** @type {any} */ (owner)[name]
    assert.equal(method.name, name)
    assert.equal(method.length, length, name)
    assert.equal('prototype' in method, false, 'no constructor')
  }
  assert.deepEqual(Object.keys(PostgresAdapter.prototype), [])
  const { value: _, ...rest } = /** @type {any} */ (
    Object.getOwnPropertyDescriptor(PostgresAdapter.prototype, 'acquire')
  )
  assert.deepEqual(rest, { writable: true, enumerable: false, configurable: true })
})

test('the context names the operation, the key and the server, and contains no values or prefixes', async () => {
  const { url, name } = await database
  const adapter = new PostgresAdapter((await database).pool(), { keyPrefix: 'hidden:' })
  const { received } = listen(operations, ['start'])
  const handle = await adapter.acquire('a lock', 60_000, 'secret owner')
  await handle?.release()
  await adapter.set('a key', 'secret value')
  await adapter.set('lone \ud800', 1)
  await (await adapter.acquire('lone \ud800', 1000))?.release()
  await adapter.get(/** @type {any} */ (42))
  await adapter.keys('a pattern%')
  await adapter.save({ id: 'an id', taskId: 'a task', sequence: 1, timestamp: 1, progress: 1, data: 'secret data' })
  await adapter.list('a task')
  await adapter.clear()
  assert.deepEqual(
    received.map(({ context: { operation, key } }) => [operation, key]),
    [
      ['locks.acquire', 'a lock'],
      ['locks.release', 'a lock'],
      ['cache.set', 'a key'],
      ['cache.set', 'lone \ud800'],
      ['locks.acquire', 'lone \ud800'],
      ['locks.release', 'lone \ud800'],
      ['cache.get', '42'],
      ['cache.keys', undefined],
      ['checkpoints.save', 'an id'],
      ['checkpoints.list', 'a task'],
      ['cache.clear', undefined],
    ],
  )
  const { hostname, port } = new URL(url)
  for (const { context } of received) {
    const { operation: _, key: __, ...target } = context
    assert.deepEqual(target, { host: hostname, port: Number(port), database: name })
  }
  assert.doesNotMatch(JSON.stringify(received), /secret|hidden/)
})

test('host, port and database are published for every form of the first argument', async () => {
  const { received } = listen(['cache.get'], ['start'])
  const sources = [
    'postgres://me@127.0.0.1:1/app',
    'postgres://me@127.0.0.1:1,127.0.0.1:2/app',
    { host: '127.0.0.1', port: 1, database: 'app', user: 'me' },
    { host: '127.0.0.1', port: 1, database: 'app', target_session_attrs: /** @type {any} */ ('any') },
    { host: '/no/such/folder', user: 'me', password: 'secret', database: 'app' },
  ]
  for (const source of sources) await assert.rejects(new PostgresAdapter(source).get('a'))
  const targets = received.map(({ context: { host, port, database } }) => [host, port, database])
  assert.deepEqual(targets, [
    ...Array.from({ length: 4 }, () => ['127.0.0.1', 1, 'app']),
    ['/no/such/folder', 5432, 'app'],
  ])
  assert.doesNotMatch(JSON.stringify(received), /secret/)
})

test('a failure is published with the same error that the caller gets', async () => {
  const adapter = new PostgresAdapter({ host: '127.0.0.1', port: 1 })
  const { received } = listen()
  const error = await adapter.get('a').catch((error) => error)
  assert.equal(error.code, 'ECONNREFUSED')
  assert.deepEqual(eventsOf(received), ['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
  for (const { context } of received) assert.equal(context.error, error)
})

test('an invalid argument is published as well, and nothing is thrown', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  const { received } = listen()
  const calls = [
    adapter.get(/** @type {any} */ ({})),
    adapter.save(/** @type {any} */ (undefined)),
    adapter.acquire('a', -1),
    new PostgresCacheAdapter((await database).pool()).keys(/** @type {any} */ (['a'])),
  ]
  for (const call of calls) await assert.rejects(call, { code: /^ERR_/ })
  const errors = received.filter(({ event }) => event === 'error').map(({ context }) => context.operation)
  assert.deepEqual(errors, ['cache.get', 'checkpoints.save', 'locks.acquire', 'cache.keys'])
  assert.ok(received.every(({ context }) => context.key === undefined || context.key === 'a'))
})

test('an argument whose getter throws rejects the call as without tracing', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  const thrown = new Error('not to be looked at')
  const checkpoint = {
    get id() {
      throw thrown
    },
  }
  listen()
  const call = adapter.save(/** @type {any} */ (checkpoint))
  await assert.rejects(call, (error) => error === thrown)
})

test('Node’s own TracingChannel receives the events, and each event can be subscribed to alone', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  for (const event of EVENTS) {
    const { received, stop } = listen(['cache.get'], [event])
    await adapter.get('a')
    await adapter.get(/** @type {any} */ ({})).catch(() => {})
    const { length } = received
    assert.equal(length, event === 'error' ? 1 : 2, event)
    stop()
    await adapter.get('a')
    assert.equal(received.length, length, 'no event after the end of the subscription')
  }
  /** @type {string[]} */
  const heard = []
  const hears = Object.fromEntries(EVENTS.map((event) => [event, () => void heard.push(event)]))
  const traced = tracingChannel('goscope-postgres:cache.get')
  traced.subscribe(/** @type {any} */ (hears))
  await adapter.get('a')
  traced.unsubscribe(/** @type {any} */ (hears))
  assert.deepEqual(heard, ['start', 'end', 'asyncStart', 'asyncEnd'])
})

test('a store that is bound to the start channel is active in application code that the call runs', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  const storage = new AsyncLocalStorage()
  const { start } = tracingChannel('goscope-postgres:cache.set')
  start.bindStore(storage, (context) => /** @type {any} */ (context).key)
  undo.push(() => void start.unbindStore(storage))
  let inside
  const value = { toJSON: () => (inside = storage.getStore()) }
  await storage.run('outside', async () => {
    await adapter.set('a', value)
    assert.equal(storage.getStore(), 'outside')
  })
  assert.equal(inside, 'a')
})

test('a traced call has the same value, promise, error and stack', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  const { received } = listen()
  await adapter.set('a', { n: 1 })
  const promise = adapter.get('a')
  assert.equal(Object.getPrototypeOf(promise), Promise.prototype)
  assert.deepEqual(await promise, { n: 1 })
  const handle = await adapter.acquire('a', 60_000)
  const { isValid, extend, release } = /** @type {any} */ (handle)
  assert.deepEqual([isValid.name, extend.name, extend.length, release.name], ['isValid', 'extend', 1, 'release'])
  assert.deepEqual(
    [await extend(60_000), await isValid(), await release(), await isValid()],
    [true, true, undefined, false],
  )
  async function whoCalls() {
    await adapter.set('a', '\0')
  }
  const error = await whoCalls().catch((error) => error)
  assert.equal(error.code, '22P05')
  assert.match(error.stack, /whoCalls/)
  assert.ok(received.length > 0)
})

test('without subscribers, an error’s stack leads to the caller and does not contain tracing.js', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  async function whoCalls() {
    await adapter.set('a', '\0')
  }
  const error = await whoCalls().catch((error) => error)
  assert.match(error.stack, /whoCalls/)
  assert.doesNotMatch(error.stack, /tracing\.js/)
})

test('concurrent calls have a context each', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  const { received } = listen(['cache.get'])
  await Promise.all(Array.from({ length: 300 }, (_, n) => adapter.get(`k${n}`)))
  /** @type {Map<object, string[]>} */
  const calls = new Map()
  for (const { event, context } of received) calls.set(context, [...(calls.get(context) ?? []), event])
  assert.equal(calls.size, 300)
  assert.equal(new Set(received.map(({ context }) => context.key)).size, 300)
  for (const events of calls.values()) assert.deepEqual(events, ['start', 'end', 'asyncStart', 'asyncEnd'])
})

test('a subscriber that throws affects no call', async () => {
  const { url } = await database
  const body = `
    const { channel } = require('node:diagnostics_channel')
    let thrown = 0
    process.on('uncaughtException', () => thrown++)
    for (const event of ['start', 'end', 'asyncStart', 'asyncEnd'])
      channel('tracing:goscope-postgres:cache.set:' + event).subscribe(() => { throw new Error(event) })
    await adapter.set('a', 1)
    await sleep(0)
    say(thrown, await adapter.get('a'))
    await adapter.disconnect()`
  assert.deepEqual(await runScript(url, body), [[4, 1]])
})

test('what a guarded call asks and reports is traced as the methods that do the same', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  await adapter.connect()
  const { received } = listen(undefined, ['start'])
  const breaker = adapter.breaker('guarded', { maxFailures: 1, resetTimeout: 1 })
  await assert.rejects(breaker.run(() => Promise.reject(new Error('down'))))
  await until('a probe', () => breaker.run(async () => true, { fallback: () => false }))
  const seen = new Set(received.map(({ context }) => `${context.operation} ${context.key}`))
  for (const method of ['getState', 'recordFailure', 'tryProbe', 'recordSuccess']) {
    assert.ok(seen.has(`circuits.${method} guarded`), `${method}: ${[...seen]}`)
  }
  await adapter.close()
})
