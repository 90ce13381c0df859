// @ts-check
'use strict'

const { circuitOf } = require('../circuit.js')
const { limited, shownKey } = require('../keys.js')
const { LISTING, PREFIX, likeOf, limitOf } = require('../options.js')
const { misuse } = require('../problem.js')
const { list } = require('../queries/circuits.js')
const { ago, count } = require('../units.js')

/** @type {Record<string, import('../view.js').Colour>} */
const COLOURS = { open: 'red', 'half-open': 'yellow', closed: 'green' }

/** @type {import('../commands.js').Command} */
module.exports = {
  name: 'circuits',
  summary: 'circuit breakers, the open ones first',
  details: `
Ages are by the server's clock; times that an application gave to setState are that application's.

--json prints an array of { key, keyPrefix, storedKey, state: "closed" | "open" | "half-open", failureCount,
lastFailureAt, lastFailureAgoMs, lastSuccessAt, lastSuccessAgoMs, updatedAt }; times are ISO 8601, null is what is not
known.`,
  options: {
    ...PREFIX,
    ...LISTING,
    state: { type: 'string', short: 's', value: 'STATE', help: 'only those that are closed, open or half-open' },
  },

  check(given) {
    if (given.state !== undefined && !Object.hasOwn(COLOURS, given.state)) {
      throw misuse(`--state must be closed, open or half-open, and is '${given.state}'`)
    }
  },

  async look(session, given) {
    const limit = limitOf(given)
    const rows = await list(session, { match: likeOf(given.match), limit: limit + 1, state: given.state })
    return limited(
      rows.map((/** @type {any} */ row) => circuitOf(row, given)),
      limit,
    )
  },

  show(circuits, view, given) {
    if (circuits.length === 0) return `No circuit breakers${given.state ? ` are ${given.state}` : ''}.\n`
    return view.table(
      [
        { title: 'KEY', cell: (circuit) => shownKey(circuit, given), shrinks: true },
        {
          title: 'STATE',
          cell: ({ state }) => ({ text: state, colour: Object.hasOwn(COLOURS, state) ? COLOURS[state] : 'bold' }),
        },
        { title: 'FAILURES', align: 'right', cell: ({ failureCount }) => count(failureCount) },
        { title: 'LAST FAILURE', align: 'right', ticks: true, cell: ({ lastFailureAgoMs }) => since(lastFailureAgoMs) },
        { title: 'LAST SUCCESS', align: 'right', ticks: true, cell: ({ lastSuccessAgoMs }) => since(lastSuccessAgoMs) },
      ],
      circuits,
    )
  },
}

/** @param {number | null} ms */
const since = (ms) => (ms === null ? '–' : ms < 0 ? ago(ms) : `${ago(ms)} ago`)
