// @ts-check
// @configurations every
// @without servers, role, partitions: what a breaker does is made of calls that others test there
// breaker(key, options).run(work): what it lets through, and what all processes know of it.
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { KnownCircuits } = require('../../lib/breaker/known-circuits.js')
const { DOWN, LONG, fails, useAdapters, works } = require('../support/breakers.js')
const { useDatabase } = require('../support/database.js')
const { startProxy } = require('../support/proxy.js')
const { startScript } = require('../support/script.js')
const { inTime, until } = require('../support/waiting.js')

const SHORT = 300
const LIMITS = { maxFailures: 3, resetTimeout: LONG }

const database = useDatabase()

const adapter = useAdapters(database)

/**
 * @param {import('goscope-postgres').Breaker} breaker
 * @param {number} times
 */
async function failTimes(breaker, times) {
  for (let n = 0; n < times; n++) await assert.rejects(breaker.run(fails), DOWN)
}

/** How many calls a pool has answered. @param {PostgresAdapter} of */
const callsOf = (of) => Object.values(of.metrics().operations).reduce((sum, { calls }) => sum + calls, 0)

test('while a breaker is closed, and while it is open, no call asks the server', async () => {
  const circuits = await adapter()
  const breaker = circuits.breaker('local', LIMITS)
  assert.equal(await breaker.run(works), 'done')
  const before = callsOf(circuits)
  for (let n = 0; n < 1_000; n++) await breaker.run(works)
  // The safety poll of the subscription may have asked meanwhile, once in a second without notifications.
  assert.ok(callsOf(circuits) - before < 500, `${callsOf(circuits) - before} calls for 1000 runs`)
  await failTimes(breaker, 3)
  assert.equal(breaker.state, 'open')
  const opened = callsOf(circuits)
  for (let n = 0; n < 1_000; n++) {
    await assert.rejects(
      breaker.run(() => assert.fail('it ran')),
      { code: 'ERR_CIRCUIT_OPEN', key: 'local' },
    )
  }
  assert.ok(callsOf(circuits) - opened < 500, `${callsOf(circuits) - opened} calls for 1000 refusals`)
})

test('the refusal names the breaker, its state, and the time to wait', async () => {
  const breaker = (await adapter()).breaker('refuses', { ...LIMITS, maxFailures: 1 })
  await failTimes(breaker, 1)
  const error = await breaker.run(works).catch((refusal) => refusal)
  assert.equal(error.message, 'The circuit breaker "refuses" is open: the call was not made')
  assert.ok(error.retryAfter > 0 && error.retryAfter <= LONG, String(error.retryAfter))
})

test('failures in several processes add up, and all of them learn that the breaker has opened', async () => {
  const breakers = await Promise.all(Array.from({ length: 3 }, async () => (await adapter()).breaker('shared', LIMITS)))
  for (const breaker of breakers) await breaker.run(works)
  for (const breaker of breakers) await failTimes(breaker, 1)
  assert.equal(breakers[2]?.state, 'open')
  await until('all know', () => breakers.every(({ state }) => state === 'open'))
  for (const breaker of breakers) await assert.rejects(breaker.run(works), { code: 'ERR_CIRCUIT_OPEN' })
})

test('a process that starts later finds the breaker open', async () => {
  await failTimes((await adapter()).breaker('later', LIMITS), 3)
  const breaker = (await adapter()).breaker('later', LIMITS)
  await assert.rejects(
    breaker.run(() => assert.fail('it ran')),
    { code: 'ERR_CIRCUIT_OPEN' },
  )
})

test('a success of this process sets the count back to 0', async () => {
  const circuits = await adapter()
  const breaker = circuits.breaker('resets', LIMITS)
  for (let n = 0; n < 3; n++) {
    await failTimes(breaker, 2)
    await breaker.run(works)
    assert.equal((await circuits.getState('resets'))?.failureCount, 0)
  }
  assert.equal(breaker.state, 'closed')
})

