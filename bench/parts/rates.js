// @ts-check
// The comparison: each operation with more and more calls in flight, ours next to each of the other sides.
'use strict'

const { number, ratios, summary, times } = require('../figures.js')
const { OPERATIONS } = require('../operations.js')
const { OURS, promisesOf, promisesTable } = require('../promises.js')
const { measureGroups, pairsOf, windowsOf } = require('./groups.js')
const { Sides } = require('./opening.js')

/** The part of a window that its lead-in takes. */
const LEAD = 0.3

/** Throughput must not fall from here to the most calls in flight. */
const SCALE_FROM = 256

/**
 * @typedef {import('../window.js').Figures} Figures
 * @typedef {import('../figures.js').Spread} Spread
 * @typedef {import('./opening.js').AnySide} AnySide
 *
 * @typedef {object} Point one operation with one number of calls in flight
 * @property {string} operation
 * @property {number} inFlight
 * @property {number} rounds
 *
 * @typedef {object} Measured
 * @property {Record<string, Record<string, Spread>>} sides
 * @property {Record<string, Record<string, Spread>>} ratios ours by each of the others
 *
 * @typedef {Point & Measured} Result
 */

/**
 * @param {import('../server.js').Server} server
 * @param {import('../arguments.js').Options} options
 * @param {import('../progress.js').Progress} progress
 */
async function measureRates(server, options, progress) {
  await server.fillTemplate()
  const sides = new Sides(server, progress)
  try {
    await sides.open(options.sides)
    const { all, leftOut, versions } = sides
    const results = await measurePoints(all, options, progress)
    const scale = await measureScale(/** @type {AnySide} */ (all[0]), options, progress)
    const promises = promisesOf(all.map(({ name }) => name))
    const without = withoutCounterpart(all, results)
    const redis = await sides.redisSettings()
    await sides.close()
    progress.line(`\n${promisesTable(promises)}`)
    for (const [name, operations] of Object.entries(without)) progress.line(`${name} has no ${operations.join(', ')}`)
    return { rates: { windowMs: options.windowMs, results, scale, leftOut, promises, without, redis }, versions }
  } finally {
    await sides.end()
  }
}

/**
 * What was measured of ours and cannot be of another side.
 *
 * @param {AnySide[]} sides
 * @param {Result[]} results
 * @returns {Record<string, string[]>}
 */
function withoutCounterpart(sides, results) {
  const measured = [...new Set(results.map(({ operation }) => operation))]
  const missing = sides.map(({ name, operations }) => [name, measured.filter((each) => !operations.includes(each))])
  return Object.fromEntries(missing.filter(([, operations]) => operations && operations.length > 0))
}

/**
 * @param {AnySide[]} sides ours is the first
 * @param {Pick<import('../arguments.js').Options, 'points' | 'windowMs'> & { callsOfEach?: number }} options `callsOfEach`:
 *   how many calls a window has at least, for each in flight
 * @param {import('../progress.js').Progress} progress
 * @param {Record<string, import('../operations.js').Operation>} [operations]
 */
async function measurePoints(sides, { points, windowMs, callsOfEach = 0 }, progress, operations = OPERATIONS) {
  /** @type {Result[]} */
  const results = []
  const others = sides.slice(1).map(({ name }) => name)
  for (const line of header(others)) progress.line(line)
  for (const [index, point] of points.entries()) {
    const present = sides.filter(({ operations }) => operations.includes(point.operation))
    progress.at(index, points.length, `${point.operation}, ${point.inFlight} in flight`)
    const window = async (/** @type {AnySide} */ side, /** @type {number} */ ms) => {
      await side.place.tidy()
      progress.say(side.name)
      const { operation, inFlight } = point
      return side.window(operation, { inFlight, leadMs: LEAD * ms, ms, minCalls: callsOfEach * inFlight })
    }
    // A warm-up: caches fill, plans are made, code is compiled.
    for (const side of present) if (side.name !== 'pgbench') await window(side, windowMs / 2)
    results.push(await measurePoint(point, present, (side) => window(side, windowMs)))
    for (const line of row(/** @type {Result} */ (results.at(-1)), others, operations)) progress.line(line)
  }
  return results
}

