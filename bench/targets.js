// @ts-check
// What the package is to reach, and whether it did.
'use strict'

const { number, times } = require('./figures.js')
const { OPERATIONS } = require('./operations.js')
const { titleOf } = require('./parts/network.js')

/** The rate against the pg-written reference, by calls in flight. */
const RATES = {
  get: { 1: 1.2, 16: 4, 256: 15 },
  loadLatest: { 1: 1.2, 16: 4, 256: 15 },
  set: { 1: 1.1, 16: 3, 256: 10 },
  save: { 1: 1.1, 16: 3, 256: 10 },
  lock: { 1: 3, 16: 5, 256: 20 },
  recordFailure: { 1: 1.8, 16: 5, 256: 15 },
  poll: { 1: 3, 16: 8, 256: 25 },
}

/** CPU of the whole Node process per call, against the reference, with 256 in flight. */
const CPU = { reads: 0.15, writes: 0.25 }

/** The event loop's 99th percentile delay against the reference, with 256 in flight. */
const LOOP_DELAY = 0.25

/** At pg's own maximum rate, against pg. */
const OPEN_LOOP = { p99: 0.25, loopDelay: 0.25, cpu: 0.2 }

/** The rate of each integration against the library's own PostgreSQL backend, by calls in flight. */
const LIBRARY_RATE = { 1: 1, 16: 2, 256: 8 }

/** The rate against pgbench. */
const PGBENCH = { 1: 0.8, 256: 1.5 }

/**
 * Against ioredis and Redis in memory: the rate by calls in flight, that of `cacheDurability: 'async'`, and the CPU per
 * call with 256.
 *
 * @type {Record<string, { rate: Record<number, number>, async?: Record<number, number>, cpu?: number }>}
 */
const BESIDE_REDIS = {
  get: { rate: { 1: 0.4, 16: 1, 256: 2 }, cpu: 0.5 },
  set: { rate: { 1: 0.35, 16: 0.6, 256: 1 }, async: { 1: 0.4, 16: 0.8, 256: 1.2 }, cpu: 0.5 },
  lock: { rate: { 1: 0.4, 16: 0.5, 256: 0.8 }, cpu: 0.8 },
  increment: { rate: { 256: 1 } },
}

/** @type {Record<string, string>} */
const METRICS = { p99: 'latency, p99', loopDelay: 'event loop delay, p99', cpu: 'CPU per call' }

const ROWS = 1.5
const COLD = 1.0
/** Bytes of memory that each call may leave behind, once the process has warmed up. */
const LEAK = 1
/** Of fewer calls, the heap's coming and going is more than what they could leave. */
const MANY_CALLS = 5_000_000
/** Bytes that a call may take while it waits for its turn. */
const QUEUED = 4096

/**
 * @typedef {import('./figures.js').Spread} Spread
 * @typedef {{ claim: string, target: string, measured: string, holds: boolean }} Judgement
 */

/**
 * @param {any} run
 * @returns {Judgement[]}
 */
function compare(run) {
  return [
    ...(run.rates ? judgeRates(run.rates) : []),
    ...(run.rates?.results ?? []).flatMap(judgeBesideRedis),
    ...(run.libraries ?? []).flatMap(judgeLibrary),
    ...(run.openLoop?.results ?? []).flatMap(judgeOpenLoop),
    ...(run.processes?.results ?? []).flatMap(judgeProcesses),
    ...(run.environments?.environments ?? []).flatMap(judgeEnvironment),
    ...(run.network ?? []).flatMap(judgeNetwork),
    ...(run.rows ?? []).map((/** @type {any} */ { title, ratio }) => most(`${title}, by rows`, ROWS, ratio)),
    ...(run.memory ? judgeMemory(run.memory) : []),
    ...(run.cold ? [most('cold start', COLD, run.cold.ratio)] : []),
  ]
}

/** @param {any} rates */
function judgeRates({ results, scale }) {
  /** @type {Judgement[]} */
  const found = []
  for (const { operation, inFlight, ratios } of results) {
    if (!(operation in RATES)) continue
    const title = `${OPERATIONS[operation]?.title}, ${inFlight} in flight`
    const add = (
      /** @type {typeof least} */ how,
      /** @type {string} */ what,
      /** @type {any} */ target,
      /** @type {any} */ ratio,
    ) => target !== undefined && ratio !== undefined && found.push(how(`${title}: ${what}`, target, ratio))
    const { reference = {}, pgbench = {} } = ratios
    add(least, 'rate', /** @type {any} */ (RATES)[operation]?.[inFlight], reference.rate)
    add(least, 'rate, by pgbench', /** @type {any} */ (PGBENCH)[inFlight], pgbench.rate)
    if (inFlight === 256) {
      add(most, 'CPU per call', OPERATIONS[operation]?.writes ? CPU.writes : CPU.reads, reference.cpu)
      add(most, 'event loop delay, p99', LOOP_DELAY, reference.loopDelay)
    }
    add(most, 'latency, p99', 1, reference.p99)
  }
  for (const { operation, from, to, ratio } of scale) {
    const claim = `${OPERATIONS[operation]?.title}: rate with ${to} in flight, by that with ${from}`
    found.push(noFall(claim, ratio))
  }
  return found
}

