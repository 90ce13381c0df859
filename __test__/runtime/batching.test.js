// @ts-check
// @configurations first
// The contract of a call holds for each call of a batch, with many processes at once.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { inProcesses } = require('../support/processes.js')

const database = useDatabase()

const PROCESSES = 4
const ROUNDS = 6

async function adapter() {
  return new PostgresAdapter((await database).pool())
}

test('4 processes with 256 calls in flight each: order, acknowledgement, bad calls, counts, no deadlock', async () => {
  const { url } = await database
  await (await adapter()).connect()
  const results = await inProcesses(PROCESSES, 'crowd', { url, rounds: ROUNDS })
  const sum = (/** @type {string} */ what) => results.reduce((total, each) => total + each[what], 0)

  assert.deepEqual(
    results.flatMap(({ wrong }) => wrong),
    [],
  )
  assert.equal(sum('outOfOrder'), 0, 'a get sees the set before it')
  assert.equal(sum('notThere'), 0, 'every session sees an acknowledged write')
  assert.equal(sum('refused'), PROCESSES * ROUNDS * 8, 'exactly the bad calls are refused')
  for (let hot = 0; hot < 8; hot++) {
    const all = results.flatMap(({ counts }) => counts[`hot${hot}`]).sort((a, b) => a - b)
    assert.deepEqual(
      all,
      Array.from({ length: (PROCESSES * ROUNDS * 256) / 8 }, (_, n) => n + 1),
      'each failure gets its own count',
    )
    for (const { counts } of results) {
      const own = counts[`hot${hot}`]
      assert.deepEqual(
        own,
        [...own].sort((a, b) => a - b),
        'in the order of the calls',
      )
    }
  }
  console.log(
    `# figure: ${PROCESSES} processes, ${sum('calls')} calls, ${sum('refused')} bad ones among them, 0 violations`,
  )
})

test('failures counted in one batch open the breaker exactly at the limit', async () => {
  const circuits = await adapter()
  for (const limit of [1, 2, 50, 99, 100]) {
    const key = `limit${limit}`
    const failures = (/** @type {number} */ n) => Array.from({ length: n }, () => circuits.recordFailure(key, limit))
    const results = await Promise.all([
      Promise.all(failures(limit - 1)),
      circuits.getState(key),
      Promise.all(failures(101 - limit)),
      circuits.getState(key),
    ])
    const counts = Array.from({ length: 100 }, (_, n) => n + 1)
    assert.deepEqual([...results[0], ...results[2]], counts)
    assert.deepEqual(
      [results[1]?.state, results[1]?.failureCount],
      limit === 1 ? [undefined, undefined] : ['closed', limit - 1],
    )
    assert.deepEqual([results[3]?.state, results[3]?.failureCount], ['open', 100])
  }
})

test('failures with different limits keep their order, and a success between them resets the count', async () => {
  const circuits = await adapter()
  const results = await Promise.all([
    circuits.recordFailure('mixed', 10),
    circuits.recordFailure('mixed', 10),
    circuits.recordFailure('mixed', 10),
    circuits.recordFailure('mixed', 3),
    circuits.getState('mixed').then((state) => state?.state),
    circuits.recordSuccess('mixed'),
    circuits.recordFailure('mixed', 3),
    circuits.recordFailure('mixed', 3),
    circuits.getState('mixed').then((state) => state?.state),
    circuits.recordFailure('mixed', 10),
    circuits.recordFailure('mixed', 4),
    circuits.getState('mixed').then((state) => state?.state),
  ])
  assert.deepEqual(results, [1, 2, 3, 4, 'open', undefined, 1, 2, 'closed', 3, 4, 'open'])
})

test('a count at the maximum of its column stays there for each call', async () => {
  const circuits = await adapter()
  const last = 2 ** 31 - 1
  await circuits.setState('last', { state: 'closed', failureCount: last - 2 })
  await circuits.recordFailure('last', 1e12)
  const counts = await Promise.all(Array.from({ length: 20 }, () => circuits.recordFailure('last', 1e12)))
  assert.ok(
    counts.every((count) => count === last),
    `${counts}`,
  )
})

test('a failure that the server refuses rejects each call that was counted in the same batch', async () => {
  const db = await database
  const circuits = await adapter()
  await circuits.recordFailure('refused', 5)
  await db.query('ALTER TABLE go_goscope_circuit ADD CONSTRAINT few CHECK (failure_count < 3) NOT VALID')
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => circuits.recordFailure('refused', 5)))
  await db.query('ALTER TABLE go_goscope_circuit DROP CONSTRAINT few')
  // The first is sent alone and is counted. The rest are sent together, and their sum exceeds the maximum.
  const codes = results.map((result) => (result.status === 'rejected' ? result.reason.code : result.value))
  assert.ok(
    codes.slice(1).every((code) => code === '23514'),
    `${codes}`,
  )
  const counted = codes.filter((code) => typeof code === 'number').length
  assert.equal((await circuits.getState('refused'))?.failureCount, 1 + counted)
})

test('an idle adapter sends at once: a call takes about as long as through pg', async () => {
  const { url } = await database
  const cache = await adapter()
  await cache.set('idle', 1)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const plain = { name: 'idle', text: 'SELECT value FROM go_goscope_cache WHERE key = $1', values: ['cache:idle'] }
  const ratios = []
  for (let round = 0; round < 300; round++) {
    const start = performance.now()
    await client.query(plain)
    const between = performance.now()
    await cache.get('idle')
    ratios.push((performance.now() - between) / (between - start))
  }
  const median = ratios.sort((a, b) => a - b)[ratios.length / 2]
  console.log(`# figure: a call on an idle adapter takes ${median.toFixed(2)} times as long as pg's query`)
  assert.ok(median < 2, `${median}`)
  await client.end()
})

test('calls that start further calls do not starve the event loop', async () => {
  const cache = await adapter()
  await cache.set('busy', 1)
  let [settled, most, turns, running] = [0, 0, 0, true]
  const turn = () => {
    most = Math.max(most, settled)
    settled = 0
    turns++
    if (running) setImmediate(turn)
  }
  setImmediate(turn)
  const worker = async () => {
    for (let n = 0; n < 100; n++) {
      await cache.get('busy')
      settled++
    }
  }
  await Promise.all(Array.from({ length: 256 }, worker))
  running = false
  console.log(`# figure: at most ${most} of 25600 calls settled in one of ${turns} turns of the event loop`)
  assert.ok(most <= 1_024, `${most} calls settled in one turn`)
})
