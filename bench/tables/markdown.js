// @ts-check
// The tables of docs/benchmarks.md, made from the files in bench/results/.
'use strict'

const { OPERATIONS } = require('../operations.js')
const { titleOf } = require('../parts/network.js')
const { number, times } = require('../figures.js')
const { code, table } = require('./cells.js')
const { limits } = require('./limits.js')
const { loadLimits } = require('./load-limits.js')
const { processLimits } = require('./process-limits.js')

const OURS = 'ours'
const REFERENCE = 'reference'

/** @typedef {import('../figures.js').Spread} Spread */

/**
 * The command and the machine of a run.
 *
 * @param {any} run
 */
function provenance({ command, date, machine, postgres, versions }) {
  const { cores, cpu, os, load } = machine
  const programs = [`PostgreSQL ${versions.postgresql}`, `Node.js ${versions.node}`]
  if (versions.pg) programs.push(`\`pg\` ${versions.pg}`)
  if (versions.ioredis) programs.push(`Redis ${versions['redis-server']}, \`ioredis\` ${versions.ioredis}`)
  return [
    `\`${command}\`, ${date.slice(0, 10)}. The machine: ${cores} cores (${cpu}) that the server shares, ${os.split(' ')[0]},`,
    `a load of ${load} at the start, a flush of the server's log in ${number(postgres.flushMicros)} µs. ${programs.join(', ')}.`,
  ].join('\n')
}

/** @param {{ targets: { claim: string, target: string, measured: string, holds: boolean }[] }} run */
function targets({ targets }) {
  const missed = targets.filter(({ holds }) => !holds)
  const met = `${targets.length - missed.length} of ${targets.length} targets are met in this run.`
  if (missed.length === 0) return met
  const rows = missed.map(({ claim, target, measured }) => [claim, target, measured])
  return `${met} Missed:\n\n${table([['target', 'wanted', 'measured'], ...rows])}`
}

/**
 * Ours, pg's, and in brackets the ratio of pairs of windows.
 *
 * @param {import('../parts/rates.js').Measured} measured
 * @param {string} metric
 */
function besidePg({ sides, ratios }, metric) {
  const [ours, pg, ratio] = [sides[OURS]?.[metric], sides[REFERENCE]?.[metric], ratios[REFERENCE]?.[metric]]
  if (!ours) return ''
  return pg
    ? `${number(ours.median)} / ${number(pg.median)} (${ratio ? times(ratio).split(' ')[0] : ''})`
    : number(ours.median)
}

/** @param {{ openLoop: { results: import('../parts/open-loop.js').OpenLoop[] } }} run */
function openLoop({ openLoop: { results } }) {
  const rows = results.flatMap(({ title, points }) =>
    points.map((point) => [
      code(title),
      `${Math.round(100 * point.share)} % of ${point.of === OURS ? 'ours' : "pg's"}: ${number(point.rate)}`,
      ...['p50', 'p99', 'p999', 'loopDelay', 'cpu'].map((metric) => besidePg(point, metric)),
    ]),
  )
  const header = ['operation', 'calls per second', 'p50, ms', 'p99, ms', 'p99.9, ms', 'event loop, p99, ms', 'CPU, µs']
  return table([header, ...rows])
}

/** @param {{ processes: { results: import('../parts/processes.js').Result[], waiters: any } }} run */
function processes({ processes: { results, waiters } }) {
  const rows = results.flatMap(({ title, points }) =>
    points.map(({ processes, figures, ratio, waits }) => [
      title,
      String(processes),
      `${number(figures.rate.median)}${processes > 1 ? `: ${times(ratio)}` : ''}`,
      `${figures.jain.median.toFixed(2)}, ${figures.leastByMost.median.toFixed(2)}`,
      `${number(figures.cpu.median)} + ${number(figures.serverCpu.median)}`,
      number(figures.callsPerStatement.median),
      String(figures.connections.median),
      Object.entries(waits)
        .slice(0, 2)
        .map(([event, part]) => `${event} ${Math.round(100 * part)} %`)
        .join(', '),
    ]),
  )
  const header = [
    ...['operation', 'processes', 'calls per second: by one process', "fairness: Jain's index, least by most"],
    ...['CPU, µs: Node + server', 'calls a statement', 'connections', 'the sessions'],
  ]
  const waiting = waiters.points.map((/** @type {any} */ { processes, figures }) => [
    String(processes),
    ...['statements', 'handOvers', 'statementsPerHandOver'].map((name) => number(figures[name].median)),
    figures.jain.median.toFixed(2),
    String(figures.connections.median),
  ])
  const head = [
    ...['processes', 'statements per second while it is held', 'hand-overs per second'],
    ...['statements a hand-over', "Jain's index", 'connections'],
  ]
  const callers = waiters.callers.toLocaleString('en-US')
  return `${table([header, ...rows])}\n\n${callers} callers wait for one lock:\n\n${table([head, ...waiting])}`
}

/**
 * @param {import('../parts/rates.js').Result[]} results
 * @param {string} operation
 * @param {unknown} inFlight
 */
const resultOf = (results, operation, inFlight) =>
  results.find((each) => each.operation === operation && each.inFlight === inFlight)

/**
 * A row for each operation, and a column for each number of calls in flight: our rate by pg's.
 *
 * @param {import('../parts/rates.js').Result[]} results
 * @param {(result: import('../parts/rates.js').Result) => string} [more] in the cell
 */
