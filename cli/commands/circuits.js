// @ts-check
'use strict'

const { COLOURS, circuitColumns, circuitOf } = require('../circuit.js')
const { listing } = require('../listing.js')
const { misuse } = require('../problem.js')
const { SORTS, list } = require('../queries/circuits.js')

const { check, ...listed } = listing({
  sorts: SORTS,
  options: {
    state: {
      type: 'string',
      short: 's',
      value: 'STATE',
      values: Object.keys(COLOURS),
      help: 'only those that are closed, open or half-open',
    },
  },
  rows: (session, selection, { state }) => list(session, { ...selection, state }),
  record: circuitOf,
})

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
Ages are by the server's clock; times that an application gave to setState are that application's.

--json prints an array of { key, keyPrefix, storedKey, state: "closed" | "open" | "half-open", failureCount,
lastFailureAt, lastFailureAgoMs, lastSuccessAt, lastSuccessAgoMs, updatedAt }; times are ISO 8601, null is what is not
known.`,
  ...listed,

  check(given) {
    if (given.state !== undefined && !Object.hasOwn(COLOURS, given.state)) {
      throw misuse(`--state must be closed, open or half-open, and is '${given.state}'`)
    }
    check(given)
  },

  show: (circuits, view, given) =>
    circuits.length === 0
      ? `No circuit breakers${given.state ? ` are ${given.state}` : ''}.\n`
      : view.table(circuitColumns(given), circuits),
}
