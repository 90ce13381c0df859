// @ts-check
// @configurations first
// tryProbe: which caller may try when a breaker's reset timeout has passed.
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { inProcesses } = require('../support/processes.js')
const { startProxy } = require('../support/proxy.js')
const { inTime } = require('../support/waiting.js')

/** A reset timeout that does not pass during a test. */
const LONG = 600_000

const database = useDatabase()

async function adapter() {
  return new PostgresAdapter((await database).pool())
}

/** Moves the times of a breaker's row back. */
async function age(/** @type {string} */ key, /** @type {number} */ ms) {
  const db = await database
  await db.query(
    `UPDATE go_goscope_circuit
        SET last_failure_time = last_failure_time - $2 * interval '1 ms', updated_at = updated_at - $2 * interval '1 ms'
      WHERE key = $1`,
    [`circuit:${key}`, ms],
  )
}

test('an open breaker lets one caller through after its reset timeout, and none before', async () => {
  const circuits = await adapter()
  await circuits.recordFailure('opens', 1)
  assert.equal(await circuits.tryProbe('opens', LONG), false)
  assert.equal((await circuits.getState('opens'))?.state, 'open')
  await age('opens', LONG)
  assert.equal(await circuits.tryProbe('opens', LONG), true)
  assert.equal((await circuits.getState('opens'))?.state, 'half-open')
  assert.equal(await circuits.tryProbe('opens', LONG), false)
})

test('the outcome of the probe decides: a success closes, a failure opens for the same time again', async () => {
  const circuits = await adapter()
  for (const succeeds of [true, false]) {
    const key = `decides:${succeeds}`
    await circuits.recordFailure(key, 1)
    await age(key, LONG)
    assert.equal(await circuits.tryProbe(key, LONG), true)
    if (succeeds) await circuits.recordSuccess(key)
    else await circuits.recordFailure(key, 1)
    assert.equal((await circuits.getState(key))?.state, succeeds ? 'closed' : 'open')
    assert.equal(await circuits.tryProbe(key, LONG), false)
  }
})

test('a breaker that is closed or was never stored grants no probe', async () => {
  const circuits = await adapter()
  await circuits.setState('closed', { state: 'closed', failureCount: 4, lastFailureTime: 0 })
  await age('closed', 10 * LONG)
  assert.equal(await circuits.tryProbe('closed', 1), false)
  assert.equal(await circuits.tryProbe('never stored', 1), false)
  assert.equal(await circuits.getState('never stored'), null)
})

test('a probe without a reported outcome is granted again after the reset timeout, to one caller', async () => {
  const circuits = await adapter()
  await circuits.recordFailure('lost', 1)
  await age('lost', LONG)
  assert.equal(await circuits.tryProbe('lost', LONG), true)
  await age('lost', LONG)
  assert.equal(await circuits.tryProbe('lost', LONG), true)
  assert.equal(await circuits.tryProbe('lost', LONG), false)
})

test('an open breaker without a last failure is as old as its row; with an old failure it is due', async () => {
  const circuits = await adapter()
  await circuits.setState('by hand', { state: 'open', failureCount: 0 })
  assert.equal(await circuits.tryProbe('by hand', LONG), false)
  await age('by hand', LONG)
  assert.equal(await circuits.tryProbe('by hand', LONG), true)
  await circuits.setState('old', { state: 'open', failureCount: 0, lastFailureTime: 1_000 })
  assert.equal(await circuits.tryProbe('old', LONG), true)
})

test('the server measures the reset timeout: a short one passes, the longest never does', async () => {
  const circuits = await adapter()
  await circuits.recordFailure('span', 1)
  assert.equal(await circuits.tryProbe('span', Number.MAX_VALUE), false)
  await sleep(20)
  assert.equal(await circuits.tryProbe('span', 10), true)
})

