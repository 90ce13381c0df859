// @ts-check
// @configurations first
// Each operation of the three adapters, with its connection cut, delayed and silenced at each point of its request and
// of its answer.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { test, before } = require('node:test')
const { OPERATIONS, adaptersOn, alike, connectAll, standing } = require('../support/operations.js')
const { useDatabase } = require('../support/database.js')
const { Figures, SOAK_MINUTES, chance } = require('../support/figures.js')
const { startProxy } = require('../support/proxy.js')
const { inTime, until } = require('../support/waiting.js')

/** @typedef {import('../support/proxied-connection.js').Fault} Fault */
/** @typedef {Awaited<ReturnType<typeof startProxy>>} Proxy */
/** @typedef {{ proxy: Proxy, through: import('../support/operations.js').Adapters }} Route */

/** Longer than `PAUSE` of src/tuning.rs, after which a write sweeps. */
const PAUSE_MS = 10

const database = useDatabase()
const deadline = performance.now() + SOAK_MINUTES * 60_000

/** @type {import('../support/operations.js').Adapters} bypasses every fault */
let plain
let keys = 0

before(async () => {
  plain = adaptersOn((await database).pool())
  await connectAll(plain)
})

/**
 * A route through a proxy. Every statement is prepared, as in a program that has run for a while.
 *
 * @param {import('pg').PoolConfig} [options]
 * @returns {Promise<Route>}
 */
async function openRoute(options) {
  const db = await database
  const proxy = await startProxy(db.url)
  return { proxy, through: adaptersOn(db.pool({ connectionString: proxy.url, max: 2, ...options })) }
}

const MADE = `
  SELECT count(DISTINCT indrelid)::int AS tables, count(*)::int AS indexes FROM pg_index
    JOIN pg_class ON pg_class.oid = indrelid AND relnamespace = 'public'::regnamespace`

const TABLES = `go_goscope_locks, go_goscope_circuit, go_goscope_cache, go_goscope_checkpoints, go_goscope_idempotency,
  cache`
const EMPTY = `TRUNCATE ${TABLES}`
const NO_TABLES = `DROP TABLE IF EXISTS ${TABLES}`

const nextKey = () => `k${String(keys++).padStart(6, '0')}`

/**
 * @param {import('../support/operations.js').Operation} operation
 * @param {Route} route
 * @param {Fault} [fault]
 */
async function attempt(operation, { proxy, through }, fault) {
  const db = await database
  const key = nextKey()
  await operation.seed?.(plain, key)
  const call = await operation.ready(through, key)
  const found = await standing(db, key)
  // After a pause a write also removes expired rows, by another statement with another answer: so each attempt has the same.
  await sleep(PAUSE_MS)
  const strike = fault && proxy.strikeNext(key, fault)
  /** @type {any} */
  let error
  let result = ''
  try {
    result = alike(await inTime(operation.name, call()), key)
  } catch (thrown) {
    error = thrown ?? new Error('nothing was thrown')
  }
  return { key, found, strike, error, result, left: await standing(db, key) }
}

/**
 * The result of an operation without a fault, and the length of its messages.
 *
 * @param {import('../support/operations.js').Operation} operation
 * @param {Route} route
 */
async function undisturbed(operation, route) {
  // A statement is prepared at its second execution, so its messages are alike from the third on.
  for (let n = 0; n < 2; n++) await attempt(operation, route)
  const seen = await attempt(operation, route, { in: 'answer', how: 'delay', ms: 0 })
  if (seen.error) throw seen.error
  return seen
}

/**
 * Whether the outcome that the caller received, and the rows in the tables, are right.
 *
 * @param {Figures} figures
 * @param {import('../support/operations.js').Operation} operation
 * @param {Fault} fault
 * @param {Awaited<ReturnType<typeof attempt>>} got
 * @param {Awaited<ReturnType<typeof attempt>>} right
 */
function judge(figures, operation, fault, got, right) {
  const where = `${operation.name}, ${fault.in} ${fault.how} after ${fault.after ?? 0}`
  const wrong = (/** @type {string} */ what) => figures.violation(`${where}: ${what}`)
  const passes = fault.how === 'delay' || fault.how === 'trickle'
  figures.operations++
  figures.faults++
  if (got.error) {
    figures.error(got.error, where)
    if (passes) wrong(`failed: ${got.error.stack}`)
    if (operation.repeats && fault.how !== 'silence') wrong(`was not asked again: ${got.error.stack}`)
    if (got.left !== got.found && got.left !== right.left) wrong(`half done: ${got.left}`)
    // An incomplete request is not executed.
    if (fault.in === 'request' && got.left !== got.found) wrong(`carried out from a part: ${got.left}`)
  } else {
    if (got.result !== right.result) wrong(`gave ${got.result}, not ${right.result}`)
    if (got.left !== right.left) wrong(`was acknowledged, but left ${got.left}, not ${right.left}`)
    // The end of the answer proves that the server has committed. A part of it, however long, proves nothing.
    if (!operation.repeats && !passes) wrong('was acknowledged without the end of its answer')
  }
}

