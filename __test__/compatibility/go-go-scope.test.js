// @ts-check
// @configurations every
// How go-go-scope uses an adapter, according to its documentation and its code.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter, createPostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()

const makeAdapter = async (options = {}) => createPostgresAdapter((await database).pool(), options)

test('the property `lock` of an adapter is a method, and the provider that go-go-scope accepts', async () => {
  const adapter = await makeAdapter({ keyPrefix: 'provider:', defaultLockTTL: 60_000 })
  // As in `provider: s.persistence?.lock`, and then detached from it.
  const provider = adapter.lock
  const { acquire, extend, forceRelease, release } = provider
  const handle = await acquire('job', 60_000, 'me')
  assert.equal(await handle?.isValid(), true)
  assert.equal(await provider.acquire('job', 60_000, 'you'), null)
  assert.equal(await adapter.acquire('job', 60_000, 'you'), null)
  assert.equal(await extend('job', 60_000, 'me'), true)
  await forceRelease('job')
  assert.equal(await release('job', 'me'), false)
  assert.equal(await handle?.isValid(), false)
  const lease = await provider('job')
  assert.equal(lease.key, 'job')
  await lease.release()
  await (await adapter.lock('job', { ttl: 1_000 })).release()
  await assert.rejects(provider.acquire('job', -1), { code: 'ERR_OUT_OF_RANGE' })
  assert.deepEqual([Object.keys(adapter).includes('lock'), provider.name], [false, 'lock'])
  await adapter.disconnect()
})

test('a subclass may replace the methods that the provider has', async () => {
  /** @type {string[]} */
  const calls = []
  class Watched extends PostgresAdapter {
    /** @param {[string, number, string?]} given */
    async acquire(...given) {
      calls.push('acquire')
      return super.acquire(...given)
    }
  }
  Reflect.set(Watched.prototype, 'lock', async () => calls.push('lock'))
  const adapter = new Watched((await database).pool())
  await adapter.lock.acquire('watched', 60_000)
  await adapter.lock('watched')
  assert.deepEqual(calls, ['acquire', 'lock'])
  await adapter.disconnect()
})

test('a TTL of 0 is a lease that has already expired, as the scheduler requests with `timeout: 0`', async () => {
  const adapter = await makeAdapter()
  const over = await adapter.acquire('due', 0, 'scheduler')
  assert.ok(over)
  assert.equal(await over.isValid(), false)
  assert.equal(over.signal.aborted, true)
  assert.equal(await over.extend(60_000), false)
  // It does not block another owner, and it is refused while another owner holds the lock.
  const next = await adapter.acquire('due', 60_000, 'another')
  assert.equal(await next?.isValid(), true)
  assert.equal(await adapter.acquire('due', 0, 'scheduler'), null)
  assert.equal(await adapter.extend('due', 0, 'scheduler'), false)
  await over.release()
  assert.equal(await next?.isValid(), true)
  // An extension with it ends the lease.
  assert.equal(await adapter.extend('due', 0, 'another'), true)
  assert.equal(await next?.isValid(), false)
  const last = await adapter.acquire('due', 60_000)
  assert.equal(await last?.extend(0), true)
  assert.equal(await last?.isValid(), false)
  await assert.rejects(adapter.lock('due', { ttl: 0 }), { code: 'ERR_OUT_OF_RANGE' })
  await adapter.disconnect()
})

test('recordFailure without a maximum counts, and leaves the state unchanged', async () => {
  const adapter = await makeAdapter()
  assert.equal(await adapter.recordFailure('counted'), 1)
  assert.equal(await adapter.recordFailure('counted', undefined), 2)
  assert.equal((await adapter.getState('counted'))?.state, 'closed')
  assert.equal(await adapter.recordFailure('counted', 3), 3)
  assert.equal((await adapter.getState('counted'))?.state, 'open')
  await adapter.disconnect()
})

test('a breaker’s state accepts a Date as a time', async () => {
  const adapter = await makeAdapter()
  const [failed, succeeded] = [new Date(1_600_000_000_123), new Date(-1)]
  await adapter.setState('dated', {
    state: 'open',
    failureCount: 1,
    lastFailureTime: failed,
    lastSuccessTime: succeeded,
  })
  const { lastFailureTime, lastSuccessTime } = /** @type {any} */ (await adapter.getState('dated'))
  assert.deepEqual([lastFailureTime, lastSuccessTime], [failed.getTime(), -1])
  const never = { state: /** @type {const} */ ('open'), failureCount: 1, lastFailureTime: new Date(Number.NaN) }
  await assert.rejects(adapter.setState('dated', never), { code: 'ERR_INVALID_ARG_TYPE' })
  await adapter.disconnect()
})
