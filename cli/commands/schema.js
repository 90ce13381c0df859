// @ts-check
'use strict'

const { cacheObjects, cacheTable, grants, ofTables, schema } = require('../migrations.js')
const { missing } = require('../missing.js')
const { CONNECTING } = require('../options.js')
const { partitionedIndex, partsOf } = require('../partitions.js')
const { FINE } = require('../problem.js')
const { whileSlow } = require('../progress.js')
const { objects: objectsIn } = require('../queries/catalogue.js')
const { objectsOf } = require('../source.js')
const { DOCUMENTED, NAMES, namesOf, quote } = require('../tables.js')

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
For applications with createTables: false, and for migrations. Needs no server, unless --missing is to find one to
compare with. What is printed may be run again, and leaves alone what is there:

  goscope-postgres schema | psql
  goscope-postgres schema --missing --url postgres://owner@db.internal/app`,
  options: {
    only: {
      type: 'string',
      value: 'TABLES',
      values: Object.keys(NAMES),
      help: `some of ${Object.keys(NAMES).join(',')}`,
    },
    table: { type: 'string', value: 'NAME', help: 'and the table of a PostgresCacheAdapter: name or schema.name' },
    role: { type: 'string', value: 'ROLE', help: 'and the rights of the role that an application connects as' },
    missing: { type: 'boolean', help: 'only what the server has not' },
    ...CONNECTING,
  },
  connects: false,

  async run({ given, held }) {
    const tables = given.only === undefined ? DOCUMENTED.map(({ name }) => name) : namesOf(given.only)
    const cache = given.table === undefined ? undefined : require('../../lib/arguments.js').tableName(given.table)
    const parts = given.missing
      ? await lacking(given, tables, cache, held)
      : [given.only === undefined ? schema() : ofTables(tables), ...(cache ? [cacheTable(quote(cache))] : [])]
    if (given.role !== undefined) parts.push(rights(given.role, tables, cache))
    process.stdout.write(`${parts.filter(Boolean).join('\n\n') || '-- Nothing is missing.'}\n`)
    return FINE
  },
}

/**
 * @param {import('../options.js').Given} given
 * @param {string[]} tables
 * @param {string[] | undefined} cache
 * @param {{ session?: import('../session.js').Session }} held
 */
async function lacking(given, tables, cache, held) {
  const { Session } = require('../session.js')
  const session = new Session(given)
  held.session = session
  await whileSlow('Connecting', session.reach())
  const names = [...tables.map((name) => quote([name])), ...(cache ? [quote(cache)] : [])]
  const objects = await objectsIn(session, names)
  const parts = missing(objectsOf(tables), objects)
  const isThere =
    cache === undefined ||
    objects.indexes.some(
      ({ table, columns, isValid }) => table === quote(cache) && columns[0] === 'expires_at' && isValid,
    )
  if (isThere) return parts
  const cacheParts = partsOf(quote(cache), objects)
  if (cacheParts.length === 0) return [...parts, cacheTable(quote(cache))]
  const name = `idx_${cache[cache.length - 1]}_expires`.replace(/\W/g, '_')
  const [index] = cacheObjects().filter(({ kind }) => kind === 'index')
  return [...parts, ...partitionedIndex(name, index.on, cacheParts)]
}

/**
 * The rights that a role needs for these tables.
 *
 * @param {string} role
 * @param {string[]} tables
 * @param {string[] | undefined} cache
 */
function rights(role, tables, cache) {
  const statements = grants(quote([role]), tables, cache)
  return [...statements.tables, ...statements.functions].join('\n')
}
