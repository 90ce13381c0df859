// @ts-check
'use strict'

const { runColumns, runOf } = require('../entry.js')
const { listing } = require('../listing.js')
const { EXPIRED } = require('../options.js')
const { SORTS, list } = require('../queries/idempotency.js')

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
A result is what a run has stored: the next run with its key gets it, and does no work. A claim is that of a run which
is under way. Without --key-prefix, keys of results are shown as they are stored, their prefixes included.

--json prints an array of { key, keyPrefix, storedKey, state: "result" | "claim", owner, bytes, expiresAt: ISO 8601 or
null, expiresInMs }. A result has no owner, and a claim no bytes: they are null.`,
  ...listing({
    sorts: SORTS,
    options: EXPIRED,
    rows: (session, selection, { all }) => list(session, { ...selection, all }),
    record: runOf,
  }),

  show: (runs, view, given) =>
    runs.length === 0
      ? 'No results, and no claims.\n'
      : view.table(runColumns(given), runs, { id: ({ state, storedKey }) => `${state} ${storedKey}` }),
}