test('TIMESTAMPTZ columns are measured likewise', async () => {
  const db = await database
  await db.query(`CREATE SCHEMA zoned;
    CREATE TABLE zoned.go_goscope_circuit (key TEXT PRIMARY KEY, state TEXT NOT NULL,
      failure_count INTEGER NOT NULL DEFAULT 0, last_failure_time TIMESTAMPTZ, last_success_time TIMESTAMP,
      updated_at TIMESTAMPTZ NOT NULL DEFAULT now())`)
  const circuits = new PostgresAdapter(db.pool({ options: '-c search_path=zoned -c TimeZone=Asia/Tokyo' }))
  await circuits.recordFailure('zoned', 1)
  assert.equal(await circuits.tryProbe('zoned', LONG), false)
  await db.query("UPDATE zoned.go_goscope_circuit SET last_failure_time = now() - interval '10 minutes'")
  assert.equal(await circuits.tryProbe('zoned', LONG), true)
  assert.equal(await circuits.tryProbe('zoned', LONG), false)
  await db.query("UPDATE zoned.go_goscope_circuit SET updated_at = now() - interval '10 minutes'")
  assert.equal(await circuits.tryProbe('zoned', LONG), true)
})

test('prefixes keep breakers apart, and any string is a key', async () => {
  const db = await database
  const [a, b] = ['a:', 'b:'].map((keyPrefix) => new PostgresAdapter(db.pool(), { keyPrefix }))
  for (const key of ['plain', 'x'.repeat(5_000), '\ud800', '%_\\']) {
    for (const circuits of [a, b]) await circuits.setState(key, { state: 'open', failureCount: 1, lastFailureTime: 0 })
    assert.equal(await a.tryProbe(key, LONG), true)
    assert.equal((await b.getState(key))?.state, 'open')
    assert.equal(await b.tryProbe(key, LONG), true)
  }
})

test('a denied probe writes nothing and locks nothing', async () => {
  const db = await database
  const circuits = await adapter()
  await circuits.setState('vain:open', { state: 'open', failureCount: 1, lastFailureTime: await db.clock() })
  await circuits.setState('vain:half-open', { state: 'half-open', failureCount: 1 })
  await circuits.setState('vain:closed', { state: 'closed', failureCount: 0 })
  const rows = () =>
    db.query("SELECT *, xmin, xmax, ctid FROM go_goscope_circuit WHERE key LIKE 'circuit:vain%' ORDER BY key")
  const before = await rows()
  assert.equal(before.length, 3)
  const keys = ['vain:open', 'vain:half-open', 'vain:closed']
  // One at a time, and many in a statement.
  for (const key of keys) assert.equal(await circuits.tryProbe(key, LONG), false)
  assert.deepEqual(await Promise.all(keys.map((key) => circuits.tryProbe(key, LONG))), [false, false, false])
  assert.deepEqual(await rows(), before)
  // They also do not wait for the transaction that holds the row.
  const holder = await db.hold("SELECT FROM go_goscope_circuit WHERE key LIKE 'circuit:vain%' FOR UPDATE")
  const answers = inTime('a probe that is not due', Promise.all(keys.map((key) => circuits.tryProbe(key, LONG))))
  assert.deepEqual(await answers, [false, false, false])
  await holder.rollback()
})

test('the condition is evaluated again after a wait for the row', async () => {
  const db = await database
  const circuits = await adapter()
  /** @type {[name: string, change: string, granted: boolean][]} */
  const changes = [
    ['let another process through', "SET state = 'half-open', updated_at = timezone('UTC', clock_timestamp())", false],
    ['closed it', "SET state = 'closed', failure_count = 0", false],
    ['counted a failure', "SET last_failure_time = timezone('UTC', clock_timestamp())", false],
    ['changed nothing that matters', 'SET failure_count = 7', true],
  ]
  for (const [name, change, granted] of changes) {
    for (const calls of [1, 3]) {
      const keys = Array.from({ length: calls }, (_, n) => `wait:${name}:${n} of ${calls}`)
      for (const key of keys) await circuits.setState(key, { state: 'open', failureCount: 1, lastFailureTime: 0 })
      const holder = await db.hold(`UPDATE go_goscope_circuit ${change} WHERE key = ANY ($1)`, [
        keys.map((key) => `circuit:${key}`),
      ])
      const answers = Promise.all(keys.map((key) => circuits.tryProbe(key, LONG)))
      await db.untilWaiting()
      await holder.commit()
      assert.deepEqual(
        await answers,
        keys.map(() => granted),
        `another process ${name}`,
      )
    }
  }
})

