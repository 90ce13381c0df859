// @ts-check
// Many processes on the same keys: what all of them do together, next to one alone, and how evenly they share it.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { fairness, number, spread, spreads, times } = require('../figures.js')
const { OURS } = require('../promises.js')
const { serverCpu, usedSince } = require('../server-cpu.js')
const { clock } = require('../shared-window.js')
const { Side } = require('../side.js')
const { operations: OPERATIONS } = require('../sides/processes.js')
const { withSides } = require('./pairs.js')
const { LEAD } = require('./rates.js')
const { WaitEvents } = require('./wait-events.js')
const { measureWaiters } = require('./waiters.js')

/** From the request to the start of a window: each process has received it by then. */
const NOTICE_MS = 50

/** The part of a window for which each process runs alone first: among many it would get too few turns to compile its code. */
const WARM_UP = 0.5

/**
 * @typedef {import('../figures.js').Spread} Spread
 * @typedef {import('../shared-window.js').Share} Share
 *
 * @typedef {object} Together one window of several processes
 * @property {number} rate calls per second of all of them
 * @property {number} leastByMost calls of the process with the fewest, by those of the one with the most
 * @property {number} jain Jain's index of their calls: 1 if all are equal, 1/n if one process has made all
 * @property {number} cpu microseconds of all processes per call
 * @property {number} serverCpu
 * @property {number} callsPerStatement
 * @property {number} connections open
 *
 * @typedef {object} Point
 * @property {number} processes
 * @property {Record<keyof Together, Spread>} figures
 * @property {Spread} ratio the rate by that of one process, of the same round
 * @property {Record<string, number>} waits what the server's sessions did: parts of all samples that were not idle
 *
 * @typedef {{ operation: string, title: string, inFlight: number, rounds: number, points: Point[] }} Result
 *
 * @typedef {object} Size
 * @property {number} windowMs
 * @property {number} rounds
 * @property {number[]} processes how many, from one on
 */

/**
 * @param {import('../server.js').Server} server
 * @param {import('../arguments.js').Options} options
 * @param {import('../progress.js').Progress} progress
 */
async function measureProcesses(server, options, progress) {
  progress.restart()
  await server.fillTemplate()
  const place = await server.databaseOf('processes')
  const { windowMs, rounds, operations, inFlight, processes } = options
  const sides = Array.from({ length: Math.max(...processes) }, () => new Side(OURS, place, 'processes'))
  const size = { windowMs, rounds, processes }
  return withSides(sides, async () => {
    const cases = operations.processes.flatMap((operation) =>
      inFlight.processes.map((calls) => ({ operation, inFlight: calls })),
    )
    const results = []
    progress.line(
      `\n${'by processes'.padEnd(28)} in flight  ${processes.map((each) => String(each).padEnd(20)).join('')}`,
    )
    for (const [at, each] of cases.entries()) {
      progress.at(at, cases.length, `${each.operation}, ${each.inFlight} in flight in each process`)
      const result = await measureCase(each, { sides, place, server }, size, progress)
      results.push(result)
      for (const line of rows(result)) progress.line(line)
    }
    const waiters = await measureWaiters({ sides, place, server }, processes, size, progress)
    return { windowMs, results, waiters }
  })
}

/**
 * @typedef {object} Field
 * @property {Side[]} sides each a process
 * @property {import('../server.js').Place} place
 * @property {import('../server.js').Server} server
 */

/**
 * @param {{ operation: string, inFlight: number }} what
 * @param {Field} field
 * @param {Size} size
 * @param {import('../progress.js').Progress} progress
 * @returns {Promise<Result>}
 */
