// @ts-check
'use strict'

const { keyOf, shownKey } = require('./keys.js')
const { count, iso, past, whole } = require('./units.js')

/**
 * A row of cli/queries/circuits.js as `--json` prints it.
 *
 * @param {any} row
 * @param {import('./options.js').Given} given
 */
const circuitOf = (row, given) => ({
  ...keyOf(row, given),
  state: row.state,
  failureCount: row.failureCount,
  lastFailureAt: iso(row.lastFailureAt),
  lastFailureAgoMs: whole(row.lastFailureAgoMs),
  lastSuccessAt: iso(row.lastSuccessAt),
  lastSuccessAgoMs: whole(row.lastSuccessAgoMs),
  updatedAt: iso(row.updatedAt),
})

/** Of the states. @type {Record<string, import('./view.js').Colour>} */
const COLOURS = { open: 'red', 'half-open': 'yellow', closed: 'green' }

/** @param {import('./options.js').Given} given @returns {import('./view.js').Column[]} */
const circuitColumns = (given) => [
  { title: 'KEY', cell: (circuit) => shownKey(circuit, given), shrinks: true },
  {
    title: 'STATE',
    cell: ({ state }) => ({ text: state, colour: Object.hasOwn(COLOURS, state) ? COLOURS[state] : 'bold' }),
  },
  { title: 'FAILURES', align: 'right', cell: ({ failureCount }) => count(failureCount) },
  { title: 'LAST FAILURE', align: 'right', ticks: true, cell: ({ lastFailureAgoMs }) => past(lastFailureAgoMs) },
  { title: 'LAST SUCCESS', align: 'right', ticks: true, cell: ({ lastSuccessAgoMs }) => past(lastSuccessAgoMs) },
]

module.exports = { COLOURS, circuitColumns, circuitOf }