for (const succeeds of [true, false]) {
  test(`when the reset timeout is over, one of all processes tries; ${succeeds ? 'its success closes the breaker' : 'its failure opens it again'}`, async () => {
    const key = `tries:${succeeds}`
    const limits = { ...LIMITS, maxFailures: 1, resetTimeout: SHORT }
    const breakers = await Promise.all(Array.from({ length: 6 }, async () => (await adapter()).breaker(key, limits)))
    for (const breaker of breakers) await breaker.run(works)
    await failTimes(/** @type {any} */ (breakers[0]), 1)
    await until('all know', () => breakers.every(({ state }) => state !== 'closed'))

    let begun = 0
    let end = () => {}
    const ended = new Promise((resolve) => (end = () => resolve(undefined)))
    const tries = async () => {
      begun++
      await ended
      if (!succeeds) throw DOWN
      return 'done'
    }
    /** @type {Promise<unknown>[]} */
    const all = []
    const refused = /** @type {any[]} */ ([])
    await until('one tries', async () => {
      for (const breaker of breakers) all.push(breaker.run(tries).catch((error) => refused.push(error)))
      await sleep(20)
      return begun > 0
    })
    // The others ask as long as it lasts, which is less than the reset timeout.
    for (const breaker of breakers) all.push(breaker.run(tries).catch((error) => refused.push(error)))
    await sleep(20)
    end()
    await Promise.all(all)
    assert.equal(begun, 1)
    for (const error of refused.filter((each) => each !== DOWN)) assert.equal(error.code, 'ERR_CIRCUIT_OPEN')
    await until('all know the outcome', () => breakers.every(({ state }) => state === (succeeds ? 'closed' : 'open')))
  })
}

test('a process that is killed while it tries keeps no other from trying after the reset timeout', async () => {
  const db = await database
  const limits = { maxFailures: 1, resetTimeout: SHORT }
  const breaker = (await adapter()).breaker('killed', limits)
  await failTimes(breaker, 1)
  const running = startScript(
    db.url,
    `const breaker = adapter.breaker('killed', ${JSON.stringify(limits)})
     await until(() => breaker.run(() => { say('tries'); return new Promise(() => {}) }).then(() => true, () => false))`,
  )
  await until('it tries', () => running.said().includes('tries'))
  running.child.kill('SIGKILL')
  await running.ended
  await until('another one tries', () => breaker.run(works).catch(() => false))
  assert.equal(breaker.state, 'closed')
})

test('a try that never ends keeps neither this process nor another one from trying after the reset timeout', async () => {
  const limits = { maxFailures: 1, resetTimeout: SHORT }
  const breaker = (await adapter()).breaker('hangs', limits)
  await failTimes(breaker, 1)
  let begun = 0
  const hangs = () => {
    begun++
    return new Promise(() => {})
  }
  const isBegun = (/** @type {number} */ wanted) => {
    if (begun < wanted) breaker.run(hangs).catch(() => {})
    return begun >= wanted
  }
  await until('it tries', () => isBegun(1))
  await until('it tries once more', () => isBegun(2))
  await until('another call succeeds', () => breaker.run(works).catch(() => false))
  assert.equal(breaker.state, 'closed')
})

test('a call that takes too long is a failure, and its signal aborts', async () => {
  const breaker = (await adapter()).breaker('slow', { ...LIMITS, maxFailures: 1, timeout: 50 })
  /** @type {any} */
  let seen
  const call = breaker.run(({ signal }) => {
    seen = signal
    return new Promise(() => {})
  })
  const error = await inTime(
    'the time-out',
    call.then(assert.fail, (rejection) => rejection),
  )
  assert.equal(error.code, 'ERR_CIRCUIT_TIMEOUT')
  assert.match(error.message, /"slow".*50 ms/)
  assert.equal(seen.aborted, true)
  assert.equal(seen.reason, error)
  assert.equal(breaker.state, 'open')
  // One that is in time is not disturbed.
  assert.equal(await (await adapter()).breaker('quick', { ...LIMITS, timeout: LONG }).run(works), 'done')
})

test('a call that rejects when its signal aborts has taken too long, whatever it rejects with', async () => {
  const isFailure = (/** @type {any} */ error) => error.name !== 'AbortError'
  const breaker = (await adapter()).breaker('aborts', { ...LIMITS, maxFailures: 1, timeout: 50, isFailure })
  const aborts = (/** @type {import('goscope-postgres').GuardedCall} */ { signal }) =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(new DOMException('The call was aborted', 'AbortError')))
    })
  await assert.rejects(inTime('the time-out', breaker.run(aborts)), { code: 'ERR_CIRCUIT_TIMEOUT' })
  assert.equal(breaker.state, 'open')
})

test('a call with a limit of time keeps the process alive until it ends', async () => {
  const { code, said } = await startScript(
    (await database).url,
    `const breaker = adapter.breaker('alone', { maxFailures: 1, resetTimeout: 1000, timeout: 300 })
     await breaker.run(() => new Promise(() => {})).catch((error) => say(error.code))
     await adapter.disconnect()`,
  ).ended
  assert.deepEqual({ code, said }, { code: 0, said: ['ERR_CIRCUIT_TIMEOUT'] })
})

