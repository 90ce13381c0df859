// @ts-check
// @configurations first
// The groups of an adapter's methods: `adapter.locks`, `.circuits`, `.cache` and `.checkpoints`.
'use strict'

const assert = require('node:assert/strict')
const { tracingChannel } = require('node:diagnostics_channel')
const { test } = require('node:test')
const { PostgresAdapter, operations } = require('goscope-postgres')
const { GROUPS } = require('../../lib/groups.js')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()

/** @param {{ keyPrefix?: string, defaultLockTTL?: number }} [options] */
const makeAdapter = async (options) => new PostgresAdapter((await database).pool(), options)

test('each group has the methods that metrics and traces name after it, and those that return no promise', () => {
  const adapter = new PostgresAdapter({ host: 'localhost' })
  // Of other classes, of a lock's handle, or of adapters within a transaction.
  const others = ['cache.prune', 'cache.stats', 'locks.assertHeld', 'locks.isValid']
  const named = operations.filter((name) => /^(locks|circuits|cache|checkpoints)\./.test(name))
  const methods = Object.keys(GROUPS).flatMap((group) =>
    Object.keys(Reflect.get(adapter, group)).map((method) => `${group}.${method}`),
  )
  assert.deepEqual(
    methods.sort(),
    [
      ...named.filter((name) => !others.includes(name)),
      ...['locks.semaphore', 'circuits.subscribe', 'circuits.breaker', 'cache.iterateKeys', 'checkpoints.iterateTasks'],
    ].sort(),
  )
  for (const group of Object.keys(GROUPS)) {
    assert.equal(Reflect.get(adapter, group), Reflect.get(adapter, group), 'the same object each time')
    for (const [name, method] of Object.entries(Reflect.get(adapter, group))) assert.equal(method.name, name)
  }
  assert.deepEqual(Object.keys(adapter), [])
})

test('their methods are the methods of the adapter, also if they are detached', async () => {
  const adapter = await makeAdapter({ keyPrefix: 'grouped:', defaultLockTTL: 60_000 })
  const { acquire, lock, holder, extend, release, forceRelease } = adapter.locks
  assert.ok(await acquire('a', undefined, 'me'))
  assert.equal((await holder('a'))?.owner, 'me')
  assert.equal(await extend('a', undefined, 'me'), true)
  assert.equal(await release('a', 'me'), true)
  await forceRelease('a')
  await (await lock('a')).release()
  assert.equal(await adapter.holder('a'), null)

  const { set, get, getOrSet, increment } = adapter.cache
  await set('k', { n: 1 })
  assert.deepEqual(await adapter.get('k'), { n: 1 })
  assert.deepEqual(await get('k'), { n: 1 })
  assert.equal(await getOrSet('computed', () => 2), 2)
  assert.equal(await increment('n'), 1)
  await adapter.cache.delete('k')
  assert.deepEqual(await adapter.cache.keys(), ['computed', 'n'])

  assert.equal(await adapter.circuits.recordFailure('c', 1), 1)
  assert.equal((await adapter.getState('c'))?.state, 'open')
  assert.equal(await adapter.circuits.tryProbe('c', 60_000), false)
  const unsubscribe = adapter.circuits.subscribe('c', () => {})
  unsubscribe()

  const checkpoint = { id: 't-1', taskId: 't', sequence: 1, timestamp: 1, progress: 1, data: [] }
  await adapter.checkpoints.save(checkpoint)
  assert.deepEqual(await adapter.checkpoints.list('t'), [checkpoint])
  await adapter.close()
  await assert.rejects(adapter.cache.get('k'), { code: 'ERR_ADAPTER_CLOSED' })
})

test('a call is counted and traced once, and a bad argument rejects', async () => {
  const adapter = await makeAdapter()
  /** @type {unknown[]} */
  const started = []
  const channel = tracingChannel('goscope-postgres:cache.get').start
  const subscriber = (/** @type {any} */ { operation, key }) => started.push([operation, key])
  channel.subscribe(subscriber)
  const before = adapter.metrics().operations['cache.get']?.calls ?? 0
  await adapter.cache.get('k')
  channel.unsubscribe(subscriber)
  assert.deepEqual(started, [['cache.get', 'k']])
  assert.equal((adapter.metrics().operations['cache.get']?.calls ?? 0) - before, 1)
  await assert.rejects(adapter.locks.acquire('k', -1), { code: 'ERR_OUT_OF_RANGE' })
  await adapter.close()
})

test('a method that was replaced is replaced in its group, and a subclass may have a property of that name', async () => {
  class Own extends PostgresAdapter {
    /** @override @param {string} key @returns {Promise<any>} */
    async get(key) {
      return `own ${key}`
    }
  }
  const adapter = new Own({ host: 'localhost' })
  assert.equal(await adapter.cache.get('k'), 'own k')
  adapter.holder = async () => ({ owner: 'a mock', expiresAt: 0 })
  assert.equal((await adapter.locks.holder('k'))?.owner, 'a mock')

  Reflect.set(adapter, 'cache', 'the application’s')
  assert.deepEqual([adapter.cache, Object.keys(adapter)], ['the application’s', ['holder', 'cache']])
  assert.equal(await new Own({ host: 'localhost' }).cache.get('k'), 'own k')
})

test('they work on an adapter behind a Proxy, which sees the calls', async () => {
  /** @type {unknown[]} */
  const seen = []
  const adapter = new Proxy(await makeAdapter(), {
    get(target, name, receiver) {
      seen.push(name)
      return Reflect.get(target, name, receiver)
    },
  })
  assert.equal(await adapter.cache.get('absent'), null)
  assert.deepEqual(seen.slice(0, 2), ['cache', 'get'])
  await adapter.close()
})
