// @ts-check
'use strict'

const { keyOf } = require('./keys.js')
const { iso, whole } = require('./units.js')

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

module.exports = { circuitOf }
