// @ts-check
'use strict'

const { keyOf, shownKey } = require('./keys.js')
const { duration, iso, whole } = require('./units.js')

/**
 * A row of cli/queries/locks.js as `--json` prints it.
 *
 * @param {any} row
 * @param {import('./options.js').Given} given
 */
const lockOf = (row, given) => ({
  ...keyOf(row, given),
  owner: row.owner,
  state: row.expiresInMs <= 0 ? 'expired' : 'held',
  expiresAt: iso(row.expiresAt),
  expiresInMs: whole(row.expiresInMs),
  hasWaiters: row.hasWaiters,
})

/**
 * The columns of a table of locks for people.
 *
 * @param {any[]} locks
 * @param {import('./options.js').Given} given
 * @returns {import('./view.js').Column[]}
 */
const lockColumns = (locks, given) => [
  { title: 'KEY', cell: (lock) => shownKey(lock, given), shrinks: true },
  { title: 'OWNER', cell: ({ owner }) => owner, shrinks: true },
  { title: 'EXPIRES IN', align: 'right', ticks: true, cell: expiry },
  ...(locks.some(({ hasWaiters }) => hasWaiters) ? [{ title: 'HAS WAITERS', cell: waiters }] : []),
]

/** @type {(lock: any) => string} */
const waiters = ({ hasWaiters }) => (hasWaiters ? 'yes' : '')

/** @type {(lock: any) => import('./view.js').Cell} */
const expiry = ({ state, expiresInMs }) =>
  state === 'expired' ? { text: `expired ${duration(-expiresInMs)} ago`, colour: 'dim' } : duration(expiresInMs)

module.exports = { lockColumns, lockOf }
