// @ts-check
// What stands in the tables of both drivers: read, compared, made alike again.
'use strict'

const { isDeepStrictEqual } = require('node:util')
const { ADVANCE_MS, PREFIXES } = require('./operations.js')

/** @typedef {import('./drivers.js').Database} Database */
/** @typedef {{ key: string, theirs?: Row, ours?: Row }} RowDifference */
/** @typedef {Record<string, any>} Row times are in ms since the epoch, everything else is text */
/** @typedef {Map<string, Row>} Rows by key */
/** @typedef {{ now: number, theirs: Rows, ours: Rows }} Contents of one table of both drivers, and the server's time */

/** @type {Record<string, { table: string, key: string, times: string[], rest: string[] }>} */
const TABLES = {
  locks: { table: 'go_goscope_locks', key: 'key', times: ['expires_at'], rest: ['owner'] },
  circuits: {
    table: 'go_goscope_circuit',
    key: 'key',
    times: ['last_failure_time', 'last_success_time', 'updated_at'],
    rest: ['state', 'failure_count'],
  },
  cache: { table: 'go_goscope_cache', key: 'key', times: ['expires_at', 'accessed_at'], rest: ['value'] },
  'cache table': {
    table: 'cache',
    key: 'key',
    times: ['expires_at', 'created_at', 'accessed_at'],
    rest: ['value'],
  },
  checkpoints: {
    table: 'go_goscope_checkpoints',
    key: 'id',
    times: ['created_at'],
    rest: ['task_id', 'sequence', 'timestamp', 'progress', 'data', 'estimated_time_remaining'],
  },
  results: {
    table: 'go_goscope_idempotency',
    key: 'key',
    times: ['expires_at', 'created_at', 'updated_at'],
    rest: ['value'],
  },
}

/** The table of each method of `PostgresAdapter`; any will do for `connect`. */
const METHODS = {
  locks: ['connect', 'acquire', 'extend', 'forceRelease', 'release', 'isValid'],
  circuits: ['getState', 'setState', 'recordFailure', 'recordSuccess'],
  cache: ['get', 'set', 'delete', 'has', 'clear', 'keys'],
  checkpoints: ['save', 'load', 'loadLatest', 'list', 'cleanup', 'deleteAll'],
}

/** @param {import('./operations.js').Call} call */
function tableOf({ on, method }) {
  if (on !== 'adapter') return on === 'cache' ? 'cache table' : 'results'
  const found = Object.entries(METHODS).find(([, methods]) => methods.includes(method))
  if (!found) throw new Error(`no table is known for ${method}`)
  return found[0]
}

/**
 * Times that operations write, of the present or of the days to come: two of them are alike if they are this close. TTLs
 * and advances of the clock are hours apart, so this is coarse enough for any machine and fine enough for any error.
 */
const TOLERANCE_MS = 20 * 60_000

/** Whether the operations made a time themselves: those that callers give are older, or lie between the TTLs' ends. */
const isMade = (/** @type {number} */ time) => (time > Date.UTC(2024) && time < Date.UTC(2500)) || time > 9e14

/**
 * @param {number | null | undefined} theirs
 * @param {number | null | undefined} ours
 */
function sameTime(theirs, ours) {
  if (typeof theirs !== 'number' || typeof ours !== 'number') return theirs === ours
  // The server's arithmetic on times far away, in binary fractions, is off by less than this.
  return Math.abs(theirs - ours) < (isMade(theirs) && isMade(ours) ? TOLERANCE_MS : 0.2)
}

/**
 * Ours keeps the prefix in a checkpoint's names and the reference does not; they are compared without it.
 *
 * @param {string} table
 * @param {string} column
 */
function unprefixed(table, column) {
  if (table !== 'checkpoints' || !['id', 'task_id'].includes(column)) return `${column}::text`
  const cuts = PREFIXES.map(
    (prefix) => `WHEN starts_with(${column}, '${prefix}') THEN substr(${column}, ${prefix.length + 1})`,
  )
  return `CASE ${cuts.filter((_, n) => PREFIXES[n] !== '').join(' ')} ELSE ${column} END`
}

/**
 * @param {Database} db
 * @param {string} name
 * @returns {Promise<Contents>}
 */