async function measureCase({ operation, inFlight }, field, { windowMs, rounds, processes }, progress) {
  const window = async (/** @type {number} */ many, /** @type {number} */ ms) => {
    await field.place.tidy()
    progress.say(`${many} processes`)
    return together(operation, { inFlight, ms }, { ...field, sides: field.sides.slice(0, many) })
  }
  progress.say('each process warms up')
  for (const side of field.sides)
    await together(operation, { inFlight, ms: WARM_UP * windowMs }, { ...field, sides: [side] })
  // Together they open their connections.
  await window(field.sides.length, windowMs)
  const windows = await inRounds(processes, rounds, (many) => window(many, windowMs))
  const points = []
  for (const [at, many] of processes.entries()) {
    const here = /** @type {Together[]} */ (windows[at])
    // Apart from the others: to ask the server costs it time.
    await field.place.tidy()
    const events = await WaitEvents.start(field.place.url)
    await together(operation, { inFlight, ms: windowMs }, { ...field, sides: field.sides.slice(0, many) })
    points.push({
      processes: many,
      figures: spreads(here),
      ratio: spread(here.map(({ rate }, round) => rate / (windows[0]?.[round]?.rate ?? Number.NaN))),
      waits: await events.stop(),
    })
  }
  return { operation, title: titleOf(operation), inFlight, rounds, points }
}

/**
 * Every other round goes backwards.
 *
 * @template Found
 * @param {number[]} numbers of processes
 * @param {number} rounds
 * @param {(processes: number) => Promise<Found>} window
 * @returns {Promise<Found[][]>} by number of processes, then by round
 */
async function inRounds(numbers, rounds, window) {
  /** @type {Found[][]} */
  const windows = numbers.map(() => [])
  for (let round = 0; round < rounds; round++) {
    const order = [...numbers.entries()]
    if (round % 2 === 1) order.reverse()
    for (const [at, processes] of order) windows[at]?.push(await window(processes))
  }
  return windows
}

/**
 * @param {string} operation
 * @param {{ inFlight: number, ms: number }} size
 * @param {Field} field
 * @returns {Promise<Together>}
 */
async function together(operation, { inFlight, ms }, { sides, place, server }) {
  const from = clock() + NOTICE_MS + LEAD * ms
  const to = from + ms
  const shares = Promise.all(sides.map((side) => side.shared(operation, { inFlight, from, to })))
  const used = async () => {
    await sleep(from - clock())
    const before = serverCpu(server.pid)
    await sleep(Math.max(0, to - clock()))
    return usedSince(before, serverCpu(server.pid))
  }
  const [found, serverMicros = Number.NaN] = await Promise.all([shares, used()])
  const counts = found.map(({ calls }) => calls)
  const sum = (/** @type {keyof Share} */ name) => found.reduce((all, share) => all + share[name], 0)
  const calls = sum('calls')
  // Too short for one call of any: it says nothing.
  if (calls === 0) return together(operation, { inFlight, ms: 2 * ms }, { sides, place, server })
  return {
    rate: calls / (ms / 1000),
    ...fairness(counts),
    cpu: sum('cpuMicros') / calls,
    serverCpu: serverMicros / calls,
    // A short window may have the answers alone.
    callsPerStatement: calls / Math.max(1, sum('statements')),
    connections: sum('connections'),
  }
}

const titleOf = (/** @type {string} */ operation) =>
  /** @type {Record<string, import('../operations.js').Operation>} */ (OPERATIONS)[operation]?.title ?? operation

/** @param {Result} result */
function rows({ title, inFlight, points }) {
  const cells = points.map(({ ratio, figures, processes }) =>
    processes === 1 ? `${number(figures.rate.median)}/s` : times(ratio),
  )
  const fair = points.map(({ figures }) => `${number(figures.jain.median)}`)
  const line = (/** @type {string} */ first, /** @type {string[]} */ all) =>
    `${first.padEnd(37)}  ${all.map((cell) => cell.padEnd(20)).join('')}`
  return [line(`${title.padEnd(28)} ${String(inFlight).padStart(8)}`, cells), line("  Jain's index", fair)]
}

module.exports = { inRounds, measureCase, measureProcesses, titleOf }