test('of 5 processes with 3 adapters each, exactly one may try in each round', async () => {
  const db = await database
  const circuits = await adapter()
  const ROUNDS = 40
  await db.query(`INSERT INTO go_goscope_circuit (key, state, failure_count, last_failure_time)
    SELECT 'circuit:round' || n, CASE n % 2 WHEN 0 THEN 'open' ELSE 'half-open' END, 1, 'epoch'
      FROM generate_series(0, ${ROUNDS - 1}) AS n`)
  await db.query("UPDATE go_goscope_circuit SET updated_at = 'epoch' WHERE key LIKE 'circuit:round%'")
  const keys = Array.from({ length: ROUNDS }, (_, n) => `round${n}`)
  const won = (await inProcesses(5, 'probe', { url: db.url, keys, resetTimeout: LONG })).flat()
  assert.deepEqual([...won].sort(), [...keys].sort())
  for (const key of keys) assert.equal((await circuits.getState(key))?.state, 'half-open')
  console.log(`# note: ${ROUNDS} rounds of 15 contenders, one winner each`)
})

test('concurrent probes with different reset timeouts each get their own answer', async () => {
  const db = await database
  const circuits = await adapter()
  const keys = Array.from({ length: 100 }, (_, n) => `many:${n}`)
  const ages = keys.map((_, n) => (n % 4) * 60_000)
  const now = await db.clock()
  await Promise.all(
    keys.map((key, n) => circuits.setState(key, { state: 'open', failureCount: 1, lastFailureTime: now - ages[n] })),
  )
  const spans = keys.map((_, n) => (n % 3) * 60_000 + 30_000)
  const granted = await Promise.all(keys.map((key, n) => circuits.tryProbe(key, spans[n])))
  assert.deepEqual(
    granted,
    keys.map((_, n) => ages[n] > spans[n]),
  )
  assert.ok(granted.includes(true) && granted.includes(false))
})

test('calls on one key are serialized: one of many concurrent calls is let through', async () => {
  const circuits = await adapter()
  await circuits.setState('turns', { state: 'open', failureCount: 1, lastFailureTime: 0 })
  const granted = await Promise.all(Array.from({ length: 50 }, () => circuits.tryProbe('turns', LONG)))
  assert.deepEqual(granted, [true, ...Array(49).fill(false)])
})

test('a lost answer rejects instead of resolving to false; the probe is free again after the timeout', async () => {
  const db = await database
  const proxy = await startProxy(db.url)
  const [cut, sound] = [new PostgresAdapter(db.pool({ connectionString: proxy.url })), await adapter()]
  await sound.setState('lost answer', { state: 'open', failureCount: 1, lastFailureTime: 0 })
  await cut.getState('lost answer')
  proxy.loseNextAnswerTo('lost answer')
  await assert.rejects(cut.tryProbe('lost answer', LONG), { code: 'ECONNRESET' })
  assert.equal((await sound.getState('lost answer'))?.state, 'half-open')
  assert.equal(await sound.tryProbe('lost answer', LONG), false)
  await age('lost answer', LONG)
  assert.equal(await cut.tryProbe('lost answer', LONG), true)
})

test('invalid arguments reject, and nothing is sent', async () => {
  const circuits = /** @type {any} */ (await adapter())
  const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }
  const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' }
  for (const resetTimeout of [0, -1, NaN, Infinity]) await assert.rejects(circuits.tryProbe('k', resetTimeout), range)
  for (const resetTimeout of [undefined, null, '5', 5n])
    await assert.rejects(circuits.tryProbe('k', resetTimeout), type)
  for (const key of [undefined, null, {}, Symbol('k')]) await assert.rejects(circuits.tryProbe(key, 1), type)
  await assert.rejects(circuits.tryProbe('a\0b', 1), { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' })
})