async function read(db, name) {
  const { table, key, times, rest } = TABLES[name]
  const columns = [
    ...times.map((column) => `'${column}', (extract(epoch FROM ${column}) * 1000)::float8`),
    ...rest.map((column) => `'${column}', ${unprefixed(name, column)}`),
  ]
  const of = (/** @type {string} */ schema) =>
    `SELECT '${schema}' AS driver, ${unprefixed(name, key)} AS key, json_build_object(${columns.join(', ')}) AS row FROM ${schema}.${table}`
  const text = `
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now, driver, key, row
      FROM (VALUES (1)) AS one LEFT JOIN (${of('reference')} UNION ALL ${of('ours')}) AS rows ON true`
  // Prepared: planning it takes longer than running it.
  const { rows } = await db.plain.query({ name: `read ${name}`, text })
  const driver = (/** @type {string} */ name) =>
    new Map(rows.filter((row) => row.driver === name).map(({ key, row }) => [key, row]))
  return { now: rows[0].now, theirs: driver('reference'), ours: driver('ours') }
}

/**
 * @param {Contents} contents
 * @param {Map<string, string>} drawn the owners that the reference drew, by those that we drew
 * @returns {RowDifference[]}
 */
function differingRows({ theirs, ours }, drawn) {
  const keys = [...new Set([...theirs.keys(), ...ours.keys()])].sort()
  return keys
    .map((key) => ({ key, theirs: theirs.get(key), ours: ours.get(key) }))
    .filter(({ theirs, ours }) => !theirs || !ours || differingColumns(theirs, ours, drawn).length > 0)
}

/**
 * @param {Row} theirs
 * @param {Row} ours
 * @param {Map<string, string>} [drawn]
 */
function differingColumns(theirs, ours, drawn) {
  const columns = [...new Set([...Object.keys(theirs), ...Object.keys(ours)])]
  return columns.filter((column) => {
    if (column.endsWith('_at') || column.endsWith('_time')) return !sameTime(theirs[column], ours[column])
    const expected = column === 'owner' ? (drawn?.get(ours.owner) ?? ours.owner) : ours[column]
    return !isDeepStrictEqual(theirs[column], expected)
  })
}

/**
 * Gives the reference our rows under these keys.
 *
 * @param {Database} db
 * @param {string} name
 * @param {string[]} keys
 * @param {Map<string, string>} drawn
 */
async function makeAlike(db, name, keys, drawn) {
  const { table, key, times, rest } = TABLES[name]
  const copied = [key, ...rest].map((column) => `(${unprefixed(name, column)})::${TYPES[column] ?? 'text'}`)
  await db.query(`DELETE FROM reference.${table} WHERE ${key} = ANY ($1)`, [keys])
  await db.query(
    `INSERT INTO reference.${table} (${[key, ...rest, ...times].join(', ')})
     SELECT ${[...copied, ...times].join(', ')} FROM ours.${table} WHERE ${unprefixed(name, key)} = ANY ($1)`,
    [keys],
  )
  if (name !== 'locks') return
  // Their handles know the locks under the owners that they drew.
  for (const owners of drawn) await db.query(`UPDATE reference.${table} SET owner = $2 WHERE owner = $1`, owners)
}

/** @type {Record<string, string>} */
const TYPES = {
  value: 'jsonb',
  data: 'jsonb',
  failure_count: 'integer',
  sequence: 'bigint',
  timestamp: 'bigint',
  progress: 'float8',
  estimated_time_remaining: 'bigint',
}

/** @param {Database} db */
async function advanceClock(db) {
  const by = `INTERVAL '${ADVANCE_MS} milliseconds'`
  await onBoth(db, ({ table, times }) => {
    const sets = times.map((column) => `${column} = ${column} - ${by}`)
    return (schema) => `UPDATE ${schema}.${table} SET ${sets.join(', ')}`
  })
}

/** @param {Database} db */
async function emptyAll(db) {
  await onBoth(
    db,
    ({ table }) =>
      (schema) =>
        `DELETE FROM ${schema}.${table}`,
  )
}

/**
 * @param {Database} db
 * @param {(table: { table: string, times: string[] }) => (schema: string) => string} statement
 */
async function onBoth(db, statement) {
  const all = Object.values(TABLES).flatMap((table) => ['reference', 'ours'].map(statement(table)))
  await db.query(all.join(';'))
}

module.exports = { advanceClock, differingColumns, differingRows, emptyAll, makeAlike, read, sameTime, tableOf }
