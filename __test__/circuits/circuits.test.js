// @ts-check
// @configurations every
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { inProcesses } = require('../support/processes.js')

const database = useDatabase()

async function adapter() {
  return new PostgresAdapter((await database).pool())
}

const serverNow = async () => (await database).clock()

test('an unknown breaker is null', async () => {
  assert.equal(await (await adapter()).getState('unknown'), null)
})

test('setState and getState round-trip to the millisecond; an absent time stays absent, 0 stays 0', async () => {
  const circuits = await adapter()
  for (const state of /** @type {const} */ ([
    { state: 'closed', failureCount: 0 },
    { state: 'open', failureCount: 7, lastFailureTime: 1_700_000_000_123 },
    { state: 'half-open', failureCount: 2 ** 31 - 1, lastFailureTime: 0, lastSuccessTime: 1_709_251_199_999 },
    { state: 'open', failureCount: 1, lastSuccessTime: 951_782_400_001 },
    { state: 'closed', failureCount: 0, lastFailureTime: -1, lastSuccessTime: 8_640_000_000_000_000 },
  ])) {
    await circuits.setState('round-trip', state)
    assert.deepEqual(await circuits.getState('round-trip'), state)
  }
})

test('null times are equivalent to absent ones', async () => {
  const circuits = await adapter()
  const state = /** @type {any} */ ({ state: 'open', failureCount: 1, lastFailureTime: null, lastSuccessTime: null })
  await circuits.setState('nulls', state)
  assert.deepEqual(await circuits.getState('nulls'), { state: 'open', failureCount: 1 })
})

test('an unknown state rejects and stores nothing', async () => {
  const circuits = await adapter()
  const state = /** @type {any} */ ({ state: 'ajar', failureCount: 0 })
  await assert.rejects(circuits.setState('ajar', state), {
    name: 'TypeError',
    code: 'ERR_INVALID_ARG_VALUE',
    message: /ajar/,
  })
  assert.equal(await circuits.getState('ajar'), null)
})

test('recordFailure counts, opens at the limit, and takes the time from the server', async () => {
  const circuits = await adapter()
  const before = await serverNow()
  assert.equal(await circuits.recordFailure('opens', 3), 1)
  const first = await circuits.getState('opens')
  assert.equal(first?.state, 'closed')
  assert.ok(
    first.lastFailureTime && first.lastFailureTime >= before - 1 && first.lastFailureTime <= (await serverNow()) + 1,
  )
  assert.equal('lastSuccessTime' in first, false)
  assert.equal(await circuits.recordFailure('opens', 3), 2)
  assert.equal((await circuits.getState('opens'))?.state, 'closed')
  assert.equal(await circuits.recordFailure('opens', 3), 3)
  assert.equal((await circuits.getState('opens'))?.state, 'open')
  assert.equal(await circuits.recordFailure('opens', 3), 4)
  assert.equal((await circuits.getState('opens'))?.state, 'open')
})

test('recordFailure opens at the first failure if the limit is one, and never below the limit', async () => {
  const circuits = await adapter()
  await circuits.recordFailure('one', 1)
  assert.equal((await circuits.getState('one'))?.state, 'open')
  await circuits.recordFailure('never', Infinity)
  assert.equal((await circuits.getState('never'))?.state, 'closed')
})

test("recordFailure keeps 'half-open' and 'open' below the limit", async () => {
  const circuits = await adapter()
  for (const state of /** @type {const} */ (['half-open', 'open'])) {
    await circuits.setState(`keeps:${state}`, { state, failureCount: 1, lastSuccessTime: 5 })
    assert.equal(await circuits.recordFailure(`keeps:${state}`, 10), 2)
    const after = await circuits.getState(`keeps:${state}`)
    assert.equal(after?.state, state)
    assert.equal(after?.lastSuccessTime, 5)
  }
})

test('the count stays at its maximum instead of failing', async () => {
  const circuits = await adapter()
  await circuits.setState('last', { state: 'open', failureCount: 2 ** 31 - 1 })
  assert.equal(await circuits.recordFailure('last', 5), 2 ** 31 - 1)
})

test('counts up to the maximum are distinct within a batch, and then stay at the maximum', async () => {
  const breakers = await adapter()
  const keys = ['near', 'nearer', 'far']
  const start = [2_147_483_640, 2_147_483_645, 5]
  await Promise.all(keys.map((key, n) => breakers.setState(key, { state: 'open', failureCount: start[n] })))
  const counted = await Promise.all(
    keys.map((key) => Promise.all(Array.from({ length: 10 }, () => breakers.recordFailure(key, 3)))),
  )
  for (const [n, counts] of counted.entries()) {
    const expected = Array.from({ length: 10 }, (_, number) => Math.min(start[n] + number + 1, 2_147_483_647))
    assert.deepEqual(counts, expected, keys[n])
    assert.equal((await breakers.getState(keys[n]))?.failureCount, expected[9])
  }
})

test('recordSuccess closes: 0 failures, the server time, no last failure', async () => {
  const circuits = await adapter()
  await circuits.recordFailure('success', 1)
  const before = await serverNow()
  assert.equal(await circuits.recordSuccess('success'), undefined)
  const state = await circuits.getState('success')
  assert.equal(state?.state, 'closed')
  assert.equal(state?.failureCount, 0)
  assert.equal('lastFailureTime' in state, false)
  assert.ok(
    state.lastSuccessTime && state.lastSuccessTime >= before - 1 && state.lastSuccessTime <= (await serverNow()) + 1,
  )
  await circuits.recordSuccess('success:fresh')
  assert.equal((await circuits.getState('success:fresh'))?.state, 'closed')
})

test('200 concurrent failures of one breaker are all counted, each with its own number', async () => {
  const adapters = await Promise.all(Array.from({ length: 8 }, adapter))
  const counts = await Promise.all(
    Array.from({ length: 200 }, (_, n) => adapters[n % adapters.length].recordFailure('concurrent', 50)),
  )
  assert.deepEqual(
    counts.sort((a, b) => a - b),
    Array.from({ length: 200 }, (_, n) => n + 1),
  )
  assert.equal((await adapters[0].getState('concurrent'))?.state, 'open')
})

test('200 concurrent failures from several processes are all counted', async () => {
  const { url } = await database
  const results = await inProcesses(5, 'failing', { url })
  assert.deepEqual(
    results.flat().sort((a, b) => a - b),
    Array.from({ length: 200 }, (_, n) => n + 1),
  )
})

test('batches of many breakers, each with its own limit', async () => {
  const circuits = await adapter()
  const counts = await Promise.all(
    Array.from({ length: 100 }, (_, n) => circuits.recordFailure(`many:${n}`, (n % 3) + 1)),
  )
  assert.deepEqual(new Set(counts), new Set([1]))
  const states = await Promise.all(Array.from({ length: 100 }, (_, n) => circuits.getState(`many:${n}`)))
  for (const [n, state] of states.entries()) assert.equal(state?.state, n % 3 === 0 ? 'open' : 'closed', `many:${n}`)
})
