// @ts-check
'use strict'

const { entryColumns, entryOf } = require('../entry.js')
const { CACHE, PREFIX } = require('../options.js')
const { misuse } = require('../problem.js')
const { counts, list } = require('../queries/cache.js')
const { tables } = require('../queries/catalogue.js')
const { count, size } = require('../units.js')
const { quoted } = require('../tables.js')
const entries = require('./cache-list.js')

const LARGEST = 5

/** The options that are only for a list. */
const OF_LIST = Object.keys(entries.options ?? {}).filter((name) => !Object.hasOwn({ ...PREFIX, ...CACHE }, name))

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
Counts, sizes and the largest entries; or with --keys the entries one by one, as "cache list". Counting reads the whole
table. Sizes of entries are those of the stored values, compressed where the server has compressed them.

--json prints { table, live, withoutExpiry, expired, bytes, tableBytes, largest: [entry] }, or with --keys an array of
entries: { key, keyPrefix, storedKey, bytes, state: "live" | "expired", expiresAt: ISO 8601 or null, expiresInMs }.`,
  options: {
    ...entries.options,
    keys: { type: 'boolean', short: 'k', help: 'the entries: as the subcommand list' },
  },

  check(given) {
    if (given.keys) return entries.check?.(given)
    const excess = OF_LIST.find((name) => given[name] !== undefined)
    if (excess !== undefined) throw misuse(`--${excess} goes with --keys`, 'The same is: goscope-postgres cache list')
  },

  async look(session, given, positionals) {
    if (given.keys && entries.look) return entries.look(session, given, positionals)
    const { table } = given
    const name = table ?? 'go_goscope_cache'
    const [counted, largest, [found]] = await Promise.all([
      counts(session, table),
      list(session, { table, limit: LARGEST, order: 'size' }),
      tables(session, quoted(name)),
    ])
    return {
      data: {
        table: found ? `${found.schema}.${found.table}` : name,
        ...counted,
        tableBytes: found?.bytes ?? null,
        largest: largest.map((/** @type {any} */ row) => entryOf(row, given)),
      },
    }
  },

  show(data, view, given) {
    if (given.keys) return entries.show?.(data, view, given) ?? ''
    const facts = view.facts([
      ['table', data.table],
      ['live', `${count(data.live)}, of which ${count(data.withoutExpiry)} without expiry`],
      ['expired', `${count(data.expired)}, which later calls remove`],
      ['values', size(data.bytes)],
      ['on disk', `${size(data.tableBytes)}, with indexes`],
    ])
    if (data.largest.length === 0) return facts
    return `${facts}\n${view.paint('The largest', 'bold')}\n${view.table(entryColumns(given), data.largest)}`
  },
}
