// @ts-check
// Rows that have a value and may expire: of a cache, or results of idempotent runs.
'use strict'

const { IS_EXPIRED, SAME_PLACE, countUpTo, ms, msUntil, paged, place, rowsOf, sorted, startOf } = require('./rows.js')

/** @typedef {import('./rows.js').Session} Session */

/** The key of a row. A key that was stored as a digest is read from beside the value. */
const KEY = `CASE WHEN starts_with(known.key, E'\\001#') THEN coalesce(to_jsonb(stored.value)->>'key', known.key)
            ELSE known.key END`

const SIZE = 'pg_column_size(stored.value)'

/** The JSON text of the whole value: without the key that may be beside it. */
const VALUE = `CASE WHEN starts_with(known.key, E'\\001#')
            THEN coalesce((to_jsonb(stored.value)->'value')::text, stored.value::text) ELSE stored.value::text END`

/** What shows that a value is another one, also if it has the same size. As text: it has 64 bits. */
const HASH = 'hashtextextended(stored.value::text, 0)::text'

/** Of an entry. */
const COLUMNS = `${KEY} AS key, known.prefix AS "keyPrefix", stored.key AS "storedKey", ${SIZE} AS bytes,
       ${ms('stored.expires_at')} AS "expiresAt", ${msUntil('stored.expires_at')} AS "expiresInMs"`

/** The orders of entries: the largest first; what expires first. */
const PLACES = { key: SAME_PLACE, size: `-coalesce(${SIZE}, 0)`, expiry: place('stored.expires_at') }

/** What a user can sort by. */
const SORTS = {
  key: ['known.prefix COLLATE "C"', `(${KEY}) COLLATE "C"`],
  size: [SIZE],
  expiry: [PLACES.expiry],
}

/**
 * @typedef {import('./rows.js').Selection & { all?: boolean, order?: keyof typeof PLACES }} Selection
 */

/** @param {Pick<Selection, 'all'>} selection */
const selected = ({ all = false }) => `($3 IS NULL OR ${KEY} LIKE $3) ${all ? '' : `AND ${IS_EXPIRED} IS NOT TRUE`}`

/**
 * @param {Session} session
 * @param {import('./rows.js').Source} source
 * @param {Selection} selection
 */
async function entries(session, source, { match, limit, all, order = 'key', after, sort }) {
  const { from, prefixes } = await rowsOf(session, source)
  const page = paged(PLACES[order])
  const sql = `
SELECT ${COLUMNS}, ${page.column}
  FROM ${from}
 WHERE ${selected({ all })} AND ${page.follows}
 ORDER BY ${sort === undefined ? page.order : sorted(SORTS, sort, page.order)} LIMIT $4::int8`
  return session.query(sql, [...prefixes, match, String(limit), null, ...startOf(after)])
}

/**
 * @param {Session} session
 * @param {import('./rows.js').Source} source
 * @param {Pick<Selection, 'match' | 'all'>} selection
 */
async function entriesFound(session, source, { match, all }) {
  const { from, prefixes } = await rowsOf(session, source)
  return countUpTo(session, `FROM ${from} WHERE ${selected({ all })}`, [...prefixes, match])
}

/**
 * The entry under a stored key, if there is one, with a hash of its value.
 *
 * @param {Session} session
 * @param {import('./rows.js').Source} source
 * @param {string} storedKey
 * @param {{ withValue?: boolean }} [options] its value, as JSON text
 */
async function entry(session, source, storedKey, { withValue = false } = {}) {
  const { from, prefixes } = await rowsOf(session, source)
  const value = withValue ? `, ${VALUE} AS value` : ''
  const sql = `SELECT ${COLUMNS}, ${HASH} AS hash${value} FROM ${from} WHERE stored.key = $3`
  return session.row(sql, [...prefixes, storedKey])
}

/** Of any table whose rows have a value and may expire. */
const ENTRY_COUNTS = `count(*) FILTER (WHERE ${IS_EXPIRED} IS NOT TRUE) AS live,
       count(*) FILTER (WHERE stored.expires_at IS NULL) AS "withoutExpiry",
       count(*) FILTER (WHERE ${IS_EXPIRED}) AS expired,
       coalesce(sum(${SIZE}), 0) AS bytes`

module.exports = { COLUMNS, ENTRY_COUNTS, SIZE, SORTS, entries, entriesFound, entry, selected }
