// @ts-check
// Equal load instead of saturation: both sides get the same calls at the same times, at a part of pg's maximum rate, and
// ours also at a part of our own.
'use strict'

const { median, number } = require('../figures.js')
const { OPERATIONS } = require('../operations.js')
const { OURS } = require('../promises.js')
const { REFERENCE, withPair } = require('./pairs.js')
const { LEAD, measurePoint } = require('./rates.js')

/** Parts of pg's maximum, for both sides, and of ours, which pg does not reach. */
const SHARES = { [REFERENCE]: [0.1, 0.5, 0.9, 1], [OURS]: [0.1, 0.5, 0.9] }

/** So many calls in flight saturate a side; of some operations fewer make the higher rate. */
const SATURATION = [16, 256]

/**
 * @typedef {import('../figures.js').Spread} Spread
 * @typedef {import('../side.js').Side} Side
 *
 * @typedef {object} Paced one operation at one rate
 * @property {string} of whose maximum
 * @property {number} share of that maximum
 * @property {number} rate calls per second
 * @property {number} rounds
 *
 * @typedef {object} OpenLoop
 * @property {string} operation
 * @property {string} title
 * @property {Record<string, number>} maximum of each side, in calls per second
 * @property {(Paced & import('./rates.js').Measured)[]} points
 */

/**
 * @param {import('../server.js').Server} server
 * @param {import('../arguments.js').Options} options
 * @param {import('../progress.js').Progress} progress
 */
async function measureOpenLoop(server, { operations: { openLoop: operations }, windowMs, rounds }, progress) {
  progress.restart()
  const { found, versions } = await withPair(server, 'open loop', async (sides) => {
    progress.line('\nours / pg at equal rates')
    progress.line(header())
    /** @type {OpenLoop[]} */
    const results = []
    for (const [at, operation] of operations.entries()) {
      progress.at(at, operations.length, operation)
      const result = await measureOperation(operation, sides, { windowMs, rounds }, progress)
      results.push(result)
      for (const point of result.points) progress.line(row(result.title, point))
    }
    return results
  })
  return { found: { windowMs, results: found }, versions }
}

/**
 * @param {string} operation
 * @param {Side[]} sides
 * @param {{ windowMs: number, rounds: number }} size
 * @param {import('../progress.js').Progress} progress
 * @returns {Promise<OpenLoop>}
 */
async function measureOperation(operation, sides, { windowMs, rounds }, progress) {
  const span = { leadMs: LEAD * windowMs, ms: windowMs }
  /** @type {Record<string, number>} */
  const maximum = {}
  for (const side of sides) {
    progress.say(`the maximum of ${side.name}`)
    maximum[side.name] = await maximumOf(operation, side, { ...span, rounds })
  }
  const points = []
  for (const [of, shares] of Object.entries(SHARES)) {
    for (const share of shares) {
      const point = { of, share, rate: Math.max(1, Math.round(share * (maximum[of] ?? 0))), rounds }
      const present = sides.filter(({ name }) => of !== OURS || name === OURS)
      const measured = await measurePoint(point, present, async (side) => {
        await side.place.tidy()
        progress.say(`${side.name}, ${number(point.rate)}/s`)
        return side.paced(operation, { ...span, rate: point.rate })
      })
      points.push(measured)
    }
  }
  return { operation, title: OPERATIONS[operation]?.title ?? operation, maximum, points }
}

/**
 * The median of saturated windows.
 *
 * @param {string} operation
 * @param {Side} side
 * @param {{ leadMs: number, ms: number, rounds: number }} size
 */
async function maximumOf(operation, side, { rounds, ...span }) {
  const found = []
  for (const inFlight of SATURATION) {
    const rates = []
    // The first is a warm-up: caches fill, plans are made, code is compiled.
    for (let window = 0; window <= rounds; window++) {
      await side.place.tidy()
      const { rate } = await side.window(operation, { ...span, inFlight })
      if (window > 0) rates.push(rate)
    }
    found.push(median(rates))
  }
  return Math.round(Math.max(...found))
}

const TITLES = ['p50, ms', 'p99, ms', 'p99.9, ms', 'loop p99, ms', 'CPU, µs']
const SHOWN = ['p50', 'p99', 'p999', 'loopDelay', 'cpu']

const header = () => `${''.padEnd(44)}${TITLES.map((title) => title.padEnd(16)).join('')}`

/**
 * @param {string} title
 * @param {OpenLoop['points'][number]} point
 */
function row(title, { of, share, rate, sides }) {
  const load = `${title.padEnd(18)} ${`${Math.round(100 * share)} % of ${of === OURS ? 'ours' : 'pg'}`.padEnd(14)}`
  const cells = SHOWN.map((metric) => {
    const shown = [OURS, REFERENCE].flatMap((name) => sides[name]?.[metric]?.median ?? [])
    return shown.map(number).join(' / ').padEnd(16)
  })
  return `${load} ${`${number(rate)}/s`.padEnd(10)}${cells.join('')}`
}

module.exports = { maximumOf, measureOpenLoop }
