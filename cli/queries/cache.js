// @ts-check
'use strict'

const { IS_EXPIRED, countsOf, ms, msUntil, rowsOf } = require('./rows.js')

/** @typedef {import('./rows.js').Session} Session */

/** The cache of an adapter; or the table of a PostgresCacheAdapter, whose keys have no namespace. @param {string} [table] */
const sourceOf = (table) =>
  table === undefined ? { table: 'go_goscope_cache', namespace: 'cache:' } : { table, namespace: '' }

/** The key of a row. A key that was stored as a digest is read from beside the value. */
const KEY = `CASE WHEN starts_with(known.key, E'\\001#') THEN coalesce(to_jsonb(stored.value)->>'key', known.key)
            ELSE known.key END`

const SIZE = 'pg_column_size(stored.value)'

/**
 * @param {Session} session
 * @param {import('./rows.js').Selection & { table?: string, all?: boolean, largestFirst?: boolean }} selection
 */
async function list(session, { table, match, limit, all = false, largestFirst = false }) {
  const { from, prefixes } = await rowsOf(session, sourceOf(table))
  const sql = `
SELECT ${KEY} AS key, known.prefix AS "keyPrefix", stored.key AS "storedKey", ${SIZE} AS bytes,
       ${ms('stored.expires_at')} AS "expiresAt",
       ${msUntil('stored.expires_at')} AS "expiresInMs"
  FROM ${from}
 WHERE ($3 IS NULL OR ${KEY} LIKE $3) ${all ? '' : `AND ${IS_EXPIRED} IS NOT TRUE`}
 ORDER BY ${largestFirst ? `${SIZE} DESC NULLS LAST, ` : ''}stored.key COLLATE "C" LIMIT $4::int8`
  return session.query(sql, [...prefixes, match, String(limit)])
}

/** @param {Session} session @param {string} [table] */
const counts = (session, table) => countsOf(session, sourceOf(table), ENTRY_COUNTS)

/** Of any table whose rows have a value and may expire. */
const ENTRY_COUNTS = `count(*) FILTER (WHERE ${IS_EXPIRED} IS NOT TRUE) AS live,
       count(*) FILTER (WHERE stored.expires_at IS NULL) AS "withoutExpiry",
       count(*) FILTER (WHERE ${IS_EXPIRED}) AS expired,
       coalesce(sum(${SIZE}), 0) AS bytes`

module.exports = { ENTRY_COUNTS, counts, list }
