// @ts-check
'use strict'

const { countsOf, ms, msSince, rowsOf } = require('./rows.js')

/** @typedef {import('./rows.js').Session} Session */

const CIRCUITS = { table: 'go_goscope_circuit', namespace: 'circuit:' }

/**
 * Rows that need attention come first.
 *
 * @param {Session} session
 * @param {import('./rows.js').Selection & { state?: string }} selection
 */
async function list(session, { match, limit, state }) {
  const { from, prefixes } = await rowsOf(session, CIRCUITS)
  const sql = `
SELECT known.key, known.prefix AS "keyPrefix", stored.key AS "storedKey", stored.state,
       stored.failure_count AS "failureCount",
       ${ms('stored.last_failure_time')} AS "lastFailureAt",
       ${msSince('stored.last_failure_time')} AS "lastFailureAgoMs",
       ${ms('stored.last_success_time')} AS "lastSuccessAt",
       ${msSince('stored.last_success_time')} AS "lastSuccessAgoMs",
       ${ms('stored.updated_at')} AS "updatedAt"
  FROM ${from}
 WHERE ($3 IS NULL OR known.key LIKE $3) AND ($5 IS NULL OR stored.state = $5)
 ORDER BY CASE stored.state WHEN 'open' THEN 0 WHEN 'half-open' THEN 1 ELSE 2 END, stored.key COLLATE "C"
 LIMIT $4::int8`
  return session.query(sql, [...prefixes, match, String(limit), state])
}

/** @param {Session} session */
const counts = (session) =>
  countsOf(
    session,
    CIRCUITS,
    `count(*) FILTER (WHERE stored.state = 'open') AS open,
     count(*) FILTER (WHERE stored.state = 'half-open') AS "halfOpen",
     count(*) FILTER (WHERE stored.state = 'closed') AS closed`,
  )

module.exports = { counts, list }
