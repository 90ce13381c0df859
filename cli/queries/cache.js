// @ts-check
'use strict'

const { ENTRY_COUNTS, entries } = require('./entries.js')
const { countsOf } = require('./rows.js')

/** @typedef {import('./rows.js').Session} Session */

/** The cache of an adapter; or the table of a PostgresCacheAdapter, whose keys have no namespace. @param {string} [table] */
const sourceOf = (table) =>
  table === undefined ? { table: 'go_goscope_cache', namespace: 'cache:' } : { table, namespace: '' }

/**
 * @param {Session} session
 * @param {import('./entries.js').Selection & { table?: string }} selection
 */
const list = (session, { table, ...selection }) => entries(session, sourceOf(table), selection)

/** @param {Session} session @param {string} [table] */
const counts = (session, table) => countsOf(session, sourceOf(table), ENTRY_COUNTS)

module.exports = { counts, list, sourceOf }
