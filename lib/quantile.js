// @ts-check
'use strict'

const args = require('./arguments.js')

/**
 * A quantile of what a histogram of `metrics()` has counted; see index.d.ts.
 *
 * @param {unknown} histogram
 * @param {unknown} q
 * @returns {number}
 */
function quantile(histogram, q) {
  const { bounds, counts } = args.object('histogram', histogram)
  const part = args.number('q', q, { min: 0, max: 1 })
  const total = counts.reduce((/** @type {number} */ sum, /** @type {number} */ count) => sum + count, 0)
  if (total === 0) return Number.NaN
  const wanted = part * total
  let before = 0
  for (const [at, bound] of bounds.entries()) {
    const count = counts[at]
    const below = at === 0 ? 0 : bounds[at - 1]
    if (count > 0 && before + count >= wanted) return below + ((bound - below) * (wanted - before)) / count
    before += count
  }
  // Above the last bound nothing more is known.
  return bounds.at(-1)
}

module.exports = { quantile }
