// @ts-check
// Idempotent runs: results, and the claims of runs under way, which are locks in a namespace of their own.
'use strict'

const { tables } = require('./catalogue.js')
const { COLUMNS, ENTRY_COUNTS, selected } = require('./entries.js')
const locks = require('./locks.js')
const { IS_EXPIRED, countsOf, ms, msUntil, place, rowsOf, sorted } = require('./rows.js')

/** @typedef {import('./rows.js').Session} Session */

const RESULTS = { table: 'go_goscope_idempotency', namespace: '' }

/** What a user can sort by: columns of the rows that {@link list} has found. */
const SORTS = {
  key: ['"keyPrefix" COLLATE "C"', 'key COLLATE "C"'],
  state: ['state COLLATE "C"'],
  size: ['bytes'],
  expiry: ['"expiresPlace"'],
}

const EXPIRES_PLACE = `${place('stored.expires_at')} AS "expiresPlace"`

/** What a row of {@link list} has. */
const LISTED = '"keyPrefix", key, "storedKey", state, owner, bytes, "expiresAt", "expiresInMs"'

/** @param {Session} session */
const counts = (session) => countsOf(session, RESULTS, ENTRY_COUNTS)

/**
 * Results, and claims of runs that are under way. An application that never claims has no table for claims.
 *
 * @param {Session} session
 * @param {import('./rows.js').Selection & { all?: boolean }} selection
 */
async function list(session, { match, limit, all, sort = { column: 'key', isDescending: false } }) {
  const results = await rowsOf(session, RESULTS)
  const hasLocks = (await tables(session, [await session.tableName(locks.CLAIMS.table)])).length > 0
  const claims = hasLocks ? await claimsOf(session, all) : { sql: '', prefixes: [] }
  const sql = `
SELECT ${LISTED} FROM (
    SELECT ${COLUMNS}, 'result' AS state, NULL AS owner, ${EXPIRES_PLACE}
      FROM ${results.from} WHERE ${selected({ all })} ${claims.sql}) AS each
 ORDER BY ${sorted(SORTS, sort, '"storedKey" COLLATE "C", state')} LIMIT $4::int8`
  return session.query(sql, [...results.prefixes, match, String(limit), ...claims.prefixes])
}

/**
 * @param {Session} session
 * @param {boolean} [all] the expired ones, too
 */
async function claimsOf(session, all = false) {
  const { from, prefixes } = await rowsOf(session, locks.CLAIMS, 5)
  const sql = `
     UNION ALL
    SELECT known.key, known.prefix, stored.key, NULL, ${ms('stored.expires_at')}, ${msUntil('stored.expires_at')},
           'claim', stored.owner, ${EXPIRES_PLACE}
      FROM ${from} WHERE ($3 IS NULL OR known.key LIKE $3) AND ${locks.IS_CLAIM} ${all ? '' : `AND NOT ${IS_EXPIRED}`}`
  return { sql, prefixes }
}

module.exports = { RESULTS, SORTS, counts, list }
