// @ts-check
// What any client can reach as many processes on the same keys: programs of pgbench with the bare batch or with a lock of the
// server, beside ours and pg. Each client is compared with itself: all of its processes with one.
'use strict'

const { number, spread, times } = require('../figures.js')
const { startLogged } = require('../logged-pgbench.js')
const { versionOf } = require('../pgbench.js')
const { OURS } = require('../promises.js')
const { BATCHES, SESSION_LEASE, SESSION_LOCK } = require('../shared-scripts.js')
const { Side } = require('../side.js')
const { pgbenchDatabaseOf, pgbenchFor } = require('./any-client.js')
const { REFERENCE, withSides } = require('./pairs.js')
const { inRounds, measureCase, titleOf } = require('./processes.js')
const { LEAD } = require('./rates.js')

/** Calls in flight in each process. */
const IN_FLIGHT = 16
/** One connection with a statement for all of these, or two with one for half of them. */
const CONNECTIONS = [1, 2]
const LOCK = 'lockHot'

/** Of all programs that wait for locks, each waiter with a connection of its own: more would not be admitted. */
const MOST_SESSIONS = 400

/** From the start of a program until it works: of the first, and of each further connection of all. */
const STARTUP_MS = 300
const STARTUP_OF_CONNECTION_MS = 5

/**
 * @typedef {import('../figures.js').Spread} Spread
 * @typedef {import('../progress.js').Progress} Progress
 * @typedef {import('./processes.js').Size} Size
 *
 * @typedef {object} Total of several processes
 * @property {number} processes
 * @property {Spread} rate calls per second of all of them
 * @property {Spread} ratio the rate by that of one process, of the same round
 * @property {number} [connections] of each process
 *
 * @typedef {{ operation: string, title: string, inFlight: number, rounds: number, clients: Record<string, Total[]> }} ProcessLimit
 *
 * @typedef {object} Program what pgbench does in the place of a client
 * @property {string} name
 * @property {string[]} script
 * @property {number} connections
 * @property {number} calls that one run of the script does the work of
 */

/**
 * @param {import('../server.js').Server} server
 * @param {import('../arguments.js').Options} options
 * @param {Progress} progress
 */
async function measureProcessLimits(server, options, progress) {
  const { windowMs, rounds, processes } = options
  const operations = options.operations.processLimits
  progress.restart()
  const program = pgbenchFor('the limits of many processes', progress)
  if (!program) return { found: { windowMs, results: [] }, versions: {} }
  await server.fillTemplate()
  const size = { windowMs, rounds, processes }
  progress.line(`\n${'by processes'.padEnd(44)}${processes.map((each) => String(each).padEnd(20)).join('')}`)
  // One client after the other: together their connections would be too many.
  const ours = await measureSides(OURS, server, operations, size, progress)
  const pg = await measureSides(
    REFERENCE,
    server,
    operations.filter((operation) => operation !== LOCK),
    size,
    progress,
  )
  const bare = await measurePrograms(program, server, operations, size, progress)
  const results = operations.map((operation) => ({
    ...{ operation, title: titleOf(operation), inFlight: IN_FLIGHT, rounds },
    clients: { ...ours.found[operation], ...pg.found[operation], ...bare[operation] },
  }))
  const versions = { ...ours.versions, ...pg.versions, pgbench: versionOf(program) ?? '' }
  return { found: { windowMs, results }, versions }
}

/** @typedef {Record<string, ProcessLimit['clients']>} ByOperation */

/**
 * @param {string} name of the side
 * @param {import('../server.js').Server} server
 * @param {string[]} operations
 * @param {Size} size
 * @param {Progress} progress
 */
async function measureSides(name, server, operations, size, progress) {
  const place = await server.databaseOf(`process limits ${name}`)
  const sides = Array.from({ length: Math.max(...size.processes) }, () => new Side(name, place, 'processes'))
  return withSides(sides, async () => {
    /** @type {ByOperation} */
    const found = {}
    for (const [at, operation] of operations.entries()) {
      progress.at(at, operations.length, `${operation}, processes of ${name}`)
      const { points } = await measureCase({ operation, inFlight: IN_FLIGHT }, { sides, place, server }, size, progress)
      const totals = points.map(({ processes, figures, ratio }) => ({ processes, rate: figures.rate, ratio }))
      found[operation] = { [name]: totals }
      progress.line(row(operation, name, totals))
    }
    return found
  })
}