/**
 * @param {Awaited<ReturnType<typeof attempt>>} measured
 * @returns {Fault[]}
 */
function cutsOf({ strike }) {
  const { request = 0, answer = 0, boundaries = [] } = strike ?? {}
  const all = (/** @type {number} */ length) => Array.from({ length }, (_, n) => n)
  const inRequest = SOAK_MINUTES > 0 ? all(request) : [0, request >> 1, request - 1]
  const inAnswer = SOAK_MINUTES > 0 ? all(answer) : [...boundaries, 3, answer - 1]
  const hows = /** @type {const} */ (['reset', 'end'])
  return [
    .../** @type {Fault[]} */ (inRequest.map((after, n) => ({ in: 'request', how: hows[n % 2], after }))),
    .../** @type {Fault[]} */ (inAnswer.map((after, n) => ({ in: 'answer', how: hows[n % 2], after }))),
    { in: 'answer', how: 'end', after: 0 },
    { in: 'request', how: 'delay', ms: 30 },
    { in: 'answer', how: 'delay', ms: 30 },
    { in: 'answer', how: 'trickle', ms: SOAK_MINUTES > 0 ? 5 : 0 },
    { in: 'request', how: 'trickle' },
  ]
}

test('a request or an answer that is cut, delayed or sent byte by byte', async () => {
  const figures = new Figures()
  const route = await openRoute()
  const random = chance()
  do {
    // Testing every byte of an operation takes a while, so each soak begins with another one.
    const first = SOAK_MINUTES > 0 ? Math.floor(random() * OPERATIONS.length) : 0
    for (const operation of [...OPERATIONS.slice(first), ...OPERATIONS.slice(0, first)]) {
      if (SOAK_MINUTES > 0 && performance.now() > deadline) break
      // The rows of a key are found by a scan of all rows, so the tables start empty.
      await (await database).query(EMPTY)
      const right = await undisturbed(operation, route)
      for (const fault of cutsOf(right)) {
        judge(figures, operation, fault, await attempt(operation, route, fault), right)
        if (SOAK_MINUTES > 0 && performance.now() > deadline) break
        // Recovery is automatic and immediate: the next caller must notice nothing.
        await route.through.main.get('recovery').catch((error) => figures.violation(`no recovery: ${error.stack}`))
      }
    }
    if (SOAK_MINUTES > 0) console.log(`# note: ${figures.operations} operations, ${figures.faults} faults`)
  } while (SOAK_MINUTES > 0 && performance.now() < deadline)
  figures.report(`${OPERATIONS.length} operations at each point of the protocol`)
})

test('a request that the network delivers after the call has settled changes nothing', async () => {
  const figures = new Figures()
  const route = await openRoute()
  const rounds = SOAK_MINUTES > 0 ? 20 : 1
  for (let round = 0; round < rounds; round++) {
    for (const operation of OPERATIONS) {
      await (await database).query(EMPTY)
      const right = await undisturbed(operation, route)
      /** @type {Fault} */
      const fault = { in: 'request', how: 'hold' }
      const got = await attempt(operation, route, fault)
      judge(figures, operation, fault, got, right)
      await got.strike?.deliver()
      const left = await standing(await database, got.key)
      if (left !== got.left) figures.violation(`${operation.name}, delivered late: ${left}, not ${got.left}`)
    }
  }
  figures.report('each operation delivered after its call')
})

test('a fault among a hundred calls does not reach the others', async () => {
  const figures = new Figures()
  const route = await openRoute()
  const values = Array.from({ length: 100 }, (_, n) => n)
  await Promise.all(values.map((n) => plain.main.set(`crowd${n}`, n)))
  for (const operation of OPERATIONS) {
    const right = await undisturbed(operation, route)
    for (const fault of /** @type {Fault[]} */ ([
      { in: 'request', how: 'reset' },
      { in: 'answer', how: 'reset' },
    ])) {
      const crowd = Promise.all(values.map((n) => route.through.main.get(`crowd${n}`)))
      crowd.catch(() => {})
      const got = await attempt(operation, route, fault)
      // Its own part of the request may have been sent before or after the one that was cut.
      judge(figures, operation, fault, got, right)
      const found = await crowd.catch((error) => figures.violation(`in the crowd of ${operation.name}: ${error.stack}`))
      figures.operations += values.length
      if (found && alike(found, '?') !== alike(values, '?')) figures.violation(`the crowd got ${alike(found, '?')}`)
    }
  }
  figures.report('each operation cut among a hundred others')
})

