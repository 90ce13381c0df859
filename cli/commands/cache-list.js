// @ts-check
'use strict'

const { entryColumns, entryOf } = require('../entry.js')
const { listing } = require('../listing.js')
const { CACHE, EXPIRED } = require('../options.js')
const { list } = require('../queries/cache.js')
const { SORTS } = require('../queries/entries.js')

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
In the order of their keys, unless sorted. Sizes are those of the stored values, compressed where the server has
compressed them.

--json prints an array of { key, keyPrefix, storedKey, bytes, state: "live" | "expired", expiresAt: ISO 8601 or null,
expiresInMs }.`,
  ...listing({
    sorts: SORTS,
    options: { ...CACHE, ...EXPIRED },
    rows: (session, selection, { table, all }) => list(session, { ...selection, table, all }),
    record: entryOf,
  }),

  show: (entries, view, given) => (entries.length === 0 ? 'No entries.\n' : view.table(entryColumns(given), entries)),
}
