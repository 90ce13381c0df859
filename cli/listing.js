// @ts-check
// What the commands that list rows have in common: a pattern, an order and a limit, which the server applies.
'use strict'

const { LISTING, PREFIX, likeOf, limitOf, sortOf, sorting } = require('./options.js')

/**
 * @typedef {import('./session.js').Session} Session
 * @typedef {import('./options.js').Given} Given
 *
 * @typedef {object} Listed
 * @property {Record<string, string[]>} sorts what a user can sort by
 * @property {import('./queries/rows.js').Sort} [usual] the order without --sort, if it is not that of the first of these
 * @property {(session: Session, selection: import('./queries/rows.js').Selection, given: Given) => Promise<any[]>} rows
 * @property {(row: any, given: Given) => any} record a row as `--json` prints it
 * @property {import('./options.js').Options} [options] of its own
 */

/** @param {Listed} listed */
const listing = ({ sorts, options, ...listed }) => ({
  options: { ...PREFIX, ...options, ...LISTING, ...sorting(sorts) },
  check: (/** @type {Given} */ given) => void sortOf(given, sorts),
  look: (/** @type {Session} */ session, /** @type {Given} */ given) => look(session, given, { sorts, ...listed }),
})

/**
 * @param {Session} session
 * @param {Given} given
 * @param {Listed} listed
 */
async function look(session, given, { sorts, usual, rows, record }) {
  const limit = limitOf(given)
  // One row more, which shows that there are more.
  const selection = { match: likeOf(given.match), limit: limit + 1, sort: sortOf(given, sorts, usual) }
  const found = await rows(session, selection, given)
  return {
    data: found.slice(0, limit).map((row) => record(row, given)),
    notes: found.length > limit ? [`More rows match than the ${limit} shown: see --limit and --match`] : [],
  }
}

module.exports = { listing }