test('the fallback takes the place of every error', async () => {
  const breaker = (await adapter()).breaker('fallback', { ...LIMITS, maxFailures: 1 })
  /** @type {any[]} */
  const errors = []
  const fallback = (/** @type {unknown} */ error) => errors.push(error)
  assert.equal(await breaker.run(works, { fallback }), 'done')
  assert.equal(await breaker.run(fails, { fallback }), 1)
  assert.equal(await breaker.run(works, { fallback }), 2)
  assert.equal(errors[0], DOWN)
  assert.equal(errors[1].code, 'ERR_CIRCUIT_OPEN')
})

test('an error that is no failure counts as a success', async () => {
  const circuits = await adapter()
  const bad = Object.assign(new Error('400 Bad Request'), { status: 400 })
  const isFailure = (/** @type {any} */ error) => error.status !== 400
  const breaker = circuits.breaker('filters', { ...LIMITS, maxFailures: 2, isFailure })
  for (let n = 0; n < 3; n++) {
    await failTimes(breaker, 1)
    await assert.rejects(
      breaker.run(() => {
        throw bad
      }),
      bad,
    )
  }
  assert.equal((await circuits.getState('filters'))?.failureCount, 0)
})

test('calls that began before the breaker opened neither close it nor put off the next try', async () => {
  const circuits = await adapter()
  const breaker = circuits.breaker('stale', { ...LIMITS, maxFailures: 1 })
  let [succeed, fail] = [(/** @type {unknown} */ _) => {}, (/** @type {unknown} */ _) => {}]
  const calls = [
    breaker.run(() => new Promise((resolve) => (succeed = resolve))),
    breaker.run(() => new Promise((_, reject) => (fail = reject))),
  ]
  await until('both are under way', () => succeed.length > 0 || breaker.state === 'closed')
  await breaker.run(works)
  await failTimes(breaker, 1)
  const opened = await circuits.getState('stale')
  succeed('late')
  fail(DOWN)
  assert.deepEqual(
    (await Promise.allSettled(calls)).map(({ status }) => status),
    ['fulfilled', 'rejected'],
  )
  assert.deepEqual(await circuits.getState('stale'), opened)
})

test('events, and a listener that throws', async () => {
  const circuits = await adapter()
  const breaker = circuits.breaker('events', { ...LIMITS, maxFailures: 1 })
  /** @type {[string, unknown][]} */
  const seen = []
  for (const event of /** @type {const} */ (['success', 'failure', 'reject', 'change'])) {
    breaker.on(event, (/** @type {any} */ news) => seen.push([event, news?.code ?? news?.state ?? news]))
  }
  const off = () => assert.fail('it has been removed')
  breaker.on('success', off).off('success', off)
  await breaker.run(works)
  await failTimes(breaker, 1)
  await breaker.run(works).catch(() => {})
  await circuits.setState('events', { state: 'closed', failureCount: 0 })
  await until('it is closed', () => breaker.state === 'closed')
  assert.deepEqual(seen, [
    ['success', 'done'],
    ['change', 'open'],
    ['failure', DOWN],
    ['reject', 'ERR_CIRCUIT_OPEN'],
    ['change', 'closed'],
  ])

  const { code, stderr, said } = await startScript(
    (await database).url,
    `process.on('unhandledRejection', (error) => say(error.message))
     adapter.breaker('throws', { maxFailures: 1, resetTimeout: 1000 }).on('success', () => { throw new Error('of a listener') })
     say(await adapter.breaker('throws', { maxFailures: 1, resetTimeout: 1000 }).run(() => 'done'))
     await adapter.disconnect()`,
  ).ended
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  assert.deepEqual(said.sort(), ['done', 'of a listener'])
})

test('if the database is away, calls are made, and none waits for it without end', async () => {
  const proxy = await startProxy((await database).url)
  const circuits = new PostgresAdapter(proxy.url)
  const breaker = circuits.breaker('away', LIMITS)
  await breaker.run(works)
  proxy.swallow()
  assert.equal(await inTime('a success', breaker.run(works)), 'done')
  await assert.rejects(inTime('a failure', breaker.run(fails)), DOWN)
  // And one that has known nothing yet.
  const fresh = circuits.breaker('never read', LIMITS)
  assert.equal(await inTime('the first call', fresh.run(works)), 'done')
  await proxy.stop()

  const errors = /** @type {any[]} */ ([])
  const nowhere = new PostgresAdapter('postgres://nobody@127.0.0.1:1/none').breaker('nowhere', LIMITS)
  nowhere.on('error', (error) => errors.push(error))
  assert.equal(await nowhere.run(works), 'done')
  await until('the failure is reported', () => errors.length > 0)
  assert.equal(errors[0].code, 'ECONNREFUSED')
})

