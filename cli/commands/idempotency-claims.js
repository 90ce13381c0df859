// @ts-check
'use strict'

const { listing } = require('../listing.js')
const { lockColumns, lockOf } = require('../lock.js')
const { EXPIRED } = require('../options.js')
const { SORTS, list } = require('../queries/locks.js')

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
Runs that are under way. A claim is its owner's until it expires by the server's clock; then another process may do the
work. It is renewed while the run lasts.

--json prints an array of { key, keyPrefix, storedKey, owner, state: "held" | "expired", expiresAt: ISO 8601,
expiresInMs, hasWaiters }.`,
  ...listing({
    sorts: SORTS,
    options: EXPIRED,
    rows: (session, selection, { all }) => list(session, { ...selection, all, claims: true }),
    record: lockOf,
  }),

  show: (claims, view, given) =>
    claims.length === 0 ? 'No runs are under way.\n' : view.table(lockColumns(claims, given), claims),
}
