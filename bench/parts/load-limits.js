// @ts-check
// What any client can reach at pg's maximum rate: calls that do nothing, protocol messages written by hand, and the bare
// statement by pgbench, all in one rotation of windows with ours and pg.
'use strict'

const { number, ratios, summary, times } = require('../figures.js')
const { OPERATIONS } = require('../operations.js')
const { PacedStatement } = require('../paced-statement.js')
const { OURS } = require('../promises.js')
const { Side } = require('../side.js')
const { databaseOf, pgbenchDatabaseOf, pgbenchFor } = require('./any-client.js')
const { measureGroups, pairsOf, windowsOf } = require('./groups.js')
const { maximumOf } = require('./open-loop.js')
const { REFERENCE, withSides } = require('./pairs.js')
const { LEAD } = require('./rates.js')

/** Of pgbench. Each makes one call at a time, so fewer connections make calls wait, and more of them cost more. */
const CONNECTIONS = [1, 2, 4, 10]

/** Sides in processes of their own, besides ours and pg's. */
const IDLE = 'idle'
const MESSAGES = 'messages'

/**
 * @typedef {import('../figures.js').Spread} Spread
 * @typedef {Side | PacedStatement} PacedSide
 *
 * @typedef {object} LoadLimit
 * @property {string} operation
 * @property {string} title
 * @property {number} rate calls per second, pg's maximum
 * @property {number} rounds
 * @property {Record<string, Record<string, Spread>>} sides
 * @property {Record<string, Record<string, Spread>>} ratios each of the others by pg
 */

/**
 * @param {import('../server.js').Server} server
 * @param {import('../arguments.js').Options} options
 * @param {import('../progress.js').Progress} progress
 */
async function measureLoadLimits(server, { operations: { loadLimits: operations }, windowMs, rounds }, progress) {
  progress.restart()
  const program = pgbenchFor('the limits at equal load', progress)
  if (!program) return { found: { windowMs, results: [] }, versions: {} }
  await server.fillTemplate()
  /** @type {Side[]} */
  const sides = []
  for (const name of [REFERENCE, OURS, MESSAGES, IDLE]) {
    sides.push(new Side(name, await databaseOf(server, `load limits ${name}`)))
  }
  const bare = await bareSides(server, program)
  const { found, versions } = await withSides(sides, async () => {
    progress.line('\nby pg at its maximum rate: ours / messages / idle / bare statement by connections')
    /** @type {LoadLimit[]} */
    const results = []
    for (const [at, operation] of operations.entries()) {
      progress.at(at, operations.length, operation)
      results.push(await measureOperation(operation, [...sides, ...bare], { windowMs, rounds }, progress))
      for (const line of rows(/** @type {LoadLimit} */ (results.at(-1)))) progress.line(line)
    }
    return { windowMs, results }
  })
  return { found, versions: { ...versions, ...bare[0]?.versions } }
}

/**
 * @param {import('../server.js').Server} server
 * @param {string} program
 */
async function bareSides(server, program) {
  const place = await pgbenchDatabaseOf(server, 'load limits bare')
  return CONNECTIONS.map((connections) => new PacedStatement(program, place, connections))
}

/**
 * @param {string} operation
 * @param {PacedSide[]} sides pg's is the first
 * @param {{ windowMs: number, rounds: number }} size
 * @param {import('../progress.js').Progress} progress
 * @returns {Promise<LoadLimit>}
 */
async function measureOperation(operation, sides, { windowMs, rounds }, progress) {
  const span = { leadMs: LEAD * windowMs, ms: windowMs }
  progress.say('the maximum of pg')
  const reference = /** @type {Side} */ (sides[0])
  const rate = Math.max(1, await maximumOf(operation, reference, { ...span, rounds }))
  const window = async (/** @type {PacedSide} */ side) => {
    await side.place.tidy()
    progress.say(`${side.name}, ${number(rate)}/s`)
    return side.paced(operation, { ...span, rate })
  }
  // A warm-up: code is compiled, and the cost of the schedule is measured.
  for (const side of sides.slice(1)) await window(side)
  const groups = await measureGroups(sides, rounds, window)
  const names = sides.map(({ name }) => name)
  return {
    ...{ operation, title: OPERATIONS[operation]?.title ?? operation, rate, rounds },
    sides: Object.fromEntries(names.map((name) => [name, summary(windowsOf(groups, name))])),
    ratios: Object.fromEntries(names.slice(1).map((name) => [name, ratios(pairsOf(groups, name, REFERENCE))])),
  }
}

const SHOWN = { p99: 'latency p99', loopDelay: 'event loop p99', cpu: 'CPU' }

/** @param {LoadLimit} limit */
function rows({ title, rate, ratios }) {
  return Object.entries(SHOWN).map(([metric, name]) => {
    const cells = Object.values(ratios).flatMap((each) => (each[metric] ? times(each[metric]) : []))
    return `${title.padEnd(18)} ${`${number(rate)}/s`.padEnd(10)} ${name.padEnd(15)} ${cells.join(' / ')}`
  })
}

module.exports = { IDLE, MESSAGES, measureLoadLimits }
