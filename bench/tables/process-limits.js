// @ts-check
// The table of what any client can reach in many processes on the same keys.
'use strict'

const { number, times } = require('../figures.js')
const { table } = require('./cells.js')

/** @typedef {import('../parts/process-limits.js').ProcessLimit} ProcessLimit */

/** What the page calls the clients. @type {Record<string, string>} */
const TITLES = {
  ours: 'ours',
  reference: '`pg`',
  'bare-1': 'bare batch, 1 × 16',
  'bare-2': 'bare batch, 2 × 8',
  'session-lock': 'lock of a session',
  'session-lease': 'the same, with a lease',
}

/** Those that do the least of the same work. A lock of a session commits nothing, so it shows less than a limit. */
const BARE = ['bare-1', 'bare-2', 'session-lease']

/** @param {{ processLimits: { results: ProcessLimit[] } }} run */
function processLimits({ processLimits: { results } }) {
  const numbers = (results[0]?.clients.ours ?? []).map(({ processes }) => processes)
  const [, ...many] = numbers
  const header = ['call', 'client', 'one process, calls per second', ...many.map((each) => `${each} processes`)]
  return table([header, ...results.flatMap((result) => rowsOf(result, many))])
}

/**
 * @param {ProcessLimit} result
 * @param {number[]} many processes
 */
function rowsOf({ title, clients }, many) {
  const each = Object.entries(clients).map(([name, [one, ...totals]]) => [
    ...[title, TITLES[name] ?? name, number(one?.rate.median ?? Number.NaN)],
    ...totals.map(({ ratio }) => times(ratio)),
  ])
  const bare = (/** @type {number} */ processes) => mostOf('rate', clients, BARE, processes)
  const ours = (/** @type {number} */ processes) => mostOf('rate', clients, ['ours'], processes)
  const bareByOurs = many.map((processes) => `${number(bare(processes) / ours(1))}×`)
  const verdicts = many.map((processes) => {
    const hasFallen = (clients.ours?.find((total) => total.processes === processes)?.ratio.high ?? 0) < 1
    return hasFallen ? withinReach(mostOf('ratio', clients, BARE, processes), bare(processes) / ours(1)) : 'reached'
  })
  return [
    ...each,
    [title, 'the fastest bare client by one process of ours', `${number(bare(1) / ours(1))}×`, ...bareByOurs],
    [title, '**no fall within reach**', '', ...verdicts],
  ]
}

/**
 * @param {'rate' | 'ratio'} figure
 * @param {ProcessLimit['clients']} clients
 * @param {string[]} names
 * @param {number} processes
 * @returns {number} the highest of these clients' figures: calls per second, or by one process of the same client
 */
function mostOf(figure, clients, names, processes) {
  const totals = names.flatMap((name) => clients[name] ?? []).filter((total) => total.processes === processes)
  return Math.max(...totals.map((total) => total[figure].median))
}

/**
 * @param {number} byBare a bare client's total by that of one of its own processes
 * @param {number} byOurs the same total by that of one process of ours
 */
function withinReach(byBare, byOurs) {
  if (byOurs < 1) return 'no'
  return byBare < 1 ? 'the bare client falls, too' : 'yes'
}

module.exports = { processLimits }
