// @ts-check
'use strict'

const { listing } = require('../listing.js')
const { lockColumns, lockOf } = require('../lock.js')
const { EXPIRED } = require('../options.js')
const { SORTS, list } = require('../queries/locks.js')

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
A lock is its owner's until it expires by the server's clock. Without --key-prefix, all applications' locks are shown,
and what precedes the first "lock:" of a stored key is taken for its prefix. A key that is stored as a digest,
since it is too long for an index, is unknown. A permit of a semaphore is shown by its number.

--json prints an array of { key, keyPrefix, storedKey, owner, state: "held" | "expired", expiresAt: ISO 8601,
expiresInMs, hasWaiters }; null is what is not known, or not there in this table.`,
  ...listing({
    sorts: SORTS,
    options: EXPIRED,
    rows: (session, selection, { all }) => list(session, { ...selection, all }),
    record: lockOf,
  }),

  show: (locks, view, given) =>
    locks.length === 0 ? `No locks${given.all ? '' : ' are held'}.\n` : view.table(lockColumns(locks, given), locks),
}
