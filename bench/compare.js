// @ts-check
// What has changed between two runs. Rates are those of a machine at a time, so only ratios are compared.
'use strict'

const { times } = require('./figures.js')

/** @typedef {import('./figures.js').Spread} Spread */

/** The metrics' titles, and whether more is better. */
const METRICS = /** @type {const} */ ({
  rate: { title: 'rate', moreIsBetter: true },
  cpu: { title: 'CPU per call', moreIsBetter: false },
  p99: { title: 'latency, p99', moreIsBetter: false },
  loopDelay: { title: 'event loop delay, p99', moreIsBetter: false },
})

/**
 * A change is beyond the noise if no pair of windows of the one run is within those of the other.
 *
 * @param {any} before
 * @param {any} after
 */
function changes(before, after) {
  const found = []
  for (const { operation, inFlight, rounds, ratios } of after.rates.results) {
    const earlier = before.rates.results.find(
      (/** @type {any} */ each) => each.operation === operation && each.inFlight === inFlight,
    )
    for (const [side, metrics] of Object.entries(ratios)) {
      for (const [name, { title, moreIsBetter }] of Object.entries(METRICS)) {
        /** @type {[Spread | undefined, Spread | undefined]} */
        const [old, now] = [earlier?.ratios[side]?.[name], metrics[name]]
        if (!old || !now) continue
        const change = now.median / old.median - 1
        const isBeyondNoise = now.low > old.high || now.high < old.low
        const verdict = !isBeyondNoise ? '' : change > 0 === moreIsBetter ? 'better' : 'WORSE'
        const chance = chanceOfDisjoint(earlier.rounds, rounds)
        found.push({ operation, inFlight, side, metric: name, title, old, now, change, verdict, chance })
      }
    }
  }
  return found
}

/**
 * How often two runs that do not differ look as if they did: of all orders of their pairs, two have one run's wholly
 * before the other's. With two rounds that is every third time, with five one in 126.
 *
 * @param {number} before rounds
 * @param {number} after rounds
 */
function chanceOfDisjoint(before, after) {
  let orders = 1
  for (let each = 1; each <= after; each++) orders *= (before + each) / each
  return 2 / orders
}

/**
 * Every rate, and of the rest what is beyond the noise.
 *
 * @param {any} before
 * @param {any} after
 */
function comparison(before, after) {
  const all = changes(before, after)
  const shown = all.filter(({ metric, verdict }) => metric === 'rate' || verdict)
  const cells = shown.map(({ operation, inFlight, side, title, old, now, change, verdict }) => [
    ...[operation, String(inFlight), side, title, times(old), times(now)],
    ...[`${change >= 0 ? '+' : ''}${(100 * change).toFixed(0)} %`, verdict],
  ])
  const rows = [['operation', 'in flight', 'against', 'ratio of', 'before', 'now', 'change', ''], ...cells]
  const widths = rows.reduce(
    (most, row) => row.map((cell, at) => Math.max(cell.length, most[at] ?? 0)),
    /** @type {number[]} */ ([]),
  )
  const lines = rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  const beyond = all.filter(({ verdict }) => verdict)
  const worse = beyond.filter(({ verdict }) => verdict === 'WORSE').length
  const byChance = all.reduce((sum, { chance }) => sum + chance, 0)
  return [
    `Since ${before.date} (${before.commit ?? 'unknown commit'}):`,
    ...lines,
    `${all.length} ratios compared, ${beyond.length} changed beyond the noise: ${beyond.length - worse} better, ${worse} worse`,
    `With so few rounds, about ${Math.round(byChance)} would look changed if nothing had; more --rounds tell better`,
  ].join('\n')
}

module.exports = { chanceOfDisjoint, changes, comparison }
