// @ts-check
// The rows of each table, page by page.
'use strict'

const { checkpointOf } = require('../checkpoint.js')
const { circuitOf } = require('../circuit.js')
const { entryOf } = require('../entry.js')
const { lockOf } = require('../lock.js')
const { misuse } = require('../problem.js')
const checkpoints = require('../queries/checkpoints.js')
const circuits = require('../queries/circuits.js')
const { sourceOf } = require('../queries/cache.js')
const { entries, entriesFound } = require('../queries/entries.js')
const { RESULTS } = require('../queries/idempotency.js')
const locks = require('../queries/locks.js')
const { COUNTED } = require('../queries/rows.js')
const { iso, whole } = require('../units.js')

/**
 * @typedef {import('../session.js').Session} Session
 * @typedef {import('../options.js').Given} Given
 * @typedef {import('./selection.js').Selection} Selection
 *
 * @typedef {object} Table
 * @property {readonly string[]} orders the first one unless another is asked for
 * @property {(session: Session, selection: any) => Promise<any[]>} list
 * @property {(session: Session, selection: any) => Promise<number>} [found] how many rows there are on all pages
 * @property {(row: any, given: Given) => any} record
 */

/** Of a task: its newest checkpoint, and how fast it goes. @param {any} row */
function taskOf(row) {
  const gained = row.progress - row.firstProgress
  const ms = row.savedAt - row.firstSavedAt
  const perMs = gained > 0 && ms > 0 ? gained / ms : undefined
  const left = row.progress >= 100 ? 0 : perMs === undefined ? undefined : (100 - row.progress) / perMs
  return {
    ...checkpointOf(row),
    storedKey: row.storedKey,
    progressPerHour: perMs === undefined ? null : perMs * 3_600_000,
    // What the application estimates counts more than what its progress so far says.
    endsAt: iso(estimateOf(row, left)),
    estimatedBy: row.estimatedTimeRemainingMs !== null ? 'application' : left === undefined ? null : 'rate',
  }
}

/**
 * @param {any} row
 * @param {number | undefined} left ms
 */
const estimateOf = ({ savedAt, estimatedTimeRemainingMs: ms }, left) =>
  ms !== null ? savedAt + ms : left === undefined ? undefined : Math.round(savedAt + left)

/** Of circuits, for their history: how long ago the row was written last. @param {any} row @param {Given} given */
const circuitRecord = (row, given) => ({ ...circuitOf(row, given), updatedAgoMs: whole(row.updatedAgoMs) })

/** @type {Record<string, Table>} */
const TABLES = {
  locks: {
    orders: ['key', 'expiry'],
    list: (session, selection) => locks.list(session, { ...selection, matchesOwner: true, claims: false }),
    found: (session, selection) => locks.found(session, { ...selection, matchesOwner: true, claims: false }),
    record: lockOf,
  },
  claims: {
    orders: ['key', 'expiry'],
    list: (session, selection) => locks.list(session, { ...selection, matchesOwner: true, claims: true }),
    found: (session, selection) => locks.found(session, { ...selection, matchesOwner: true, claims: true }),
    record: lockOf,
  },
  circuits: {
    orders: ['state'],
    list: circuits.list,
    found: circuits.found,
    record: circuitRecord,
  },
  tasks: { orders: ['key'], list: checkpoints.tasks, found: checkpoints.tasksFound, record: taskOf },
  checkpoints: {
    orders: ['sequence'],
    list: checkpoints.list,
    record: (row) => ({ ...checkpointOf(row), storedKey: row.id }),
  },
  cache: {
    orders: ['size', 'key', 'expiry'],
    list: (session, { table, ...selection }) => entries(session, sourceOf(table), selection),
    found: (session, { table, ...selection }) => entriesFound(session, sourceOf(table), selection),
    record: entryOf,
  },
  results: {
    orders: ['key', 'size', 'expiry'],
    list: (session, selection) => entries(session, RESULTS, selection),
    found: (session, selection) => entriesFound(session, RESULTS, selection),
    record: entryOf,
  },
}

const STATES = ['open', 'half-open', 'closed']

/**
 * @param {string} view
 * @param {Selection} selection
 * @param {string[]} caches the tables of caches that may be asked for
 */
function tableOf(view, selection, caches) {
  if (!Object.hasOwn(TABLES, view)) throw misuse(`there is no table '${view}'`)
  const table = TABLES[view]
  const { order = table.orders[0], state } = selection
  if (!table.orders.includes(order)) throw misuse(`the order must be one of ${table.orders.join(', ')}`)
  if (state !== undefined && !STATES.includes(state)) throw misuse(`the state must be one of ${STATES.join(', ')}`)
  if (selection.table !== undefined && !caches.includes(selection.table))
    throw misuse(`'${selection.table}' is not among the tables that --table names`)
  if (view === 'checkpoints' && selection.task === undefined) throw misuse('checkpoints are those of a task')
  return { ...table, order }
}

/**
 * @param {Session} session
 * @param {Given} given
 * @param {Table & { order: string }} table
 * @param {Selection} selection
 */
async function page(session, given, table, selection) {
  const { limit } = selection
  const rows = await table.list(session, { ...selection, order: table.order, limit: limit + 1 })
  const last = rows.length > limit ? rows[limit - 1] : undefined
  return {
    rows: rows.slice(0, limit).map((row) => table.record(row, given)),
    next: last === undefined ? null : [last.place, last.storedKey ?? ''],
  }
}

/**
 * @param {Session} session
 * @param {Table} table
 * @param {Selection} selection
 */
async function count(session, table, selection) {
  const rows = (await table.found?.(session, selection)) ?? 0
  return { rows: Math.min(rows, COUNTED), isMore: rows > COUNTED }
}

module.exports = { count, page, tableOf }
