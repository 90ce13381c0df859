// @ts-check
// @configurations first, last
// Processes share two semaphores, while they, their connections and the server are stopped, killed and cut. At no time are there
// more holders than permits.
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { after, test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { Figures, SOAK_MINUTES, chance } = require('../support/figures.js')
const { faultsHappen } = require('../support/lock-faults.js')
const { LockWorkers, now, watchDrift } = require('../support/lock-workers.js')
const { startRestartableServer } = require('../support/restartable-server.js')
const { startProxy } = require('../support/proxy.js')
const { extent } = require('../support/variants.js')
const { until } = require('../support/waiting.js')

const skip = process.platform === 'linux' ? false : 'it looks into /proc'

const KEYS = ['shared', `long ${'k'.repeat(4_000)}`]
const PERMITS = 4
const RUN_MS = extent(9_000, 5_000)
/** Longer than the longest TTL. */
const FREEZE_MS = 900
const LATEST_DELIVERY_MS = 500

const server = skip ? undefined : startRestartableServer()
after(async () => (await server)?.stop())

/**
 * The times in which an owner certainly holds a permit: from the answer until the lease has run out, counted from before it was
 * requested, or until its release is called. A call with an unknown outcome may have shortened it.
 *
 * @param {any[]} calls of one owner, in their order
 * @param {number} drift
 * @returns {[number, number][]}
 */
function heldTimes([acquired, ...later], drift) {
  if (acquired?.op !== 'acquire' || acquired.outcome !== 'yes') return []
  /** @type {[number, number][]} */
  const times = []
  let [from, end] = [acquired.to, acquired.from + acquired.ttl - drift]
  for (const call of later) {
    times.push([from, Math.min(end, call.from)])
    if (call.op !== 'extend' || call.outcome !== 'yes') return times
    ;[from, end] = [call.to, call.from + call.ttl - drift]
  }
  return [...times, [from, end]]
}

/** @param {any[]} calls @returns {Map<string, any[]>} */
function byOwner(calls) {
  /** @type {Map<string, any[]>} */
  const owners = new Map()
  for (const call of calls) owners.set(call.owner, [...(owners.get(call.owner) ?? []), call])
  return owners
}

/**
 * The most holders at one time.
 *
 * @param {any[]} calls on one semaphore
 * @param {number} drift
 */
function mostHolders(calls, drift) {
  const times = [...byOwner(calls).values()].flatMap((owner) => heldTimes(owner, drift))
  const events = times
    .filter(([from, end]) => from < end)
    .flatMap(([from, end]) => [
      { at: from, by: 1 },
      { at: end, by: -1 },
    ])
    .sort((a, b) => a.at - b.at || a.by - b.by)
  let [holders, most] = [0, 0]
  for (const { by } of events) most = Math.max(most, (holders += by))
  return most
}

/** @param {LockWorkers} workers @param {number} drift @param {Figures} figures */
function judge(workers, drift, figures) {
  const calls = workers.histories().flatMap((history) => history.calls)
  figures.operations += calls.length
  for (const call of calls) {
    if (call.outcome === 'unknown' && !call.isOpen) figures.error(call, `${call.op}: ${call.stack}`)
  }
  const of = (/** @type {string} */ outcome) =>
    calls.filter((call) => call.op === 'acquire' && call.outcome === outcome).length
  return {
    most: KEYS.map((key) =>
      mostHolders(
        calls.filter((call) => call.key === key),
        drift,
      ),
    ),
    grants: of('yes'),
    refusals: of('no'),
  }
}

test(`7 processes, 2 semaphores of ${PERMITS} permits, and everything that breaks`, { skip }, async () => {
  const random = chance()
  const restartable = (await server) ?? assert.fail()
  const proxy = await startProxy(restartable.url)
  const workers = new LockWorkers(KEYS, 'permit-worker.js')
  const figures = new Figures()
  const stopWatching = watchDrift()
  const through = { url: proxy.url, options: { query_timeout: 700 } }
  /** @type {import('../support/lock-workers.js').Spec[]} */
  const specs = [
    ...Array.from({ length: 3 }, () => ({ url: restartable.url, permits: PERMITS })),
    ...Array.from({ length: 3 }, () => ({ ...through, permits: PERMITS })),
    // A caller that says a smaller number gets none of the other permits.
    { url: restartable.url, permits: PERMITS - 2 },
  ]
  try {
    await Promise.all(specs.map((spec) => workers.start(spec).ready))
    const ms = {
      run: SOAK_MINUTES > 0 ? SOAK_MINUTES * 60_000 : RUN_MS,
      freeze: FREEZE_MS,
      delivery: LATEST_DELIVERY_MS,
    }
    const faults = await faultsHappen({ workers, proxy, server: restartable }, ms, random)
    figures.faults += Object.values(faults).reduce((sum, each) => sum + each)
    await workers.finish()
    const { most, grants, refusals } = judge(workers, stopWatching(), figures)
    for (const each of most) if (each > PERMITS) figures.violation(`${each} holders of ${PERMITS} permits`)
    // Otherwise a lock would do.
    assert.deepEqual(
      most.map((each) => Math.min(each, PERMITS)),
      [PERMITS, PERMITS],
      'all permits were held at once',
    )
    assert.ok(grants > 50 && refusals > 0, `${grants} grants, ${refusals} refusals`)
    await allAreFree(restartable.url)
    figures.report(
      'semaphores of 7 processes',
      `${grants} grants, ${refusals} refusals, at most ${most.join(' and ')} holders`,
    )
  } finally {
    stopWatching()
    workers.cleanUp()
    await proxy.stop()
  }
})

/** Every process has ended, so each permit is free when its lease has expired. @param {string} url */
async function allAreFree(url) {
  const adapter = new PostgresAdapter(new pg.Pool({ connectionString: url }))
  for (const key of KEYS) {
    const semaphore = adapter.semaphore(key, PERMITS)
    await until('all permits are free', async () => (await semaphore.holders()).length === 0)
    const leases = await Promise.all(Array.from({ length: PERMITS }, () => semaphore.acquire({ ttl: 60_000, wait: 0 })))
    await Promise.all(leases.map((lease) => lease.release()))
  }
  await adapter.disconnect()
}

test('planted for real: another session deletes rows of live permits, and the count finds it', { skip }, async () => {
  const restartable = (await server) ?? assert.fail()
  const workers = new LockWorkers(KEYS, 'permit-worker.js')
  const client = new pg.Client(restartable.url)
  await client.connect()
  const stopWatching = watchDrift()
  try {
    await Promise.all([1, 2, 3, 4].map(() => workers.start({ url: restartable.url, permits: PERMITS }).ready))
    const end = now() + extent(2_500, 1_500)
    while (now() < end) {
      await sleep(50)
      await client.query('DELETE FROM go_goscope_locks')
    }
    await workers.finish()
    const { most } = judge(workers, stopWatching(), new Figures())
    assert.ok(Math.max(...most) > PERMITS, `at most ${most.join(' and ')} holders`)
  } finally {
    stopWatching()
    workers.cleanUp()
    await client.end()
  }
})
