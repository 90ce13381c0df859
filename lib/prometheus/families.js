// @ts-check
// The metric families: their names, their types, and the samples that each takes from `metrics()`. A dashboard and alert rules
// name them, so a name that is published stays.
'use strict'

/**
 * @typedef {import('../../index.js').Metrics} Metrics
 * @typedef {import('../../index.js').Histogram} Histogram
 * @typedef {Record<string, string>} Labels
 * @typedef {[labels: Labels, value: number]} Value
 * @typedef {[labels: Labels, histogram: Histogram]} Distribution
 *
 * @typedef {object} Numbers
 * @property {'gauge' | 'counter'} type
 * @property {string} help
 * @property {(metrics: Metrics) => Value[]} values
 *
 * @typedef {object} Durations
 * @property {'histogram'} type
 * @property {'seconds'} unit
 * @property {string} help
 * @property {(metrics: Metrics, by: LatencyBy) => Distribution[]} histograms in ms
 *
 * @typedef {'group' | 'operation'} LatencyBy
 */

/** @param {(metrics: Metrics) => number} read */
const one = (read) => (/** @type {Metrics} */ metrics) => /** @type {Value[]} */ ([[{}, read(metrics)]])

/** @param {(metrics: import('../../index.js').OperationMetrics) => number} read */
const byOperation =
  (read) =>
  (/** @type {Metrics} */ { operations }) =>
    Object.entries(operations).map(([operation, each]) => /** @type {Value} */ ([{ operation }, read(each)]))

/** Without the prefix, a unit's suffix, and `_total`. @type {Record<string, Numbers | Durations>} */
const FAMILIES = {
  connections: {
    type: 'gauge',
    help: 'Open connections of the native pool.',
    values: ({ pool: { open, idle } }) => [
      [{ state: 'idle' }, idle],
      [{ state: 'used' }, open - idle],
    ],
  },
  connections_max: {
    type: 'gauge',
    help: 'The most connections that the native pool opens.',
    values: one(({ pool }) => pool.max),
  },
  connection_waits: {
    type: 'gauge',
    help: 'Waits for a connection now.',
    values: one(({ pool }) => pool.waiting),
  },
  notifications_connected: {
    type: 'gauge',
    help: 'Whether the connection for notifications is open.',
    values: one(({ listening }) => listening),
  },
  pipelines_active: {
    type: 'gauge',
    help: 'Connections that execute batches.',
    values: one(({ pipelines }) => pipelines.active),
  },
  pipelines_blocked: {
    type: 'gauge',
    help: 'Connections whose batch takes longer than 10 ms.',
    values: one(({ pipelines }) => pipelines.blocked),
  },
  calls_in_flight: {
    type: 'gauge',
    help: 'Calls that were made and not answered.',
    values: one(({ calls }) => calls.inFlight),
  },
  calls_queued: {
    type: 'gauge',
    help: 'Calls that have not been sent yet.',
    values: one(({ calls }) => calls.queued),
  },
  batches: {
    type: 'counter',
    help: 'Batches that were sent.',
    values: one(({ batches }) => batches),
  },
  statements: {
    type: 'counter',
    help: 'Statements that were sent.',
    values: one(({ statements }) => statements.count),
  },
  statement_calls: {
    type: 'counter',
    help: 'Calls that the statements carried.',
    values: one(({ statements }) => statements.sum),
  },
  calls: {
    type: 'counter',
    help: 'Calls that were answered, with success or not.',
    values: byOperation(({ calls }) => calls),
  },
  retries: {
    type: 'counter',
    help: 'Repeated runs of calls.',
    values: (metrics) => byOperation(({ retries }) => retries)(metrics).filter(([, count]) => count > 0),
  },
  errors: {
    type: 'counter',
    help: 'Calls that failed, by the code of the error.',
    values: ({ operations }) =>
      Object.entries(operations).flatMap(([operation, { errors }]) =>
        Object.entries(errors).map(([code, count]) => /** @type {Value} */ ([{ operation, code }, count])),
      ),
  },
  call_duration: {
    type: 'histogram',
    unit: 'seconds',
    help: 'Time from a call to its answer.',
    histograms: ({ operations }, by) => {
      const all = Object.entries(operations).map(([name, { latency }]) => /** @type {const} */ ([name, latency]))
      return by === 'operation' ? all.map(([operation, latency]) => [{ operation }, latency]) : grouped(all)
    },
  },
}

/**
 * The latencies of operations, added up by the first part of their names.
 *
 * @param {(readonly [name: string, latency: Histogram])[]} latencies
 * @returns {Distribution[]}
 */
function grouped(latencies) {
  /** @type {Map<string, Histogram>} */
  const groups = new Map()
  for (const [name, latency] of latencies) {
    const group = name.includes('.') ? name.slice(0, name.indexOf('.')) : 'connection'
    const before = groups.get(group)
    groups.set(group, before ? added(before, latency) : latency)
  }
  return [...groups].map(([group, latency]) => [{ group }, latency])
}

/**
 * @param {Histogram} one
 * @param {Histogram} other with the same bounds
 * @returns {Histogram}
 */
function added(one, other) {
  const counts = one.counts.map((count, at) => count + (other.counts[at] ?? 0))
  return { bounds: one.bounds, counts, sum: one.sum + other.sum, count: one.count + other.count }
}

module.exports = { FAMILIES }
