// @ts-check
// The tables of docs/benchmarks.md, made from the files in bench/results/.
'use strict'

const { OPERATIONS } = require('../operations.js')
const { number, times } = require('../figures.js')

const OURS = 'ours'
const REFERENCE = 'reference'

/** @typedef {import('../figures.js').Spread} Spread */

/** @param {string[][]} rows the first is the header */
function table([header = [], ...rows]) {
  return [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/**
 * The command and the machine of a run.
 *
 * @param {any} run
 */
function provenance({ command, date, machine, postgres, versions }) {
  const { cores, cpu, os, load } = machine
  const programs = [`PostgreSQL ${versions.postgresql}`, `Node.js ${versions.node}`]
  if (versions.pg) programs.push(`\`pg\` ${versions.pg}`)
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
      `\`${title}\``.replace(' + ', '` + `'),
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
 * A row for each operation, and a column for each number of calls in flight: our rate by pg's.
 *
 * @param {import('../parts/rates.js').Result[]} results
 * @param {(result: import('../parts/rates.js').Result) => string} [more] in the cell
 */
function byInFlight(results, more = () => '') {
  const numbers = [...new Set(results.map(({ inFlight }) => inFlight))]
  const operations = [...new Set(results.map(({ operation }) => operation))]
  const rows = operations.map((operation) => [
    OPERATIONS[operation]?.title ?? operation,
    ...numbers.map((inFlight) => {
      const result = results.find((each) => each.operation === operation && each.inFlight === inFlight)
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

/** The sections' tables, by the names of the results' files. @type {Record<string, (run: any) => string>} */
const TABLES = { 'open-loop': openLoop, processes, environments }

/**
 * What stands between the two comments of a section.
 *
 * @param {string} name
 * @param {any} run
 */
const section = (name, run) => [TABLES[name]?.(run), provenance(run), targets(run)].join('\n\n')

module.exports = { TABLES, section }
