// @ts-check
// Medians, and the ratios of windows that stood next to each other.
'use strict'

/** @typedef {{ median: number, low: number, high: number }} Spread the median, the least and the most */

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/**
 * @param {number[]} values
 * @returns {Spread}
 */
function spread(values) {
  return { median: rounded(median(values)), low: rounded(Math.min(...values)), high: rounded(Math.max(...values)) }
}

/**
 * @template {Record<string, number>} F
 * @param {F[]} windows of the same figures
 * @returns {Record<keyof F, Spread>}
 */
function spreads(windows) {
  const found = Object.keys(windows[0] ?? {}).map((name) => [
    name,
    spread(windows.map((each) => each[name] ?? Number.NaN)),
  ])
  return Object.fromEntries(found)
}

/**
 * @param {number[]} counts of each process
 * @returns {{ leastByMost: number, jain: number }} Jain's index is 1 if all are equal, and 1/n if one of n has all
 */
function fairness(counts) {
  const sum = counts.reduce((all, each) => all + each, 0)
  const squares = counts.reduce((all, each) => all + each * each, 0)
  return { leastByMost: Math.min(...counts) / Math.max(...counts), jain: (sum * sum) / (counts.length * squares) }
}

/** Four digits are more than any machine gives twice. */
const rounded = (/** @type {number} */ value) => (Number.isFinite(value) ? Number(value.toPrecision(4)) : value)

/** @typedef {import('./window.js').Figures} Figures */

/** What is compared, and where a window's figures have it. */
const METRICS = {
  rate: (/** @type {Figures} */ figures) => figures.rate,
  cpu: (/** @type {Figures} */ figures) => figures.cpuMicros,
  serverCpu: (/** @type {Figures} */ figures) => figures.serverCpuMicros,
  p50: (/** @type {Figures} */ figures) => figures.latencyMs?.p50,
  p90: (/** @type {Figures} */ figures) => figures.latencyMs?.p90,
  p99: (/** @type {Figures} */ figures) => figures.latencyMs?.p99,
  p999: (/** @type {Figures} */ figures) => figures.latencyMs?.p999,
  late: (/** @type {Figures} */ figures) => figures.lateMs?.p99,
  loopDelay: (/** @type {Figures} */ figures) => figures.loopDelayMs?.p99,
}

/**
 * @param {Figures[]} windows
 * @returns {Record<string, Spread>} what all of them have
 */
function summary(windows) {
  return eachMetric((metric) => windows.map(metric))
}

/**
 * @param {[ours: Figures, other: Figures][]} pairs
 * @returns {Record<string, Spread>}
 */
function ratios(pairs) {
  return eachMetric((metric) =>
    pairs.map(([ours, other]) => {
      const [a, b] = [metric(ours), metric(other)]
      return a === undefined || b === undefined ? undefined : a / b
    }),
  )
}

/** @param {(metric: (figures: Figures) => number | undefined) => (number | undefined)[]} valuesOf */
function eachMetric(valuesOf) {
  /** @type {Record<string, Spread>} */
  const found = {}
  for (const [name, metric] of Object.entries(METRICS)) {
    const values = valuesOf(metric).filter((value) => value !== undefined && Number.isFinite(value))
    if (values.length > 0) found[name] = spread(/** @type {number[]} */ (values))
  }
  return found
}

/** @param {number} value with as many digits as mean something */
function number(value) {
  if (value >= 100) return Math.round(value).toLocaleString('en-US')
  return value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/** @param {Spread} spread */
const times = ({ median, low, high }) => `${number(median)}× (${number(low)}–${number(high)})`

module.exports = { fairness, median, number, ratios, spread, spreads, summary, times }
