// @ts-check
// Rows that have a value and may expire, as `--json` prints them, and as columns for people.
'use strict'

const { keyOf, shownKey } = require('./keys.js')
const { duration, iso, size, whole } = require('./units.js')

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

/**
 * A row of cli/queries/idempotency.js, a result or a claim, as `--json` prints it.
 *
 * @param {any} row
 * @param {import('./options.js').Given} given
 */
const runOf = (row, given) => ({
  ...keyOf(row, given),
  state: row.state,
  owner: row.owner,
  bytes: row.bytes,
  expiresAt: iso(row.expiresAt),
  expiresInMs: whole(row.expiresInMs),
})

/** @param {import('./options.js').Given} given @returns {import('./view.js').Column[]} */
const entryColumns = (given) => [
  { title: 'KEY', cell: (entry) => shownKey(entry, given), shrinks: true },
  { title: 'SIZE', align: 'right', cell: ({ bytes }) => size(bytes) },
  { title: 'EXPIRES IN', align: 'right', ticks: true, cell: expiry },
]

/** @param {import('./options.js').Given} given @returns {import('./view.js').Column[]} */
const runColumns = (given) => {
  const [key, ...others] = entryColumns(given)
  return [key, { title: 'STATE', cell: ({ state }) => state }, ...others]
}

/** @param {any} entry @returns {import('./view.js').Cell} */
function expiry({ expiresInMs }) {
  if (expiresInMs === null) return 'never'
  return expiresInMs <= 0 ? { text: `expired ${duration(-expiresInMs)} ago`, colour: 'dim' } : duration(expiresInMs)
}

module.exports = { entryColumns, entryOf, runColumns, runOf }
