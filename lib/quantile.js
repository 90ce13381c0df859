// @ts-check
'use strict'

const args = require('./arguments.js')

/**
 * A quantile of the values in a histogram of `metrics()`; see index.d.ts.
 *
 * @param {unknown} histogram
 * @param {unknown} q
 * @returns {number}
 */
function quantile(histogram, q) {
  const given = args.object('histogram', histogram)
  const bounds = numbers('histogram.bounds', given.bounds)
  const counts = numbers('histogram.counts', given.counts)
  const part = args.number('q', q, { min: 0, max: 1 })
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return Number.NaN
  const wanted = part * total
  let before = 0
  let below = 0
  for (const [at, bound] of bounds.entries()) {
    const count = counts[at] ?? 0
    if (count > 0 && before + count >= wanted) return below + ((bound - below) * (wanted - before)) / count
    before += count
    below = bound
  }
  // Above the last bound nothing more is known.
  return below
}

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {number[]}
 */
function numbers(name, value) {
  if (!Array.isArray(value)) throw args.wrongType(name, 'an array of numbers', value)
  return value
}

module.exports = { quantile }
