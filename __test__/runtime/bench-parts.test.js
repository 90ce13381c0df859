// @ts-check
// @configurations last
// @without first: the benchmark
// The further parts of the benchmark, each as a user runs it, with windows so short that the figures mean nothing: their
// shape, and what does not depend on speed. The tables of docs/benchmarks.md are those of bench/results.
'use strict'

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { Client } = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { startPostgres } = require('goscope-postgres/embedded')
const { fairness } = require('../../bench/figures.js')
const { rowsOf } = require('../../bench/bare-statement.js')
const { ENVIRONMENTS } = require('../../bench/environments.js')
const { LoopDelay } = require('../../bench/loop-delay.js')
const { parseLog } = require('../../bench/logged-pgbench.js')
const { Network } = require('../../bench/network.js')
const { VALUE } = require('../../bench/operations.js')
const { runPaced } = require('../../bench/paced.js')
const { findPgbench } = require('../../bench/pgbench.js')
const { redisVersion } = require('../../bench/redis-server.js')
const { PAGE, runOf, withTables } = require('../../bench/tables/rewrite.js')
const { SECTIONS } = require('../../bench/tables/markdown.js')

const root = path.join(__dirname, '../..')
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-bench-parts-'))
after(() => fs.rmSync(folder, { recursive: true, force: true }))

/**
 * @param {string} name of the results
 * @param {string[]} args
 */
function measured(name, ...args) {
  const out = path.join(folder, `${name}.json`)
  const command = ['bench/main.js', '--rounds', '1', '--out', out, ...args]
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  const run = JSON.parse(fs.readFileSync(out, 'utf8'))
  assert.equal(run.rates, undefined, 'nothing else is measured')
  assert.doesNotMatch(SECTIONS[`${name}.json`]?.(run) ?? '', /^$|NaN|undefined|Infinity|null/)
  return { run, stdout }
}

test('at equal load, each operation is measured at parts of both maximum rates', () => {
  const { run, stdout } = measured('open-loop', '--open-loop', '--window', '40')
  assert.match(run.versions.pg, /^\d/)
  const { results } = run.openLoop
  assert.deepEqual(
    results.map((/** @type {any} */ { title }) => title),
    ['get', 'set', 'acquire + release', 'recordFailure', 'loadLatest'],
  )
  for (const { title, maximum, points } of results) {
    const loads = points.map((/** @type {any} */ { of, share, rate }) => [of, share, rate])
    const at = (/** @type {'ours' | 'reference'} */ of, /** @type {number} */ share) => [
      of,
      share,
      Math.max(1, Math.round(share * maximum[of])),
    ]
    assert.deepEqual(loads, [
      ...[0.1, 0.5, 0.9, 1].map((share) => at('reference', share)),
      ...[0.1, 0.5, 0.9].map((share) => at('ours', share)),
    ])
    for (const { of, sides } of points) {
      assert.deepEqual(Object.keys(sides), of === 'ours' ? ['ours'] : ['ours', 'reference'], title)
      for (const side of /** @type {any[]} */ (Object.values(sides))) {
        const { p50, p99, p999, late, loopDelay } = side
        for (const { low, median, high } of [p50, p99, p999, late, loopDelay]) {
          assert.ok(low > 0 && low <= median && median <= high, title)
        }
        assert.ok(p50.median <= p99.median && p99.median <= p999.median, title)
      }
    }
  }
  for (const { title } of results) {
    const judged = run.targets.filter((/** @type {any} */ { claim }) =>
      claim.startsWith(`${title} at pg's maximum rate`),
    )
    assert.ok(judged.length >= 2, `${title}: ${judged.length} targets`)
  }
  assert.match(stdout, /^get +10 % of pg +\S+\/s +\S+ \/ \S+/m)
})

