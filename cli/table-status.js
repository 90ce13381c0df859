// @ts-check
'use strict'

const { COUNTED } = require('./queries/rows.js')

/**
 * What is known of a table: whether it is there and may be read, how large it is, and what it has, unless that are too
 * many rows to count.
 *
 * @param {import('./session.js').Session} session
 * @param {{ name: string, names: string[], counts: import('./tables.js').Counts }} wanted names as SQL has them
 * @param {any[]} found by cli/queries/catalogue.js
 */
async function tableStatus(session, { name, names, counts }, found) {
  const table = found.find((each) => names.includes(each.name))
  if (table === undefined) {
    return {
      name,
      schema: null,
      exists: false,
      isReadable: false,
      rows: null,
      isEstimate: false,
      bytes: null,
      counts: null,
    }
  }
  const isReadable = table.usesSchema && table.rights.includes('SELECT')
  const isCounted = isReadable && Math.max(table.rows, table.liveRows) <= COUNTED
  const counted = isCounted ? await counts(session) : null
  return {
    name,
    schema: table.schema,
    exists: true,
    isReadable,
    rows: counted === null ? Math.max(table.rows, table.liveRows) : sumOf(counted),
    isEstimate: counted === null,
    bytes: table.bytes,
    counts: counted,
  }
}

/** @param {Record<string, number>} counts */
const sumOf = ({ held = 0, expired = 0, open = 0, halfOpen = 0, closed = 0, live = 0, checkpoints = 0 }) =>
  held + expired + open + halfOpen + closed + live + checkpoints

module.exports = { tableStatus }
