// @ts-check
'use strict'

const { countUpTo, countsOf, ms, msSince, paged, rowsOf, sorted, startOf } = require('./rows.js')

/** @typedef {import('./rows.js').Session} Session */

const CIRCUITS = { table: 'go_goscope_circuit', namespace: 'circuit:' }

const COLUMNS = `known.key, known.prefix AS "keyPrefix", stored.key AS "storedKey", stored.state,
       stored.failure_count AS "failureCount",
       ${ms('stored.last_failure_time')} AS "lastFailureAt",
       ${msSince('stored.last_failure_time')} AS "lastFailureAgoMs",
       ${ms('stored.last_success_time')} AS "lastSuccessAt",
       ${msSince('stored.last_success_time')} AS "lastSuccessAgoMs",
       ${ms('stored.updated_at')} AS "updatedAt", ${msSince('stored.updated_at')} AS "updatedAgoMs"`

/** Rows that need attention come first. */
const PLACE = "CASE stored.state WHEN 'open' THEN 0 WHEN 'half-open' THEN 1 ELSE 2 END"

/** What a user can sort by. */
const SORTS = {
  state: [PLACE],
  key: ['stored.key COLLATE "C"'],
  failures: ['stored.failure_count'],
  'last-failure': ['stored.last_failure_time'],
  'last-success': ['stored.last_success_time'],
}

const SELECTED = '($3 IS NULL OR known.key LIKE $3) AND ($5 IS NULL OR stored.state = $5)'

/**
 * @param {Session} session
 * @param {import('./rows.js').Selection & { state?: string, ofAnyPrefix?: boolean }} selection
 */
async function list(session, { match, limit, state, after, sort, ofAnyPrefix }) {
  const { from, prefixes } = await rowsOf(session, { ...CIRCUITS, ofAnyPrefix })
  const page = paged(PLACE)
  const sql = `
SELECT ${COLUMNS}, ${page.column}
  FROM ${from}
 WHERE ${SELECTED} AND ${page.follows}
 ORDER BY ${sort === undefined ? page.order : sorted(SORTS, sort, page.order)} LIMIT $4::int8`
  return session.query(sql, [...prefixes, match, String(limit), state, ...startOf(after)])
}

/**
 * @param {Session} session
 * @param {{ match?: string, state?: string }} selection
 */
async function found(session, { match, state }) {
  const { from, prefixes } = await rowsOf(session, CIRCUITS)
  return countUpTo(session, `FROM ${from} WHERE ${SELECTED}`, [...prefixes, match, null, state])
}

/**
 * Those that have been written in the last milliseconds: the only ones whose state can have changed.
 *
 * @param {Session} session
 * @param {{ sinceMs: number, limit: number }} selection
 */
async function changed(session, { sinceMs, limit }) {
  const { from, prefixes } = await rowsOf(session, CIRCUITS)
  const sql = `
SELECT ${COLUMNS} FROM ${from}
 WHERE extract(epoch FROM stored.updated_at) > extract(epoch FROM clock_timestamp()) - $3::float8 / 1000
 ORDER BY stored.updated_at DESC, stored.key COLLATE "C" LIMIT $4::int8`
  return session.query(sql, [...prefixes, String(sinceMs), String(limit)])
}

/**
 * The circuit breaker under a stored key, if there is one.
 *
 * @param {Session} session
 * @param {string} storedKey
 */
async function stored(session, storedKey) {
  const { from, prefixes } = await rowsOf(session, CIRCUITS)
  return session.row(`SELECT ${COLUMNS} FROM ${from} WHERE stored.key = $3`, [...prefixes, storedKey])
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

module.exports = { CIRCUITS, SORTS, changed, counts, found, list, stored }