test('many processes are measured by their sum, their fairness, and what waits for a lock costs', () => {
  const { run, stdout } = measured(
    'processes',
    '--processes',
    '--most-processes',
    '2',
    '--only',
    'get,lock',
    '--in-flight',
    '2',
    '--window',
    '40',
  )
  const { results, waiters } = run.processes
  assert.deepEqual(
    results.map((/** @type {any} */ { title, inFlight }) => [title, inFlight]),
    ['get, 1,000 keys', 'get, 8 keys', 'lock + release, 100,000 keys', 'lock + release, 8 keys'].map((title) => [
      title,
      2,
    ]),
  )
  for (const { title, points } of results) {
    assert.deepEqual(
      points.map((/** @type {any} */ { processes }) => processes),
      [1, 2],
    )
    assert.deepEqual(points[0].ratio, { median: 1, low: 1, high: 1 }, title)
    assert.deepEqual(points[0].figures.jain, { median: 1, low: 1, high: 1 }, title)
    for (const { processes, figures } of points) {
      const { rate, jain, connections } = figures
      assert.ok(rate.median > 0 && jain.median <= 1.0001 && jain.median >= 0.999 / processes, title)
      // A pool has at most ten, and one more receives notifications.
      assert.ok(connections.median >= processes && connections.median <= 11 * processes, title)
    }
  }
  assert.equal(waiters.callers, 1000)
  for (const { processes, figures } of waiters.points) {
    const { statements, handOvers, statementsPerHandOver } = figures
    assert.ok(handOvers.median > 0 && statementsPerHandOver.median >= 1, `${processes} processes`)
    // A wait is no poll: all of a process's callers send far less than one statement a second each.
    assert.ok(statements.median < waiters.callers, `${processes} processes: ${statements.median} statements a second`)
  }
  assert.equal(run.targets.length, results.length, 'one for two processes')
  assert.match(stdout, /^lock \+ release, 8 keys +2 /m)
})

test('ours is measured beside pg with JIT, through poolers and with TLS', () => {
  const { run, stdout } = measured('environments', '--environments', 'all', ...['--in-flight', '2', '--window', '40'])
  const { environments, leftOut } = run.environments
  const names = Object.keys(ENVIRONMENTS)
  const present = names.filter((name) => !ENVIRONMENTS[name]?.missing)
  if (process.env.CI === 'true') assert.deepEqual(present, names)
  assert.deepEqual(
    environments.map((/** @type {any} */ { environment }) => environment),
    present,
  )
  assert.deepEqual(
    leftOut,
    names.filter((name) => !present.includes(name)),
  )
  for (const { environment, server, results } of environments) {
    assert.deepEqual(
      results.map((/** @type {any} */ { operation, inFlight }) => [operation, inFlight]),
      ['get', 'set', 'lock'].map((operation) => [operation, 2]),
    )
    for (const { ratios } of results) assert.ok(ratios.reference.rate.median > 0, environment)
    // Both sides have at least a session.
    assert.equal(server.tls >= 2, environment === 'tls', `${environment}: ${server.tls} sessions with TLS`)
    if (environment.startsWith('jit')) assert.match(`${server.jit} ${server.version}`, /^on 15/)
  }
  assert.match(stdout, /^TLS, with the server’s certificate verified$/m)
})

test('ours is measured beside pg with a server that is away', () => {
  const { run, stdout } = measured('network', '--network', '--only', 'get', ...['--in-flight', '1,8', '--window', '40'])
  assert.deepEqual(
    run.network.map((/** @type {any} */ { delayMs, loss }) => [delayMs, loss]),
    [
      [1, 0],
      [5, 0],
      [40, 0],
      [1, 0.001],
    ],
  )
  for (const { delayMs, loss, roundTripMs, lost, results } of run.network) {
    assert.ok(roundTripMs >= 2 * delayMs, `${roundTripMs} ms for a round trip with ${delayMs} ms each way`)
    if (loss === 0) assert.equal(lost, 0)
    assert.deepEqual(
      results.map((/** @type {any} */ { inFlight }) => inFlight),
      [1, 8],
    )
    for (const { inFlight, sides } of results) {
      for (const { rate, p50 } of /** @type {any[]} */ (Object.values(sides))) {
        // No call is answered before its round trip, so there is a most that any rate can be.
        assert.ok(p50.median >= 2 * delayMs, `${p50.median} ms with ${delayMs} ms each way`)
        assert.ok(
          rate.median <= (1.5 * inFlight * 1000) / (2 * delayMs),
          `${rate.median}/s with ${delayMs} ms each way`,
        )
      }
    }
  }
  assert.equal(run.targets.length, 8)
  assert.match(stdout, /^40 ms each way; a round trip takes /m)
})

const withoutPrograms = findPgbench() && redisVersion() ? false : 'pgbench or redis-server is not installed'

