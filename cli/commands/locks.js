// @ts-check
'use strict'

const { limited, shownKey } = require('../keys.js')
const { lockOf } = require('../lock.js')
const { LISTING, PREFIX, likeOf, limitOf } = require('../options.js')
const { list } = require('../queries/locks.js')
const { duration } = require('../units.js')

/** @typedef {import('../commands.js').Command} Command */

/** @type {Command} */
module.exports = {
  name: 'locks',
  summary: 'who holds what, and for how long',
  details: `
A lock is its owner's until it expires by the server's clock. Without --key-prefix, all applications' locks are shown,
and what precedes the first "lock:" of a stored key is taken for its prefix. A key that is stored as a digest,
since it is too long for an index, is unknown. A permit of a semaphore is shown by its number.

--json prints an array of { key, keyPrefix, storedKey, owner, state: "held" | "expired", expiresAt: ISO 8601,
expiresInMs, hasWaiters }; null is what is not known, or not there in this table.`,
  options: {
    ...PREFIX,
    ...LISTING,
    all: { type: 'boolean', short: 'a', help: 'those that have expired, too: later calls remove them' },
  },

  async look(session, given) {
    const limit = limitOf(given)
    const rows = await list(session, { match: likeOf(given.match), limit: limit + 1, all: given.all })
    return limited(
      rows.map((/** @type {any} */ row) => lockOf(row, given)),
      limit,
    )
  },

  show(locks, view, given) {
    if (locks.length === 0) return `No locks${given.all ? '' : ' are held'}.\n`
    const someHaveWaiters = locks.some((/** @type {any} */ { hasWaiters }) => hasWaiters)
    return view.table(
      [
        { title: 'KEY', cell: (lock) => shownKey(lock, given), shrinks: true },
        { title: 'OWNER', cell: ({ owner }) => owner, shrinks: true },
        { title: 'EXPIRES IN', align: 'right', ticks: true, cell: expiry },
        ...(someHaveWaiters ? [{ title: 'HAS WAITERS', cell: waiters }] : []),
      ],
      locks,
    )
  },
}

/** @type {(lock: any) => string} */
const waiters = ({ hasWaiters }) => (hasWaiters ? 'yes' : '')

/** @type {(lock: any) => import('../view.js').Cell} */
const expiry = ({ state, expiresInMs }) =>
  state === 'expired' ? { text: `expired ${duration(-expiresInMs)} ago`, colour: 'dim' } : duration(expiresInMs)
