// @ts-check
'use strict'

const {
  IS_EXPIRED,
  SAME_PLACE,
  countUpTo,
  countsOf,
  ms,
  msUntil,
  paged,
  place,
  rowsOf,
  sorted,
  startOf,
} = require('./rows.js')

/** @typedef {import('./rows.js').Session} Session */

const LOCKS = { table: 'go_goscope_locks', namespace: 'lock:' }

/** Claims of idempotent runs: locks in a namespace of their own. */
const CLAIMS = { table: 'go_goscope_locks', namespace: 'run:' }

/** A lock has waiters if either mark is set: the one of older versions is `awaited`. */
const COLUMNS = `stored.key AS "storedKey", stored.owner,
       ${ms('stored.expires_at')} AS "expiresAt",
       ${msUntil('stored.expires_at')} AS "expiresInMs",
       (to_jsonb(stored)->>'has_waiters')::bool OR (to_jsonb(stored)->>'awaited')::bool AS "hasWaiters"`

/** The orders of locks; by their expiry, what expires first is first. */
const PLACES = { key: SAME_PLACE, expiry: place('stored.expires_at') }

/** What a user can sort by. */
const SORTS = {
  key: ['stored.key COLLATE "C"'],
  owner: ['stored.owner COLLATE "C"'],
  expiry: [PLACES.expiry],
}

/**
 * What precedes the first of the namespaces is the prefix. Without a wanted prefix, a row is found in both namespaces.
 */
const IS_CLAIM = `(strpos(stored.key, 'run:') > 0 AND strpos(stored.key, 'lock:') NOT BETWEEN 1 AND strpos(stored.key, 'run:'))`

/**
 * @typedef {object} Only
 * @property {boolean} [all] the expired ones, too
 * @property {boolean} [matchesOwner] the pattern is also for owners
 * @property {boolean} [claims] only claims; false for none of them, absent for whatever the table has
 *
 * @param {Only} only
 */
const selected = ({ all = false, matchesOwner = false, claims }) =>
  [
    `($3 IS NULL OR known.key LIKE $3${matchesOwner ? ' OR stored.owner LIKE $3' : ''})`,
    ...(all ? [] : [`NOT ${IS_EXPIRED}`]),
    ...(claims === undefined ? [] : [claims ? IS_CLAIM : `NOT ${IS_CLAIM}`]),
  ].join(' AND ')

/**
 * @param {Session} session
 * @param {import('./rows.js').Selection & Only & { order?: keyof typeof PLACES, ofAnyPrefix?: boolean }} selection
 */
async function list(session, { match, limit, order = 'key', after, sort, ofAnyPrefix, ...only }) {
  const { from, prefixes } = await rowsOf(session, { ...(only.claims ? CLAIMS : LOCKS), ofAnyPrefix })
  const page = paged(PLACES[order])
  const sql = `
SELECT known.key, known.prefix AS "keyPrefix", ${COLUMNS}, ${page.column}
  FROM ${from}
 WHERE ${selected(only)} AND ${page.follows}
 ORDER BY ${sort === undefined ? page.order : sorted(SORTS, sort, page.order)} LIMIT $4::int8`
  return session.query(sql, [...prefixes, match, String(limit), null, ...startOf(after)])
}

/**
 * @param {Session} session
 * @param {Only & { match?: string }} selection
 */
async function found(session, { match, ...only }) {
  const { from, prefixes } = await rowsOf(session, only.claims ? CLAIMS : LOCKS)
  return countUpTo(session, `FROM ${from} WHERE ${selected(only)}`, [...prefixes, match])
}

/** @param {Session} session */
const counts = (session) =>
  countsOf(
    session,
    LOCKS,
    `count(*) FILTER (WHERE NOT ${IS_EXPIRED}) AS held, count(*) FILTER (WHERE ${IS_EXPIRED}) AS expired`,
  )

/**
 * The lock, or claim, under a key, if there is one.
 *
 * @param {Session} session
 * @param {string} key as an application gives it
 * @param {import('./rows.js').Source} [source]
 */
async function one(session, key, source = LOCKS) {
  const sql = `SELECT ${COLUMNS} FROM ${await session.tableName(source.table)} AS stored WHERE key = $1`
  return session.row(sql, [await session.storedKey(source, key)])
}

/**
 * The lock, or claim, under a stored key, if there is one.
 *
 * @param {Session} session
 * @param {import('./rows.js').Source} source
 * @param {string} storedKey
 */
async function stored(session, source, storedKey) {
  const { from, prefixes } = await rowsOf(session, source)
  const sql = `SELECT known.key, known.prefix AS "keyPrefix", ${COLUMNS} FROM ${from} WHERE stored.key = $3`
  return session.row(sql, [...prefixes, storedKey])
}

module.exports = { CLAIMS, IS_CLAIM, LOCKS, SORTS, counts, found, list, one, stored }