test('the bare statement is measured beside Redis, pg behind a pooler, and ours', { skip: withoutPrograms }, () => {
  const { run, stdout } = measured('limits', '--limits', ...['--in-flight', '1,2', '--window', '40'])
  const { besideRedis, behindPooler } = run.limits
  const named = (/** @type {any[]} */ limits) =>
    limits.map(({ operation, inFlight, durability, other }) => [operation, inFlight, durability, other])
  assert.deepEqual(named(besideRedis), [
    ['get', 1, 'sync', 'redis-memory'],
    ...[1, 2].flatMap((inFlight) => ['sync', 'async'].map((each) => ['set', inFlight, each, 'redis-memory'])),
  ])
  const pooled = [1, 2].map((inFlight) => ['set', inFlight, 'sync', 'reference'])
  assert.deepEqual(named(behindPooler), ENVIRONMENTS.pooler?.missing ? [] : pooled)
  for (const { inFlight, other, figures, ratios, shape } of [...besideRedis, ...behindPooler]) {
    assert.equal(shape.connections * shape.calls, inFlight)
    for (const side of ['ours', 'other', 'bare']) assert.ok(figures[side].rate.median > 0, side)
    const withBatches = inFlight > 1 && other === 'redis-memory'
    assert.equal(figures.batches?.rate.median > 0, withBatches)
    assert.equal('batchesByOther' in ratios, withBatches)
    for (const { low, median, high } of /** @type {any[]} */ (Object.values(ratios))) {
      assert.ok(low > 0 && low <= median && median <= high)
    }
  }
  assert.equal(run.targets.length, 0, 'a limit is no target')
  assert.match(stdout, /^set, 2 in flight, async +\S+× /m)
})

const withoutPgbench = findPgbench() ? false : 'pgbench is not installed'

test('at equal load, other clients are measured at the maximum rate of pg', { skip: withoutPgbench }, () => {
  const { run, stdout } = measured('load-limits', '--load-limits', '--only', 'get,lock', '--window', '40')
  const { results } = run.loadLimits
  assert.deepEqual(
    results.map((/** @type {any} */ { title }) => title),
    ['get', 'acquire + release'],
  )
  const others = ['ours', 'messages', 'idle', 'bare-1', 'bare-2', 'bare-4', 'bare-10']
  for (const { title, rate, sides, ratios } of results) {
    assert.ok(rate > 0, title)
    assert.deepEqual(Object.keys(sides), ['reference', ...others])
    assert.deepEqual(Object.keys(ratios), others)
    for (const [name, { p99, loopDelay }] of /** @type {[string, any][]} */ (Object.entries(sides))) {
      assert.ok(p99.median > 0, `${title} by ${name}`)
      assert.equal(loopDelay !== undefined, !name.startsWith('bare'), 'pgbench has no event loop')
    }
  }
  assert.equal(run.targets.length, 0, 'a limit is no target')
  assert.match(stdout, /^get +\S+\/s +latency p99 +\S+× /m)
})

test('other clients are measured as many processes', { skip: withoutPgbench }, () => {
  const { run, stdout } = measured(
    'process-limits',
    '--process-limits',
    '--most-processes',
    '2',
    '--only',
    'lock,set',
    '--window',
    '40',
  )
  const [set, lock] = run.processLimits.results
  assert.deepEqual(Object.keys(set.clients), ['ours', 'reference', 'bare-1', 'bare-2'])
  assert.deepEqual(Object.keys(lock.clients), ['ours', 'session-lock', 'session-lease'])
  for (const totals of [set, lock].flatMap(({ clients }) => /** @type {any[][]} */ (Object.values(clients)))) {
    assert.deepEqual(
      totals.map(({ processes }) => processes),
      [1, 2],
    )
    for (const { rate, ratio } of totals) assert.ok(rate.median > 0 && ratio.median > 0)
    assert.deepEqual(totals[0].ratio, { median: 1, low: 1, high: 1 })
  }
  assert.deepEqual(
    lock.clients['session-lock'].map((/** @type {any} */ { connections }) => connections),
    [16, 16],
  )
  assert.equal(run.targets.length, 0, 'a limit is no target')
  assert.match(stdout, /^set, 8 keys +bare-2 +\S+\/s /m)
})