test('connect() cut at each of its statements is retried and leaves nothing half made', async () => {
  const db = await database
  const figures = new Figures()
  const route = await openRoute()
  for (const text of ['pg_advisory_xact_lock', 'CREATE TABLE', 'CREATE INDEX', 'COMMIT']) {
    for (const fault of /** @type {Fault[]} */ ([
      { in: 'request', how: 'reset' },
      { in: 'answer', how: 'end', after: 3 },
    ])) {
      await db.query(NO_TABLES)
      route.proxy.strikeNext(text, fault)
      figures.operations++
      figures.faults++
      try {
        await inTime('connect', connectAll(route.through))
      } catch (error) {
        figures.violation(`connect, ${text} ${fault.in}: ${error}`)
      }
      const [{ tables, indexes }] = await db.query(MADE)
      if (tables !== 6 || indexes !== 12) figures.violation(`${text}: ${tables} tables, ${indexes} indexes`)
    }
  }
  figures.report('connect cut at each of its statements')
})

test('a peer that falls silent: query_timeout bounds the wait, and the connection is not used again', async () => {
  const figures = new Figures()
  // Each on its own route, all at once: most of the time is spent waiting.
  const one = async (/** @type {import('../support/operations.js').Operation} */ operation) => {
    const calm = await openRoute()
    const right = await undisturbed(operation, calm)
    const route = await openRoute({ query_timeout: 1_000, max: 1 })
    for (const fault of /** @type {Fault[]} */ ([
      { in: 'request', how: 'silence' },
      { in: 'answer', how: 'silence' },
      { in: 'answer', how: 'silence', after: 3 },
    ])) {
      judge(figures, operation, fault, await attempt(operation, route, fault), right)
      const served = () => route.through.main.has('recovery').catch((error) => void figures.error(error, 'recovery'))
      await until(`recovery after ${operation.name}`, async () => (await served()) === false)
    }
    for (const { proxy } of [calm, route]) await proxy.stop()
  }
  for (let from = 0; from < OPERATIONS.length; from += 12) {
    await Promise.all(OPERATIONS.slice(from, from + 12).map(one))
  }
  figures.report('each operation at a peer that falls silent')
})

test('a peer that falls silent before the first call is sent: query_timeout bounds the wait, and nothing is left half made', async () => {
  const db = await database
  const figures = new Figures()
  const statements = [
    'pg_is_in_recovery',
    'pg_attribute',
    'pg_advisory_xact_lock',
    'CREATE TABLE',
    'CREATE INDEX',
    'COMMIT',
  ]
  for (const text of statements) {
    for (const fault of /** @type {Fault[]} */ ([
      { in: 'request', how: 'silence' },
      { in: 'answer', how: 'silence', after: 3 },
    ])) {
      await db.query(NO_TABLES)
      const { proxy, through } = await openRoute({ query_timeout: 500, max: 1 })
      const strike = proxy.strikeNext(text, fault)
      const calls = [through.main.get('k'), through.main.set('k', 1), connectAll(through)]
      const outcomes = await inTime(`${text}, ${fault.in}`, Promise.allSettled(calls))
      const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
      for (const error of failures) {
        figures.error(error, text)
        if (error.message !== 'Query read timeout') figures.violation(`${text}, ${fault.in}: ${error.stack}`)
      }
      figures.operations += calls.length
      if (strike.request === 0 || failures.length === 0) figures.violation(`${text}: nothing was tested`)
      figures.faults++
      await until(`recovery after ${text}`, () =>
        connectAll(through).then(
          () => true,
          () => false,
        ),
      )
      const [{ tables, indexes }] = await db.query(MADE)
      if (tables !== 6 || indexes !== 12) figures.violation(`${text}: ${tables} tables, ${indexes} indexes`)
      await proxy.stop()
    }
  }
  figures.report('connections that fall silent while they are prepared')
})

test('a silent peer, without a time limit: the call waits until the connection ends, as with pg', async () => {
  const route = await openRoute()
  await route.through.main.set('patience', 1)
  const strike = route.proxy.strikeNext('patience', { in: 'answer', how: 'silence' })
  let isSettled = false
  const pending = route.through.main.get('patience').finally(() => {
    isSettled = true
  })
  await strike.struck
  await sleep(500)
  if (isSettled) throw new Error('no limit was set, and yet the call did not wait')
  route.proxy.cutAll()
  if ((await inTime('the answer', pending)) !== 1) throw new Error('the read was not retried')
})

test('a generated owner whose acquire fails because of a silent peer holds nothing in the end', async () => {
  const figures = new Figures()
  const db = await database
  const route = await openRoute({ query_timeout: 500 })
  await route.through.main.connect()
  for (let n = 0; n < 3; n++) {
    const key = nextKey()
    route.proxy.strikeNext(key, { in: 'answer', how: 'silence', atOnce: () => route.proxy.refuse() })
    const outcome = await route.through.main.acquire(key, 600_000).catch((error) => error)
    figures.operations++
    figures.faults++
    figures.error(outcome, 'acquire')
    if ((await standing(db, key)) === '[]') figures.violation('the server does not hold it: nothing was tested')
    route.proxy.refuse(false)
    await until('the end of the orphan', async () => (await standing(db, key)) === '[]')
  }
  figures.report('locks taken for callers whose call had failed, all given back')
})
