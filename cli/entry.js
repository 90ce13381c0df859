// @ts-check
'use strict'

const { keyOf } = require('./keys.js')
const { iso, whole } = require('./units.js')

/**
 * A row of cli/queries/entries.js as `--json` prints it.
 *
 * @param {any} row
 * @param {import('./options.js').Given} given
 */
const entryOf = (row, given) => ({
  ...keyOf(row, given),
  bytes: row.bytes,
  state: row.expiresAt !== null && row.expiresInMs <= 0 ? 'expired' : 'live',
  expiresAt: iso(row.expiresAt),
  expiresInMs: whole(row.expiresInMs),
})

module.exports = { entryOf }
