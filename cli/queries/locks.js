// @ts-check
'use strict'

const { IS_EXPIRED, countsOf, ms, msUntil, rowsOf } = require('./rows.js')

/** @typedef {import('./rows.js').Session} Session */

const LOCKS = { table: 'go_goscope_locks', namespace: 'lock:' }

/** A lock has waiters if either mark is set: the one of older versions is `awaited`. */
const COLUMNS = `stored.key AS "storedKey", stored.owner,
       ${ms('stored.expires_at')} AS "expiresAt",
       ${msUntil('stored.expires_at')} AS "expiresInMs",
       (to_jsonb(stored)->>'has_waiters')::bool OR (to_jsonb(stored)->>'awaited')::bool AS "hasWaiters"`

/**
 * @param {Session} session
 * @param {import('./rows.js').Selection & { all?: boolean, ofAnyPrefix?: boolean }} selection
 */
async function list(session, { match, limit, all = false, ofAnyPrefix }) {
  const { from, prefixes } = await rowsOf(session, { ...LOCKS, ofAnyPrefix })
  const sql = `
SELECT known.key, known.prefix AS "keyPrefix", ${COLUMNS}
  FROM ${from}
 WHERE ($3 IS NULL OR known.key LIKE $3) ${all ? '' : `AND NOT ${IS_EXPIRED}`}
 ORDER BY stored.key COLLATE "C" LIMIT $4::int8`
  return session.query(sql, [...prefixes, match, String(limit)])
}

/** @param {Session} session */
const counts = (session) =>
  countsOf(
    session,
    LOCKS,
    `count(*) FILTER (WHERE NOT ${IS_EXPIRED}) AS held, count(*) FILTER (WHERE ${IS_EXPIRED}) AS expired`,
  )

/**
 * The lock under a key, if there is one.
 *
 * @param {Session} session
 * @param {string} key as an application gives it
 */
async function one(session, key) {
  const sql = `SELECT ${COLUMNS} FROM ${await session.tableName(LOCKS.table)} AS stored WHERE key = $1`
  return session.row(sql, [await session.storedKey(LOCKS, key)])
}

module.exports = { counts, list, one }
