// @ts-check
// The table of what any client can reach at pg's maximum rate.
'use strict'

const { number, times } = require('../figures.js')
const { METRICS, OPEN_LOOP } = require('../targets.js')
const { code, table } = require('./cells.js')

/**
 * @typedef {import('../figures.js').Spread} Spread
 * @typedef {import('../parts/load-limits.js').LoadLimit} LoadLimit
 */

const UNITS = { p99: 'ms', loopDelay: 'ms', cpu: 'µs' }

/** @param {{ loadLimits: { results: LoadLimit[] } }} run */
function loadLimits({ loadLimits: { results } }) {
  const header = [
    ...['call', 'figure', "pg's", 'target', 'within reach', 'ours', 'messages by hand', 'schedule alone'],
    'bare statement: connections',
  ]
  const metrics = /** @type {(keyof typeof OPEN_LOOP)[]} */ (Object.keys(OPEN_LOOP))
  return table([header, ...results.flatMap((limit) => metrics.map((metric) => rowOf(limit, metric)))])
}

/**
 * @param {LoadLimit} limit
 * @param {keyof typeof OPEN_LOOP} metric
 */
function rowOf({ title, rate, sides, ratios }, metric) {
  const [target, pg] = [OPEN_LOOP[metric], sides.reference?.[metric]]
  const [ours, messages, idle] = ['ours', 'messages', 'idle'].map((name) => ratios[name]?.[metric])
  const bare = bestOf(ratios, metric)
  const cell = (/** @type {Spread | undefined} */ ratio) => (ratio ? times(ratio) : '')
  return [
    ...[`${code(title)}, ${number(rate)}/s`, METRICS[metric] ?? metric],
    ...[
      pg ? `${number(pg.median)} ${UNITS[metric]}` : '',
      `${target}×`,
      withinReach(target, ours, messages, bare?.ratio),
    ],
    ...[cell(ours), cell(messages)],
    // Its CPU is subtracted from that of each side in Node.js.
    metric === 'cpu' ? '' : cell(idle),
    bare ? `${times(bare.ratio)}: ${bare.connections}` : '',
  ]
}

/**
 * Of the numbers of connections, the one with the lowest figure.
 *
 * @param {LoadLimit['ratios']} ratios
 * @param {string} metric
 */
function bestOf(ratios, metric) {
  const all = Object.entries(ratios).flatMap(([name, { [metric]: ratio }]) => {
    const connections = /^bare-(\d+)$/.exec(name)?.[1]
    return connections && ratio ? [{ connections, ratio }] : []
  })
  return all.sort((one, other) => one.ratio.median - other.ratio.median)[0]
}

/**
 * @param {number} target
 * @param {Spread | undefined} ours
 * @param {Spread | undefined} messages
 * @param {Spread | undefined} bare
 */
function withinReach(target, ours, messages, bare) {
  const reaches = (/** @type {Spread | undefined} */ ratio) => ratio !== undefined && ratio.median <= target
  if (reaches(ours)) return 'reached'
  if (reaches(messages)) return 'yes'
  if ([ours, messages].some((ratio) => ratio && ratio.low <= target)) return 'in some rounds'
  return reaches(bare) ? 'by `pgbench` alone' : 'no'
}

module.exports = { loadLimits }
