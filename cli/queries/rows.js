// @ts-check
// The parts that queries about rows have in common.
//
// Plain reads of one snapshot. Changes that others make meanwhile (an insert, an update, a delete, an expiry) show in
// the next one. A row that another transaction has locked is read as it was committed last. No decision depends on
// these reads: `release` checks again, in the statement that deletes.
//
// Columns that only additions bring are read through `to_jsonb(stored)`, which gives NULL if there is no such column.
'use strict'

/**
 * Some rows of a table: those of the prefix that the user has named, or of every prefix.
 *
 * @typedef {object} Source
 * @property {string} table as the application names it
 * @property {string} namespace between prefix and key
 * @property {string} [column] that holds the key, if not `key`
 * @property {boolean} [ofAnyPrefix] also if the user has named a prefix
 *
 * @typedef {object} Selection
 * @property {string | undefined} [match] a LIKE pattern on the key as the caller knows it
 * @property {number} limit
 * @property {After} [after] the page begins after this row; without it, at the first one
 * @property {Sort} [sort] in place of the order of pages, for a list that has none
 *
 * @typedef {{ column: string, isDescending: boolean }} Sort
 * @typedef {{ place: number, key: string }} After a row: its place in the order, and its stored key
 * @typedef {import('../session.js').Session} Session
 */

/**
 * A time in seconds since 1970, for a column of any type: TIMESTAMP columns hold UTC, and `extract` takes them as that.
 * Two times of different types must not be compared without it: that would depend on the session's time zone.
 *
 * @param {string} time
 */
const seconds = (time) => `extract(epoch FROM ${time})`

/** @param {string} time */
const rounded = (time) => `round((${seconds(time)} * 1000)::float8)`

/**
 * A `float8` in JSON as a `numeric`, since the text of a `float8` depends on `extra_float_digits`. It has 15 digits
 * under any setting of the role or the database. Infinite numbers come as text.
 *
 * @param {string} float
 */
const exact = (
  float,
) => `(SELECT CASE WHEN float IN ('infinity', '-infinity') THEN to_json(float) ELSE to_json(float::numeric) END
           FROM (SELECT ${float}) AS inexact (float))`

/** Milliseconds since 1970. @param {string} time */
const ms = (time) => exact(rounded(time))

/** @param {string} time */
const msUntil = (time) => exact(`${rounded(time)} - ${rounded('clock_timestamp()')}`)

/** @param {string} time */
const msSince = (time) => exact(`${rounded('clock_timestamp()')} - ${rounded(time)}`)

/** A time as a place in an order, in ms since 1970: never comes last, and no time is too far away. @param {string} time */
const place = (time) =>
  `CASE WHEN ${time} IS NULL THEN 9e15 ELSE least(greatest(${seconds(time)} * 1000, -9e15), 9e15) END`

/** A condition on rows that expire. */
const IS_EXPIRED = `(${seconds('stored.expires_at')} <= ${seconds('clock_timestamp()')})`

/**
 * What follows FROM to find the rows of a source, as `stored`, each beside its key and its prefix as the caller knows
 * them, as `known`. The parameters $1 and $2 are its `prefixes`, unless others come first.
 *
 * If no prefix is wanted, the text before the first namespace in a stored key is taken as the prefix. This is a guess,
 * and wrong for a prefix that has the namespace in it.
 *
 * @param {Session} session
 * @param {Source} source
 * @param {number} [first] the number of the first of the two parameters
 */
async function rowsOf(session, { table, namespace, column = 'key', ofAnyPrefix = false }, first = 1) {
  const prefixes = ofAnyPrefix ? undefined : session.storedPrefixes(namespace)
  const [plain, spare] = [`$${first}`, `$${first + 1}`]
  const key = `stored.${column}`
  const length =
    prefixes === undefined
      ? `CASE WHEN strpos(${key}, '${namespace}') > 0
                  THEN strpos(${key}, '${namespace}') + length('${namespace}') - 1 ELSE 0 END`
      : `CASE WHEN starts_with(${key}, ${plain}) THEN length(${plain})
              WHEN starts_with(${key}, ${spare}) THEN length(${spare}) END`
  return {
    prefixes: prefixes ?? [null, null],
    from: `${await session.tableName(table)} AS stored
  JOIN LATERAL (SELECT ${length} AS length) AS head ON head.length IS NOT NULL
 CROSS JOIN LATERAL (SELECT substr(${key}, head.length + 1) AS key,
                            left(${key}, greatest(head.length - length('${namespace}'), 0)) AS prefix) AS known`,
  }
}

/**
 * Aggregates over all rows of a source.
 *
 * @param {Session} session
 * @param {Source} source
 * @param {string} columns
 */
async function countsOf(session, source, columns) {
  const { from, prefixes } = await rowsOf(session, source)
  return session.row(`SELECT ${columns} FROM ${from}`, prefixes)
}

/**
 * The parts of a query that gives rows page by page. A page begins after the last row of the page before. So the server
 * skips no rows, and rows that come or go meanwhile move no others. $6 and $7 are its parameters: see {@link startOf}.
 *
 * @param {string} place in the order, a whole number; rows of one place are in the order of their stored keys
 * @param {string} [key]
 */
const paged = (place, key = 'stored.key') => ({
  column: `(${place})::int8 AS place`,
  follows: `($6 IS NULL OR ((${place})::int8, ${key} COLLATE "C") > ($6::int8, $7))`,
  order: `place, ${key} COLLATE "C"`,
})

/**
 * The order of a list without pages, by a column that the user names. Rows without a value come last in both directions.
 *
 * @param {Record<string, string[]>} columns what each is sorted by
 * @param {Sort} sort
 * @param {string} last the order of rows that are equal
 */
const sorted = (columns, { column, isDescending }, last) =>
  [...columns[column].map((each) => `${each} ${isDescending ? 'DESC' : 'ASC'} NULLS LAST`), last].join(', ')

/** The place of rows in the order of their keys alone. */
const SAME_PLACE = '0'

/** @param {After} [after] @returns {(string | undefined)[]} */
const startOf = (after) => [after && String(after.place), after?.key]

/** More rows than this are not counted: it would take too long. */
const COUNTED = 200_000

/**
 * How many rows there are, at most one more than {@link COUNTED}.
 *
 * @param {Session} session
 * @param {string} rows what follows SELECT
 * @param {(string | null | undefined)[]} params
 * @returns {Promise<number>}
 */
async function countUpTo(session, rows, params) {
  const sql = `SELECT count(*) AS rows FROM (SELECT ${rows} LIMIT ${COUNTED + 1}) AS found`
  return (await session.row(sql, params)).rows
}

module.exports = {
  COUNTED,
  IS_EXPIRED,
  SAME_PLACE,
  countUpTo,
  countsOf,
  exact,
  ms,
  msSince,
  msUntil,
  paged,
  place,
  rowsOf,
  sorted,
  startOf,
}