/** @param {any} result */
function judgeBesideRedis({ operation, inFlight, sides, ratios }) {
  const { 'redis-memory': ratio, 'ours-async': byAsync } = ratios
  const targets = BESIDE_REDIS[operation]
  if (!targets || !ratio) return []
  const title = `${OPERATIONS[operation]?.title}, ${inFlight} in flight: `
  const [rate, async, cpu] = [targets.rate[inFlight], targets.async?.[inFlight], inFlight === 256 && targets.cpu]
  const found = rate ? [least(`${title}rate, by Redis in memory`, rate, ratio.rate)] : []
  if (async && byAsync) {
    // Not paired with each other: ours is with both.
    const [ours, redis] = [sides['ours-async'].rate, sides['redis-memory'].rate]
    const measured = {
      median: ours.median / redis.median,
      low: ours.low / redis.high,
      high: ours.high / redis.low,
    }
    found.push(least(`${title}rate with cacheDurability: 'async', by Redis in memory`, async, measured))
  }
  if (cpu) found.push(most(`${title}CPU per call, by ioredis`, cpu, ratio.cpu))
  return found
}

/** @param {any} library */
function judgeLibrary({ library, peer, results }) {
  return results
    .filter((/** @type {any} */ { hasTarget, inFlight }) => hasTarget && inFlight in LIBRARY_RATE)
    .map((/** @type {any} */ { title, inFlight, ratios }) =>
      least(
        `${library}: ${title}, ${inFlight} in flight`,
        /** @type {any} */ (LIBRARY_RATE)[inFlight],
        ratios[peer].rate,
      ),
    )
}

/** @param {import('./parts/open-loop.js').OpenLoop} operation */
function judgeOpenLoop({ title, points }) {
  return points
    .filter(({ share, ratios }) => share === 1 && ratios.reference)
    .flatMap(({ ratios: { reference = {} } }) =>
      Object.entries(OPEN_LOOP).flatMap(([metric, target]) => {
        const ratio = reference[metric]
        return ratio ? [most(`${title} at pg's maximum rate: ${METRICS[metric]}`, target, ratio)] : []
      }),
    )
}

/**
 * Wherever the server is, as against one that is reached directly.
 *
 * @param {import('./parts/environments.js').Found} found
 */
function judgeEnvironment({ environment, results }) {
  return results.flatMap(({ operation, inFlight, ratios: { reference = {} } }) => {
    const target = /** @type {any} */ (RATES)[operation]?.[inFlight]
    const claim = `${environment}: ${OPERATIONS[operation]?.title}, ${inFlight} in flight: rate`
    return target && reference.rate ? [least(claim, target, reference.rate)] : []
  })
}

/**
 * Where both sides have all that the round trips allow, the one is as often a little behind as the other.
 *
 * @param {import('./parts/network.js').Found} found
 */
function judgeNetwork({ results, ...distance }) {
  return results.flatMap(({ operation, inFlight, ratios: { reference = {} } }) => {
    const claim = `${titleOf(distance)}: ${OPERATIONS[operation]?.title}, ${inFlight} in flight: rate`
    return reference.rate ? [noFall(claim, reference.rate, '≥ 1×, within the noise')] : []
  })
}

/** @param {import('./parts/processes.js').Result} result */
function judgeProcesses({ title, inFlight, points }) {
  return points
    .filter(({ processes }) => processes > 1)
    .map(({ processes, ratio }) =>
      noFall(`${title}, ${inFlight} in flight in each of ${processes} processes: rate, by that of one`, ratio),
    )
}

/** @param {any} memory */
function judgeMemory({ queued, steady }) {
  /** @type {Judgement[]} */
  const found = [
    {
      claim: `memory with ${queued.calls.toLocaleString('en-US')} calls queued`,
      target: `≤ ${QUEUED / 1024} kB a call`,
      measured: `${number(queued.ours.perCall / 1024)} kB (pg ${number(queued.reference.perCall / 1024)} kB)`,
      holds: queued.ours.perCall <= QUEUED,
    },
  ]
  if (steady.calls >= MANY_CALLS) {
    found.push({
      claim: `memory over ${steady.calls.toLocaleString('en-US')} calls`,
      target: `≤ ${LEAK} byte a call`,
      measured: `${number(steady.growthPerCall)} bytes`,
      holds: steady.growthPerCall <= LEAK,
    })
  }
  return found
}

/**
 * @param {string} claim
 * @param {number} target
 * @param {Spread} ratio
 * @returns {Judgement}
 */
function least(claim, target, ratio) {
  return { claim, target: `≥ ${target}×`, measured: times(ratio), holds: ratio.median >= target }
}

/**
 * @param {string} claim
 * @param {number} target
 * @param {Spread} ratio
 * @returns {Judgement}
 */
function most(claim, target, ratio) {
  return { claim, target: `≤ ${target}×`, measured: times(ratio), holds: ratio.median <= target }
}

/**
 * It must not fall; standing still, half of all runs would show a little less.
 *
 * @param {string} claim
 * @param {Spread} ratio
 * @param {string} [target]
 * @returns {Judgement}
 */
const noFall = (claim, ratio, target = 'no fall') => ({ claim, target, measured: times(ratio), holds: ratio.high >= 1 })

/** @param {Judgement[]} judgements */
function table(judgements) {
  const claims = Math.max(...judgements.map(({ claim }) => claim.length))
  const lines = judgements.map(({ claim, target, measured, holds }) => {
    return `${holds ? 'pass' : 'MISS'}  ${claim.padEnd(claims)}  target ${target}, measured ${measured}`
  })
  const passed = judgements.filter(({ holds }) => holds).length
  return [...lines, `${passed} of ${judgements.length} targets reached`].join('\n')
}

module.exports = { BESIDE_REDIS, METRICS, OPEN_LOOP, RATES, compare, table }