test('a log of pgbench has when a transaction was completed, and its latency', () => {
  const log = '1 0 2500 0 1700000001 500000 12\n0 0 1000 0 1700000000 250 7\n'
  assert.deepEqual(parseLog(log), { at: [1_700_000_000_000.25, 1_700_000_001_500], ms: [1, 2.5] })
})

test('messages by hand are answered each, and an error rejects', async () => {
  const postgres = await startPostgres()
  try {
    const { open } = require('../../bench/sides/messages.js')
    const adapter = new PostgresAdapter(postgres.url)
    await adapter.connect()
    const { calls, close } = await open(postgres.url)
    await Promise.all([calls.set(1), calls.set(2), calls.get(1)])
    await calls.lock(3)
    assert.deepEqual(await adapter.get('key:2'), VALUE)
    assert.equal(await calls.recordFailure(1), undefined)
    await calls.get(1)
    const client = new Client(postgres.url)
    await client.connect()
    await client.query('DROP TABLE go_goscope_circuit')
    await client.end()
    await assert.rejects(calls.recordFailure(1), /go_goscope_circuit/)
    await calls.get(1)
    await close()
    await adapter.disconnect()
  } finally {
    await postgres.stop()
  }
})

test('calls about one of 1,000 keys at the same time need one row', () => {
  assert.deepEqual(
    [1, 16, 128, 256].map((calls) => rowsOf(calls)),
    [1, 16, 120, 226],
  )
  assert.deepEqual(
    [8, 16].map((calls) => rowsOf(calls, 8)),
    [5, 7],
  )
})

test('a lost segment holds up its direction of the connection, and nothing is lost or overtaken', async () => {
  const echo = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1')
  await once(echo, 'listening')
  const { port } = /** @type {net.AddressInfo} */ (echo.address())
  const network = await Network.start(port, { delayMs: 0, loss: 1 })
  const socket = net.connect(network.port, '127.0.0.1')
  const started = performance.now()
  const sent = Buffer.from(Array.from({ length: 40_000 }, (_, at) => at % 251))
  socket.end(sent)
  const chunks = []
  for await (const chunk of socket) chunks.push(chunk)
  assert.ok(Buffer.concat(chunks).equals(sent))
  // Each way its last segment is lost, which only the sender's timer reveals.
  assert.ok(performance.now() - started >= 400)
  assert.ok((await network.lost()) >= 2 * Math.ceil(sent.length / 1448))
  await network.stop()
  echo.close()
})

test('Jain’s index is 1 if all processes do as much, and 1/n if one does everything', () => {
  assert.deepEqual(fairness([5, 5, 5, 5]), { leastByMost: 1, jain: 1 })
  assert.deepEqual(fairness([8, 0, 0, 0]), { leastByMost: 0, jain: 0.25 })
})

test('a latency counts from the schedule, also of calls that a blocked event loop makes late', async () => {
  const BLOCK_MS = 100
  const delay = new LoopDelay()
  let calls = 0
  const call = async () => {
    if (++calls !== 20) return
    const end = performance.now() + BLOCK_MS
    while (performance.now() < end);
  }
  const pace = { rate: 1000, leadMs: 0, ms: 200, serverPid: process.pid }
  const { latencyMs, lateMs } = await runPaced(call, () => 0, delay, pace)
  delay.close()
  assert.ok(calls >= 200, `${calls} calls`)
  // The block holds up a hundred calls of two hundred; the first of them for all of it.
  assert.ok((latencyMs?.p99 ?? 0) > 0.8 * BLOCK_MS, JSON.stringify(latencyMs))
  assert.ok((lateMs?.p99 ?? 0) > 0.8 * BLOCK_MS, JSON.stringify(lateMs))
})

test('a call that fails ends an open loop with its error', async () => {
  const delay = new LoopDelay()
  const call = async () => {
    await sleep(1)
    throw new Error('refused')
  }
  const pace = { rate: 1000, leadMs: 0, ms: 50, serverPid: process.pid }
  await assert.rejects(
    runPaced(call, () => 0, delay, pace),
    /refused/,
  )
  delay.close()
})

test('the tables of docs/benchmarks.md are those of bench/results', () => {
  const page = fs.readFileSync(PAGE, 'utf8')
  assert.equal(page, withTables(page, runOf), 'run node bench/tables/rewrite.js')
})