function byInFlight(results, more = () => '') {
  const numbers = [...new Set(results.map(({ inFlight }) => inFlight))]
  const operations = [...new Set(results.map(({ operation }) => operation))]
  const rows = operations.map((operation) => [
    code(OPERATIONS[operation]?.title ?? operation),
    ...numbers.map((inFlight) => {
      const result = resultOf(results, operation, inFlight)
      const ratio = result?.ratios[REFERENCE]?.rate
      return result && ratio ? `${times(ratio)}${more(result)}` : ''
    }),
  ])
  return { numbers: numbers.map((each) => number(each).replace(/\.\d+$/, '')), rows }
}

/** @param {{ environments: { environments: import('../parts/environments.js').Found[] } }} run */
function environments({ environments: { environments } }) {
  const header = ['the server', 'operation', ...byInFlight(environments[0]?.results ?? []).numbers]
  const rows = environments.flatMap(({ title, results }) => byInFlight(results).rows.map((row) => [title, ...row]))
  return table([header, ...rows])
}

/**
 * In brackets: our rate by that of as many callers who each wait for one round trip.
 *
 * @param {{ network: import('../parts/network.js').Found[] }} run
 */
function network({ network }) {
  const header = ['the network', 'operation', ...byInFlight(network[0]?.results ?? []).numbers]
  const rows = network.flatMap((found) => {
    const { roundTripMs, results } = found
    const byRoundTrips = (/** @type {import('../parts/rates.js').Result} */ { inFlight, sides }) =>
      ` [${number(((sides[OURS]?.rate?.median ?? 0) * roundTripMs) / 1000 / inFlight)}]`
    return byInFlight(results, byRoundTrips).rows.map((row) => [titleOf(found), ...row])
  })
  const trips = network.map((found) => `${titleOf(found)}: ${number(found.roundTripMs)} ms`).join('; ')
  const lost = network.map(({ lost }) => lost).reduce((sum, each) => sum + each, 0)
  return `${table([header, ...rows])}\n\nA round trip of an idle session: ${trips}. ${number(lost).replace(/\.\d+$/, '')} segments were lost.`
}

/** What the page says of an operation beside its name. @type {Record<string, string>} */
const TITLES = {
  recordFailure: '`recordFailure`, 8 hot keys',
  increment: '`increment`, 8 hot keys',
  poll: '`acquire` of a busy lock',
}

/** The sides, and what the page calls them. */
const REDIS = {
  'redis-memory': 'Redis in memory',
  'redis-memory-pipelined': 'with auto-pipelining',
  'redis-everysec-pipelined': '`everysec`, with it',
  'redis-always': '`always`',
  'redis-always-pipelined': '`always`, with it',
}

/** @param {{ rates: { results: import('../parts/rates.js').Result[] } }} run */
function redis({ rates: { results } }) {
  const numbers = [1, 16, 256]
  const shown = ['get', 'loadLatest', 'set', 'increment', 'lock', 'recordFailure']
  const rows = shown.map((operation) => [
    TITLES[operation] ?? code(OPERATIONS[operation]?.title ?? operation),
    ...Object.keys(REDIS).map((side) => {
      const medians = numbers.map((inFlight) => resultOf(results, operation, inFlight)?.ratios[side]?.rate?.median)
      return medians.map((median) => `${number(median ?? Number.NaN)}×`).join(' / ')
    }),
  ])
  return table([['operation', ...Object.values(REDIS)], ...rows])
}

/** @param {{ rates: { results: import('../parts/rates.js').Result[] } }} run */
function rates({ rates: { results } }) {
  const shown = ['get', 'loadLatest', 'set', 'save', 'lock', 'recordFailure', 'poll']
  const columns = [...[1, 16, 256].map((inFlight) => [REFERENCE, inFlight]), ['pgbench', 1], ['pgbench', 256]]
  const rows = shown.map((operation) => [
    TITLES[operation] ?? code(OPERATIONS[operation]?.title ?? operation),
    ...columns.map(([side = '', inFlight]) => {
      const result = resultOf(results, operation, inFlight)
      const ratio = result?.ratios[side]?.rate
      return ratio ? times(ratio) : ''
    }),
  ])
  return table([['operation', '1 in flight', '16', '256', 'pgbench, 1', 'pgbench, 256'], ...rows])
}

/** @param {{ libraries: any[] }} run */
function libraries({ libraries }) {
  const numbers = [1, 16, 256]
  const rows = libraries.flatMap(({ library, peer, results }) => {
    const titles = [...new Set(results.map((/** @type {any} */ { title }) => title))]
    return titles.map((title) => [
      `\`${library}\``,
      title,
      ...numbers.map((inFlight) => {
        const result = results.find((/** @type {any} */ each) => each.title === title && each.inFlight === inFlight)
        return result ? `${number(result.ratios[peer].rate.median)}×` : ''
      }),
    ])
  })
  return table([['library', 'operation', ...numbers.map(String)], ...rows])
}

/**
 * The parts that have a section of their own: the table, where it comes from, and its targets.
 *
 * @param {(run: any) => string} part
 * @returns {(run: any) => string}
 */
const whole = (part) => (run) => [part(run), provenance(run), targets(run)].join('\n\n')

/**
 * What the page has between two comments, by the name in the first one: a results file, and what of it if there is more
 * than one.
 *
 * @type {Record<string, (run: any) => string>}
 */
const SECTIONS = {
  'latest.json: rates': rates,
  'latest.json: targets': targets,
  'redis.json': whole(redis),
  'libraries.json': libraries,
  'open-loop.json': whole(openLoop),
  'processes.json': whole(processes),
  'environments.json': whole(environments),
  'network.json': whole(network),
  'limits.json': (run) => [limits(run), provenance(run)].join('\n\n'),
  'load-limits.json': (run) => [loadLimits(run), provenance(run)].join('\n\n'),
  'process-limits.json': (run) => [processLimits(run), provenance(run)].join('\n\n'),
}

module.exports = { SECTIONS }
