// @ts-check
// @configurations first, last
// Processes use a few hot locks, while they, their connections and the server are stopped, killed and cut. The history
// of their calls must keep to the lease model; see ../support/lease-history.js.
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { after, test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { Figures, SOAK_MINUTES, chance } = require('../support/figures.js')
const { judgeHistory } = require('../support/lease-history.js')
const { faultsHappen } = require('../support/lock-faults.js')
const { FAKETIME, LockWorkers, now, offClock, watchDrift } = require('../support/lock-workers.js')
const { startRestartableServer } = require('../support/restartable-server.js')
const { startProxy } = require('../support/proxy.js')
const pooler = require('../../scripts/servers/pooler.js')
const { extent } = require('../support/variants.js')
const { until } = require('../support/waiting.js')

const skip = process.platform === 'linux' ? false : 'it looks into /proc'
const withoutFaketime = FAKETIME ? skip : 'faketime is not installed (Debian: apt-get install faketime)'

const KEYS = ['hot1', 'hot2', 'hot3', 'hot4', 'waited1', 'waited2']
const RUN_MS = extent(9_000, 4_000)
/** A history is checked in memory, so a long soak consists of many histories. */
const LONGEST_RUN_MS = 60_000
/** Longer than the longest TTL. */
const FREEZE_MS = 1_000

/** Longer than most TTLs. */
const LATEST_DELIVERY_MS = 600

const server = skip ? undefined : startRestartableServer()
after(async () => (await server)?.stop())

/**
 * @param {LockWorkers} workers
 * @param {number} drift
 * @param {Figures} figures
 */
function judge(workers, drift, figures) {
  const histories = workers.histories()
  const calls = histories.flatMap((history) => history.calls)
  const { grants, refusals, violations } = judgeHistory(calls, drift)
  figures.operations += calls.length
  for (const { text } of violations) figures.violation(text)
  for (const call of calls) {
    // A call that was in flight when its process was killed has no error.
    if (call.outcome === 'unknown' && !call.isOpen) figures.error(call, `${call.op}: ${call.stack}`)
  }
  return { histories, grants, refusals }
}

/** @type {Map<string, number>} grants of the processes by the sign of their clocks' offset */
const grantsByClock = new Map()

/**
 * @param {number} ms
 * @param {Figures} figures
 * @param {() => number} random
 */
async function underAllFaults(ms, figures, random) {
  const restartable = /** @type {NonNullable<Awaited<typeof server>>} */ (await server)
  const proxy = await startProxy(restartable.url)
  // Shared sessions, and a connect hook that sets something in them.
  const pooled = pooler.missing ? undefined : await pooler.startPooler(restartable.url, 'server_login_retry = 1')
  const workers = new LockWorkers(KEYS)
  const stopWatching = watchDrift()
  const direct = { url: restartable.url }
  // A silent peer is noticed only by clients that set a time limit.
  const through = { url: proxy.url, options: { query_timeout: 700 } }
  /** @type {import('../support/lock-workers.js').Spec[]} */
  const specs = [
    { ...direct, env: FAKETIME ? offClock('+5m') : {} },
    { ...through, env: FAKETIME ? offClock('-5m') : {} },
    { ...direct, env: { TZ: 'Asia/Tokyo' } },
    { ...through, env: { TZ: 'America/New_York' } },
    { ...through, env: { TZ: 'Europe/Berlin' } },
    { ...through },
    { ...through },
    ...(pooled ? [{ url: pooled.url, hook: true, options: { query_timeout: 700 } }] : []),
  ]
  try {
    await Promise.all(specs.map((spec) => workers.start(spec).ready))
    const times = { run: ms, freeze: FREEZE_MS, delivery: LATEST_DELIVERY_MS }
    const done = await faultsHappen({ workers, proxy, server: restartable }, times, random)
    figures.faults += Object.values(done).reduce((sum, each) => sum + each)
    await workers.finish()
    const drift = stopWatching()
    const { histories, grants, refusals } = judge(workers, drift, figures)
    for (const { spec, calls } of histories) {
      const clock = spec.env?.FAKETIME ?? 'right'
      const granted = calls.filter(({ op, outcome }) => op === 'acquire' && outcome === 'yes').length
      grantsByClock.set(clock, (grantsByClock.get(clock) ?? 0) + granted)
    }
    assert.ok(grants > 0 && refusals > 0, `${grants} grants, ${refusals} refusals`)
    await free(restartable.url, figures)
    const kinds = Object.entries(done).map(([name, n]) => `${name} ${n}`)
    return `${grants} grants, ${refusals} refusals; ${kinds.join(', ')}`
  } finally {
    stopWatching()
    workers.cleanUp()
    await proxy.stop()
    await pooled?.stop()
  }
}

/**
 * Every process has ended, so each lock is free when its lease has expired.
 *
 * @param {string} url
 * @param {Figures} figures
 */
async function free(url, figures) {
  const locks = new PostgresAdapter(new pg.Pool({ connectionString: url }))
  for (const key of KEYS) {
    const handle = await until(`${key} is free in the end`, () => locks.acquire(key, 60_000))
    figures.operations++
    await handle.release()
  }
  await locks.disconnect()
}

test('8 processes, one of them with a hook behind a pooler, 4 locks, and everything that breaks', {
  skip,
}, async () => {
  const random = chance()
  const end = now() + SOAK_MINUTES * 60_000
  const figures = new Figures()
  let rest = ''
  do {
    rest = await underAllFaults(SOAK_MINUTES > 0 ? Math.min(LONGEST_RUN_MS, end - now()) : RUN_MS, figures, random)
    if (SOAK_MINUTES > 0) console.log(`# note: ${figures.operations} operations, ${figures.faults} faults; ${rest}`)
  } while (now() < end && figures.violations.length === 0)
  figures.report('lock safety of 8 processes', rest)
})

test('processes whose clocks are five minutes fast or slow took part', { skip: withoutFaketime }, () => {
  for (const clock of ['+5m', '-5m', 'right']) assert.ok((grantsByClock.get(clock) ?? 0) > 0, `none with ${clock}`)
  const summary = [...grantsByClock].map(([clock, grants]) => `${clock} ${grants}`)
  console.log(`# figure: locks granted by the clock of the process: ${summary.join(', ')}`)
})

/**
 * A run in which the rules are broken on purpose. The checker is worth as much as it finds here.
 *
 * @param {import('../support/lock-workers.js').Spec[]} specs
 * @param {(() => Promise<unknown>) | undefined} [meddle] runs all the while
 */
async function broken(specs, meddle) {
  const workers = new LockWorkers(['broken1', 'broken2'])
  const stopWatching = watchDrift()
  try {
    await Promise.all(specs.map((spec) => workers.start(spec).ready))
    const end = now() + extent(2_500, 1_500)
    while (now() < end) {
      await sleep(100)
      await meddle?.()
    }
    await workers.finish()
    const figures = new Figures()
    const { violations } = judgeHistory(
      workers.histories().flatMap(({ calls }) => calls),
      stopWatching(),
    )
    figures.operations = workers.histories().reduce((sum, { calls }) => sum + calls.length, 0)
    /** @type {Record<string, number>} */
    const kinds = {}
    for (const { kind } of violations) kinds[kind] = (kinds[kind] ?? 0) + 1
    return { operations: figures.operations, kinds, found: violations.length }
  } finally {
    stopWatching()
    workers.cleanUp()
  }
}

/** @param {Awaited<ReturnType<typeof broken>>} found */
const summary = ({ operations, found, kinds }) =>
  `${found} planted violations found in ${operations} calls (${Object.entries(kinds).map(([kind, n]) => `${kind} ${n}`)})`

test('planted for real: another session deletes rows of live locks', { skip }, async () => {
  const { url } = /** @type {NonNullable<Awaited<typeof server>>} */ (await server)
  const client = new pg.Client(url)
  await client.connect()
  const seen = await broken(
    Array.from({ length: 6 }, () => ({ url })),
    () => client.query('DELETE FROM go_goscope_locks'),
  )
  await client.end()
  console.log(`# note: rows deleted: ${summary(seen)}`)
  assert.ok(seen.kinds.overlap > 0 && seen.kinds.lost > 0, summary(seen))
})

test('planted for real: an extension that arrives late shortens leases', { skip }, async () => {
  const { url } = /** @type {NonNullable<Awaited<typeof server>>} */ (await server)
  const client = new pg.Client(url)
  await client.connect()
  const late = `UPDATE go_goscope_locks SET expires_at = timezone('UTC', clock_timestamp()) + INTERVAL '1 millisecond'
                 WHERE expires_at > timezone('UTC', clock_timestamp()) + INTERVAL '100 milliseconds'`
  const seen = await broken(
    Array.from({ length: 6 }, () => ({ url })),
    () => client.query(late),
  )
  await client.end()
  console.log(`# note: leases cut short: ${summary(seen)}`)
  assert.ok(seen.kinds.overlap > 0 && seen.kinds.lost > 0, summary(seen))
})

test('planted for real: an acquisition that arrives late holds a lock that was released', { skip }, async () => {
  const { url } = /** @type {NonNullable<Awaited<typeof server>>} */ (await server)
  const client = new pg.Client(url)
  await client.connect()
  // In the same moment: there is hardly any gap between a release and the next acquisition.
  await client.query(`
    CREATE FUNCTION take_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO go_goscope_locks (key, owner, expires_at)
      VALUES (OLD.key, 'late', timezone('UTC', clock_timestamp()) + INTERVAL '1 minute');
      RETURN NULL;
    END $$;
    CREATE TRIGGER take_late AFTER DELETE ON go_goscope_locks FOR EACH ROW WHEN (OLD.owner <> 'late')
      EXECUTE FUNCTION take_late()`)
  const seen = await broken(Array.from({ length: 6 }, () => ({ url })))
  await client.query("DROP FUNCTION take_late CASCADE; DELETE FROM go_goscope_locks WHERE owner = 'late'")
  await client.end()
  console.log(`# note: locks taken behind a release: ${summary(seen)}`)
  assert.ok(seen.kinds.phantom > 0, summary(seen))
})

test("planted for real: a lock that trusts its client's clock", { skip: withoutFaketime }, async () => {
  const { url } = /** @type {NonNullable<Awaited<typeof server>>} */ (await server)
  const naive = true
  const specs = ['+5m', '-5m', undefined].flatMap((offset) => {
    const env = { TZ: 'UTC', ...(offset && offClock(offset)) }
    return [0, 1].map(() => ({ url, naive, env, options: { options: '-c TimeZone=UTC' } }))
  })
  const seen = await broken(specs)
  console.log(`# note: the pg-based reference with clocks five minutes off: ${summary(seen)}`)
  assert.ok(seen.kinds.overlap > 0, summary(seen))
})
