// @ts-check
'use strict'

const { entryOf } = require('../entry.js')
const { limited, shownKey } = require('../keys.js')
const { LISTING, PREFIX, likeOf, limitOf } = require('../options.js')
const { misuse } = require('../problem.js')
const { counts, list } = require('../queries/cache.js')
const { tables } = require('../queries/catalogue.js')
const { count, duration, size } = require('../units.js')
const { quoted } = require('../tables.js')

const LARGEST = 5

/** @type {import('../commands.js').Command} */
module.exports = {
  name: 'cache',
  summary: 'how much is cached, and what is largest',
  details: `
Counts, sizes and the largest entries; or with --keys the entries one by one. Counting reads the whole table. Sizes of
entries are those of the stored values, compressed where the server has compressed them.

--json prints { table, live, withoutExpiry, expired, bytes, tableBytes, largest: [entry] }, or with --keys an array of
entries: { key, keyPrefix, storedKey, bytes, state: "live" | "expired", expiresAt: ISO 8601 or null, expiresInMs }.`,
  options: {
    ...PREFIX,
    table: { type: 'string', value: 'NAME', help: 'the table of a PostgresCacheAdapter: name or schema.name' },
    keys: { type: 'boolean', short: 'k', help: 'the entries, in the order of their keys' },
    all: { type: 'boolean', short: 'a', help: 'with --keys, those that have expired, too: later calls remove them' },
    ...LISTING,
  },

  check(given) {
    if (!given.keys && (given.match ?? given.limit ?? given.all) !== undefined) {
      throw misuse('--match, --limit and --all go with --keys')
    }
  },

  async look(session, given) {
    const { table } = given
    if (given.keys) {
      const limit = limitOf(given)
      const rows = await list(session, { table, match: likeOf(given.match), limit: limit + 1, all: given.all })
      return limited(
        rows.map((/** @type {any} */ row) => entryOf(row, given)),
        limit,
      )
    }
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
    /** @type {import('../view.js').Column[]} */
    const columns = [
      { title: 'KEY', cell: (entry) => shownKey(entry, given), shrinks: true },
      { title: 'SIZE', align: 'right', cell: ({ bytes }) => size(bytes) },
      { title: 'EXPIRES IN', align: 'right', ticks: true, cell: expiry },
    ]
    if (given.keys) return data.length === 0 ? 'No entries.\n' : view.table(columns, data)
    const facts = view.facts([
      ['table', data.table],
      ['live', `${count(data.live)}, of which ${count(data.withoutExpiry)} without expiry`],
      ['expired', `${count(data.expired)}, which later calls remove`],
      ['values', size(data.bytes)],
      ['on disk', `${size(data.tableBytes)}, with indexes`],
    ])
    if (data.largest.length === 0) return facts
    return `${facts}\n${view.paint('The largest', 'bold')}\n${view.table(columns, data.largest)}`
  },
}

/** @param {any} entry @returns {import('../view.js').Cell} */
function expiry({ state, expiresInMs }) {
  if (expiresInMs === null) return 'never'
  return state === 'expired' ? { text: `expired ${duration(-expiresInMs)} ago`, colour: 'dim' } : duration(expiresInMs)
}
