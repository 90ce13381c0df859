// @ts-check
// @configurations every
// @without servers, role, partitions: what a breaker does is made of statements that others test there
// What a guarded call reports of its outcome: only the call that the breaker has let through last decides, and no call waits for
// the database for long.
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')
const { Patience } = require('../../lib/breaker/patience.js')
const { DOWN, LONG, fails, useAdapters, works } = require('../support/breakers.js')
const { useDatabase } = require('../support/database.js')
const { inTime, until } = require('../support/waiting.js')

const SHORT = 200

const database = useDatabase()

const makeAdapter = useAdapters(database)

async function adapter() {
  const made = await makeAdapter()
  await made.connect()
  return made
}

/** @param {import('goscope-postgres').Breaker} breaker */
const fail = (breaker) => assert.rejects(breaker.run(fails), DOWN)

/**
 * A call that ends when the test says so.
 *
 * @param {import('goscope-postgres').Breaker} breaker
 */
async function openCall(breaker) {
  let end = (/** @type {Promise<unknown>} */ _outcome) => {}
  let begun = () => {}
  const hasBegun = new Promise((resolve) => (begun = () => resolve(undefined)))
  const outcome = breaker.run(() => {
    begun()
    return new Promise((resolve) => (end = resolve))
  })
  outcome.catch(() => {})
  await Promise.race([hasBegun, outcome])
  return {
    succeeds: async () => (end(works()), await outcome),
    fails: async () => (end(fails()), await assert.rejects(outcome, DOWN)),
  }
}

/**
 * A call that the open breaker lets through.
 *
 * @param {import('goscope-postgres').Breaker} breaker
 */
async function openProbe(breaker) {
  return await until('a probe', () => openCall(breaker).catch(() => undefined))
}

test('a success that began before the breaker opened does not close it, also if this process learns of that later', async () => {
  const circuits = await adapter()
  for (let n = 0; n < 20; n++) {
    const breaker = circuits.breaker(`older ${n}`, { maxFailures: 3, resetTimeout: LONG })
    const older = await openCall(breaker)
    await fail(breaker)
    await fail(breaker)
    // The third opens it in the server. The older call ends before this process knows that.
    const third = fail(breaker)
    await Promise.resolve()
    await Promise.all([older.succeeds(), third])
    assert.equal((await circuits.getState(breaker.key))?.state, 'open', `round ${n}`)
    await until('this process knows', () => breaker.state === 'open')
  }
})

test('a call that began before another process opened the breaker neither closes it nor counts', async () => {
  const [here, there] = [await adapter(), await adapter()]
  const breaker = here.breaker('elsewhere', { maxFailures: 3, resetTimeout: LONG })
  const [success, failure] = [await openCall(breaker), await openCall(breaker)]
  await fail(breaker)
  const lastFailureTime = Date.now()
  const opened = there.setState('elsewhere', { state: 'open', failureCount: 7, lastFailureTime })
  // Sent before this process has been notified.
  await Promise.all([opened, there.getState('elsewhere')])
  await Promise.all([success.succeeds(), failure.fails()])
  const { state, failureCount, lastFailureTime: failed } = (await there.getState('elsewhere')) ?? {}
  assert.deepEqual({ state, failureCount, failed }, { state: 'open', failureCount: 7, failed: lastFailureTime })
  await until('this process knows', () => breaker.state === 'open')
})

test('a probe whose time is over does not decide: neither its success nor its failure counts', async () => {
  const circuits = await adapter()
  const limits = { maxFailures: 1, resetTimeout: SHORT }
  for (const ends of /** @type {const} */ (['succeeds', 'fails'])) {
    const breaker = circuits.breaker(`late ${ends}`, limits)
    await fail(breaker)
    const late = await openProbe(breaker)
    const second = await openProbe(breaker)
    await late[ends]()
    assert.equal((await circuits.getState(breaker.key))?.state, 'half-open', `the first ${ends}`)
    await second.succeeds()
    assert.equal((await circuits.getState(breaker.key))?.state, 'closed')
  }
})

test('a late success of a probe does not close what a later probe has opened again', async () => {
  const circuits = await adapter()
  const breaker = circuits.breaker('opened again', { maxFailures: 1, resetTimeout: SHORT })
  await fail(breaker)
  const late = await openProbe(breaker)
  const second = await openProbe(breaker)
  await second.fails()
  await late.succeeds()
  assert.equal((await circuits.getState(breaker.key))?.state, 'open')
})

test('a probe that fails opens the breaker again, however few failures have been counted', async () => {
  const circuits = await adapter()
  await circuits.setState('few', { state: 'open', failureCount: 0 })
  const breaker = circuits.breaker('few', { maxFailures: 30, resetTimeout: SHORT })
  const probe = await openProbe(breaker)
  await probe.fails()
  const { state, failureCount, lastFailureTime } = (await circuits.getState('few')) ?? {}
  assert.deepEqual({ state, failureCount }, { state: 'open', failureCount: 1 })
  assert.ok(lastFailureTime)
  // The notification that it was half-open may still come.
  await until('this process knows', () => breaker.state === 'open')
})

test('while the row is locked, a call that could try the breaker is refused, and the probe is not lost', async () => {
  const db = await database
  const circuits = await adapter()
  const breaker = circuits.breaker('locked', { maxFailures: 1, resetTimeout: SHORT })
  await fail(breaker)
  await sleep(SHORT + 50)
  const client = await db.clients().connect()
  try {
    await client.query('BEGIN')
    await client.query("SELECT FROM go_goscope_circuit WHERE key = 'circuit:locked' FOR UPDATE")
    await assert.rejects(
      inTime(
        'a call',
        breaker.run(() => assert.fail('it ran')),
      ),
      { code: 'ERR_CIRCUIT_OPEN' },
    )
    assert.equal(await breaker.run(works, { fallback: () => 'instead' }), 'instead')
  } finally {
    await client.query('ROLLBACK')
    client.release()
  }
  await until('a call goes through', async () => (await breaker.run(works, { fallback: () => '' })) === 'done')
  assert.equal((await circuits.getState('locked'))?.state, 'closed')
})

test('the refusal counts from a failure that another process has set', async () => {
  const [here, there] = [await adapter(), await adapter()]
  const breaker = here.breaker('newer', { maxFailures: 1, resetTimeout: 30_000 })
  await there.setState('newer', { state: 'open', failureCount: 1, lastFailureTime: Date.now() - 29_800 })
  await breaker.run(works, { fallback: () => 'refused' })
  await there.setState('newer', { state: 'open', failureCount: 2, lastFailureTime: Date.now() })
  await until('the refusal says so', async () => {
    const error = await breaker.run(works).catch((refusal) => refusal)
    return error.retryAfter > 20_000
  })
})

test('one call waits for the database once, not for each of its questions', async () => {
  const patience = new Patience()
  const never = new Promise(() => {})
  await patience.waitFor(/** @type {Promise<any>} */ (never))
  const again = patience.waitFor(/** @type {Promise<any>} */ (never)).then(() => 'no further wait')
  assert.equal(await Promise.race([again, sleep(500, 'a further wait')]), 'no further wait')
})
