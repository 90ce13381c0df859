// @ts-check
'use strict'

const { keyOf } = require('./keys.js')
const { iso, whole } = require('./units.js')

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

module.exports = { lockOf }