test('the state that was not known at first becomes known when the database is there again', async () => {
  const db = await database
  await failTimes((await adapter()).breaker('comes back', { ...LIMITS, maxFailures: 1 }), 1)
  const proxy = await startProxy(db.url)
  const circuits = new PostgresAdapter(proxy.url)
  await circuits.connect()
  proxy.refuse(true)
  proxy.cutAll()
  const breaker = circuits.breaker('comes back', LIMITS)
  assert.equal(await breaker.run(works), 'done', 'nothing is known')
  proxy.refuse(false)
  await until('it is known', () => breaker.state === 'open')
  await circuits.close()
  await proxy.stop()
})

test('after the end of the adapter, calls are refused as those of its other methods', async () => {
  const circuits = await adapter()
  const breaker = circuits.breaker('ended', LIMITS)
  await breaker.run(works)
  await circuits.close()
  await assert.rejects(breaker.run(works), { code: 'ERR_ADAPTER_CLOSED' })
  // As a page of metrics may ask for it meanwhile.
  assert.equal(circuits.breaker('never used', LIMITS).state, 'closed')
  const disconnected = new PostgresAdapter((await database).url)
  await disconnected.disconnect()
  assert.equal(disconnected.breaker('never used', LIMITS).state, 'closed')
})

test('breakers with one key share a subscription, which ends when they are idle', async () => {
  const subscriptions = { begun: 0, ended: 0 }
  const circuits = {
    subscribe: () => {
      subscriptions.begun++
      return () => subscriptions.ended++
    },
    getState: async () => null,
    recordFailure: async () => 1,
    recordSuccess: async () => {},
    tryProbe: async () => false,
    isEnded: false,
  }
  const known = new KnownCircuits(/** @type {any} */ (circuits), 50)
  for (let n = 0; n < 10; n++) known.of('a')
  const listened = known.of('listened')
  const listener = () => {}
  listened.events.on('change', listener)
  let end = () => {}
  const used = known.use('used', () => new Promise((resolve) => (end = () => resolve(undefined))))
  assert.deepEqual(subscriptions, { begun: 3, ended: 0 })
  await until('the idle one is forgotten', () => subscriptions.ended === 1)
  await sleep(200)
  assert.equal(known.size, 2, 'one has a listener, and one is used')
  listened.events.off('change', listener)
  end()
  await used
  await until('all are forgotten', () => known.size === 0)
  assert.deepEqual(subscriptions, { begun: 3, ended: 3 })
})

test('what is wrong is refused at once, by name', async () => {
  const circuits = /** @type {any} */ (await adapter())
  for (const [options, error] of /** @type {[any, object][]} */ ([
    [undefined, { code: 'ERR_INVALID_ARG_TYPE', message: /options\.maxFailures/ }],
    [
      { ...LIMITS, maxFailures: 0 },
      { code: 'ERR_OUT_OF_RANGE', message: /options\.maxFailures/ },
    ],
    [
      { ...LIMITS, maxFailures: 1.5 },
      { code: 'ERR_OUT_OF_RANGE', message: /options\.maxFailures/ },
    ],
    [
      { ...LIMITS, resetTimeout: 0 },
      { code: 'ERR_OUT_OF_RANGE', message: /options\.resetTimeout/ },
    ],
    [
      { ...LIMITS, timeout: -1 },
      { code: 'ERR_OUT_OF_RANGE', message: /options\.timeout/ },
    ],
    [
      { ...LIMITS, isFailure: 1 },
      { code: 'ERR_INVALID_ARG_TYPE', message: /options\.isFailure/ },
    ],
    [
      { ...LIMITS, resetTimeOut: 1 },
      { code: 'ERR_INVALID_ARG_VALUE', message: /resetTimeout/ },
    ],
  ])) {
    assert.throws(() => circuits.breaker('k', options), error)
  }
  assert.throws(() => circuits.breaker('a\0b', LIMITS), { code: 'ERR_INVALID_ARG_VALUE' })
  const breaker = circuits.breaker(7, LIMITS)
  assert.equal(breaker.key, '7')
  await assert.rejects(breaker.run(), { code: 'ERR_INVALID_ARG_TYPE', message: /"work"/ })
  assert.throws(() => breaker.on('opened', () => {}), { code: 'ERR_INVALID_ARG_VALUE', message: /'change'/ })
  assert.equal(circuits.circuits.breaker('7', LIMITS).state, 'closed')
})