/**
 * @param {string} program
 * @param {import('../server.js').Server} server
 * @param {string[]} operations
 * @param {Size} size
 * @param {Progress} progress
 */
async function measurePrograms(program, server, operations, { windowMs, rounds, processes }, progress) {
  const place = await pgbenchDatabaseOf(server, 'process limits bare')
  /** @type {ByOperation} */
  const found = {}
  for (const [at, operation] of operations.entries()) {
    progress.at(at, operations.length, `${operation}, programs of pgbench`)
    for (const each of programsOf(operation)) {
      const windows = await inRounds(processes, rounds, async (many) => {
        await place.tidy()
        progress.say(`${each.name}, ${many} programs`)
        return { rate: await rateTogether(program, place.url, { ...each, processes: many }, windowMs) }
      })
      const totals = windows.map((here, at) => ({
        processes: processes[at] ?? 1,
        rate: spread(here.map(({ rate }) => rate)),
        ratio: spread(here.map(({ rate }, round) => rate / (windows[0]?.[round]?.rate ?? Number.NaN))),
        connections: connectionsOf({ ...each, processes: processes[at] ?? 1 }),
      }))
      found[operation] = { ...found[operation], [each.name]: totals }
      progress.line(row(operation, each.name, totals))
    }
  }
  return found
}

/** @param {string} operation @returns {Program[]} */
function programsOf(operation) {
  if (operation === LOCK) {
    return Object.entries({ 'session-lock': SESSION_LOCK, 'session-lease': SESSION_LEASE }).map(([name, script]) => ({
      ...{ name, script, connections: IN_FLIGHT, calls: 1 },
    }))
  }
  return CONNECTIONS.map((connections) => {
    const calls = IN_FLIGHT / connections
    return { name: `bare-${connections}`, script: BATCHES[operation]?.(calls) ?? [], connections, calls }
  })
}

/** Of each program. @param {Program & { processes: number }} load */
const connectionsOf = ({ connections, processes }) => Math.min(connections, Math.floor(MOST_SESSIONS / processes))

/**
 * What all programs complete between two times at which each of them works.
 *
 * @param {string} program
 * @param {string} url
 * @param {Program & { processes: number }} load
 * @param {number} ms
 * @param {number} [startup]
 * @returns {Promise<number>} calls per second
 */
async function rateTogether(program, url, load, ms, startup = startupOf(load)) {
  const seconds = Math.ceil((startup + (1 + LEAD) * ms) / 1000)
  const options = { script: load.script, connections: connectionsOf(load) }
  const runs = Array.from({ length: load.processes }, () => startLogged(program, url, options, seconds).log)
  const logs = await Promise.all(runs)
  const firsts = logs.map(({ at }) => at[0] ?? Infinity)
  const from = Math.max(...firsts) + LEAD * ms
  const to = from + ms
  const isWhole = to <= Math.min(...firsts) + 1000 * seconds
  const completed = logs.reduce((sum, { at }) => sum + at.filter((each) => from <= each && each < to).length, 0)
  // The programs did not start soon enough, or the window was too short for any of them.
  if (!isWhole || completed === 0) return rateTogether(program, url, load, ms, 1000 + 2 * startup)
  return (completed * load.calls) / (ms / 1000)
}

/** @param {Program & { processes: number }} load */
const startupOf = (load) => STARTUP_MS + STARTUP_OF_CONNECTION_MS * load.processes * connectionsOf(load)

/**
 * @param {string} operation
 * @param {string} client
 * @param {Total[]} totals
 */
function row(operation, client, totals) {
  const cells = totals.map(({ processes, rate, ratio }) =>
    processes === 1 ? `${number(rate.median)}/s` : times(ratio),
  )
  return `${titleOf(operation).padEnd(28)}${client.padEnd(16)}${cells.map((cell) => cell.padEnd(20)).join('')}`.trimEnd()
}

module.exports = { measureProcessLimits }