/**
 * @template {{ rounds: number }} P
 * @template {{ name: string }} S
 * @param {P} point
 * @param {S[]} sides ours is the first
 * @param {(side: S) => Promise<Figures>} window
 * @returns {Promise<P & Measured>}
 */
async function measurePoint(point, sides, window) {
  const groups = await measureGroups(sides, point.rounds, window)
  const others = sides.slice(1).map(({ name }) => name)
  return {
    ...point,
    sides: Object.fromEntries(sides.map(({ name }) => [name, summary(windowsOf(groups, name))])),
    ratios: Object.fromEntries(others.map((name) => [name, ratios(pairsOf(groups, OURS, name))])),
  }
}

/**
 * Ours alone, with many calls in flight next to very many.
 *
 * @param {AnySide} ours
 * @param {import('../arguments.js').Options} options
 * @param {import('../progress.js').Progress} progress
 */
async function measureScale(ours, { points, windowMs }, progress) {
  const scale = []
  for (const operation of Object.keys(OPERATIONS)) {
    const all = points.filter((point) => point.operation === operation)
    const most = Math.max(...all.map(({ inFlight }) => inFlight))
    const from = all.find(({ inFlight }) => inFlight === SCALE_FROM)
    if (!from || most <= SCALE_FROM) continue
    /** @type {[Figures, Figures][]} */
    const pairs = []
    for (let round = 0; round < from.rounds; round++) {
      progress.say(`${operation}, ${most} next to ${SCALE_FROM} in flight`)
      const figures = /** @type {Figures[]} */ ([])
      const order = round % 2 === 0 ? [most, SCALE_FROM] : [SCALE_FROM, most]
      for (const inFlight of order) {
        await ours.place.tidy()
        const span = { inFlight, leadMs: LEAD * windowMs, ms: windowMs }
        figures[inFlight === most ? 0 : 1] = await ours.window(operation, span)
      }
      pairs.push(/** @type {[Figures, Figures]} */ (figures))
    }
    scale.push({ operation, from: SCALE_FROM, to: most, rounds: from.rounds, ratio: ratios(pairs).rate })
  }
  return scale
}

const FIRST_COLUMN = 22
const COLUMN = 24
/** A line of a terminal holds so many. */
const COLUMNS = 4

/** @param {string[]} others the sides beside ours */
function header(others) {
  return lines(`${'ours compared to'.padEnd(FIRST_COLUMN)} in flight`, others)
}

/**
 * @param {Result} result
 * @param {string[]} others
 * @param {Record<string, import('../operations.js').Operation>} operations
 */
function row({ operation, inFlight, sides, ratios }, others, operations) {
  const title = (operations[operation]?.title ?? operation).padEnd(FIRST_COLUMN)
  const cells = others.map((name) => (ratios[name]?.rate ? times(ratios[name].rate) : ''))
  const rate = sides[OURS]?.rate
  return lines(`${title} ${String(inFlight).padStart(9)}`, cells, rate ? `${number(rate.median)}/s` : '')
}

/**
 * @param {string} first
 * @param {string[]} cells
 * @param {string} [last]
 */
function lines(first, cells, last = '') {
  const found = []
  for (let at = 0; at === 0 || at < cells.length; at += COLUMNS) {
    const start = at === 0 ? first : ''.padEnd(first.length)
    const shown = cells.slice(at, at + COLUMNS).map((cell) => cell.padEnd(COLUMN))
    found.push([start, ' ', ...shown, at === 0 ? last : ''].join(' '))
  }
  // A line without a figure says nothing.
  return found.filter((line, at) => at === 0 || line.trim() !== '')
}

module.exports = { LEAD, SCALE_FROM, measurePoint, measurePoints, measureRates }
