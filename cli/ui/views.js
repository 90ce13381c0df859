// @ts-check
// What each view of the page shows: what is read for it, and how often.
'use strict'

const doctor = require('../commands/doctor.js')
const status = require('../commands/status.js')
const { misuse } = require('../problem.js')
const { counts } = require('../queries/cache.js')
const { tables } = require('../queries/catalogue.js')
const circuits = require('../queries/circuits.js')
const { circuitOf } = require('../circuit.js')
const { tableStatus } = require('../table-status.js')
const { quoted } = require('../tables.js')
const { HOUR_MS } = require('./history.js')
const { count, page, tableOf } = require('./tables.js')

/**
 * @typedef {import('./selection.js').Selection} Selection
 * @typedef {object} Context
 * @property {import('../session.js').Session} session
 * @property {import('../options.js').Given} given
 * @property {string[]} caches
 * @property {import('./history.js').History} history
 *
 * @typedef {{ event: string, name: string, source: import('./feeds.js').Source }} Part
 */

/** In ms. */
const EVERY = { rows: 2_000, count: 10_000, status: 3_000, checks: 60_000, changes: 2_000 }

/** So many breakers that have changed within the hour are followed at a time. */
const MOST_CHANGED = 500

const WITH_STATUS = ['overview', 'connections']
const WITH_ROWS = ['locks', 'circuits', 'tasks', 'checkpoints', 'cache', 'results', 'claims']

/**
 * The parts of a view: each is a feed, whose results are events of one name.
 *
 * @param {Context} context
 * @param {Selection} selection
 * @returns {Part[]}
 */
function partsOf(context, selection) {
  const { view } = selection
  const parts = [changes(context)]
  if (WITH_STATUS.includes(view)) parts.push(overview(context))
  if (view === 'connections') parts.push(checks(context, selection))
  if (view === 'cache') parts.push(size(context, selection))
  if (WITH_ROWS.includes(view)) parts.push(...rows(context, view, selection))
  if (parts.length === 1 && view !== 'plots') throw misuse(`there is no view '${view}'`)
  return parts
}

/**
 * @param {Context} context
 * @param {string} name of a table
 * @param {Selection} selection
 * @returns {Part[]}
 */
function rows(context, name, selection) {
  const table = tableOf(name, selection, context.caches)
  const { after, again, limit, order, ...counted } = selection
  const parts = [
    {
      event: name,
      name: JSON.stringify([name, selection]),
      source: { every: EVERY.rows, read: () => read(context, name, table, selection) },
    },
  ]
  if (table.found === undefined) return parts
  const counting = { every: EVERY.count, read: () => count(context.session, table, selection) }
  return [...parts, { event: `${name}-count`, name: JSON.stringify(['count', name, counted]), source: counting }]
}

/**
 * @param {Context} context
 * @param {string} name of a table
 * @param {ReturnType<typeof tableOf>} table
 * @param {Selection} selection
 */
async function read({ session, given, history }, name, table, selection) {
  const found = await page(session, given, table, selection)
  if (name !== 'circuits') return found
  history.record(found.rows)
  return { ...found, rows: found.rows.map((row) => ({ ...row, history: history.of(row.storedKey) })) }
}

/** Follows the breakers that change, also while no page shows them. @param {Context} context @returns {Part} */
function changes({ session, given, history }) {
  const read = async () => {
    const found = await circuits.changed(session, { sinceMs: HOUR_MS, limit: MOST_CHANGED })
    history.record(found.map((row) => ({ ...circuitOf(row, given), updatedAgoMs: row.updatedAgoMs })))
    return {}
  }
  return { event: 'server', name: 'changes', source: { every: EVERY.changes, read } }
}

/** @param {Context} context @returns {Part} */
const overview = ({ session, given }) => ({
  event: 'status',
  name: 'status',
  source: { every: EVERY.status, read: async () => (await status.look?.(session, given, []))?.data },
})

/** @param {Context} context @param {Selection} selection @returns {Part} */
const checks = ({ session, given }, { again }) => ({
  event: 'checks',
  name: JSON.stringify(['checks', again]),
  source: { every: EVERY.checks, read: async () => (await doctor.look?.(session, given, []))?.data },
})

/**
 * How much a cache has.
 *
 * @param {Context} context
 * @param {Selection} selection
 * @returns {Part}
 */
function size({ session }, { table }) {
  const name = table ?? 'go_goscope_cache'
  const names = quoted(name)
  const read = async () =>
    tableStatus(session, { name, names, counts: () => counts(session, table) }, await tables(session, names))
  return { event: 'size', name: JSON.stringify(['size', name]), source: { every: EVERY.count, read } }
}

module.exports = { partsOf, rows }
