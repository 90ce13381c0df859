// @ts-check
'use strict'

const migrations = require('../migrations.js')
const { CONNECTING } = require('../options.js')
const { partitionedIndex, partsOf } = require('../partitions.js')
const { FINE } = require('../problem.js')
const { whileSlow } = require('../progress.js')
const { DOCUMENTED, NAMES, namesOf, quote } = require('../tables.js')

/** @type {import('../commands.js').Command} */
module.exports = {
  name: 'schema',
  summary: 'prints the SQL that makes the tables, or what of it is missing',
  details: `
For applications with createTables: false, and for migrations. Needs no server, unless --missing is to find one to
compare with. What is printed may be run again, and leaves alone what is there:

  goscope-postgres schema | psql
  goscope-postgres schema --missing --url postgres://owner@db.internal/app`,
  options: {
    only: { type: 'string', value: 'TABLES', help: `some of ${Object.keys(NAMES).join(',')}` },
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
      ? await missing(given, tables, cache, held)
      : [
          given.only === undefined ? migrations.read('schema.sql').trim() : ofTables(tables),
          ...(cache ? [migrations.cacheTable(cache).trim()] : []),
        ]
    if (given.role !== undefined) parts.push(rights(given.role, tables, cache))
    process.stdout.write(`${parts.filter(Boolean).join('\n\n') || '-- Nothing is missing.'}\n`)
    return FINE
  },
}

/** @param {string[]} tables */
const ofTables = (tables) =>
  migrations
    .of(migrations.documented(), tables)
    .map(({ sql }) => sql)
    .join('\n\n')

/**
 * @param {import('../options.js').Given} given
 * @param {string[]} tables
 * @param {string[] | undefined} cache
 * @param {{ session?: import('../session.js').Session }} held
 */
async function missing(given, tables, cache, held) {
  const { Session } = require('../session.js')
  const session = new Session(given)
  held.session = session
  await whileSlow('Connecting', session.reach())
  const names = [...tables.map((name) => quote([name])), ...(cache ? [quote(cache)] : [])]
  /** @type {migrations.Objects} */
  const objects = await session.look('objects', JSON.stringify(names))
  const parts = migrations.missing(migrations.of(migrations.documented(), tables), objects)
  const isThere =
    cache === undefined ||
    objects.indexes.some(
      ({ table, columns, isValid }) => table === quote(cache) && columns[0] === 'expires_at' && isValid,
    )
  if (isThere) return parts
  const cacheParts = partsOf(quote(cache), objects)
  if (cacheParts.length === 0) return [...parts, migrations.cacheTable(cache).trim()]
  const name = `idx_${cache[cache.length - 1]}_expires`.replace(/\W/g, '_')
  return [...parts, ...partitionedIndex(name, '(expires_at) WHERE expires_at IS NOT NULL', cacheParts)]
}

/**
 * `sql/role.sql` for this role and these tables.
 *
 * @param {string} role
 * @param {string[]} tables
 * @param {string[] | undefined} cache
 */
function rights(role, tables, cache) {
  const all = DOCUMENTED.map(({ name }) => name)
  const grants = migrations.statements(migrations.read('role.sql')).flatMap(({ code }) => {
    const [, what, on] = /^(GRANT [\s\S]*?\bON )([\s\S]*?)\s+TO goscope_app;$/.exec(code) ?? []
    if (what === undefined) throw new Error(`sql/role.sql says something else than rights: ${code}`)
    const isOfTables = all.some((name) => on.split(/,\s*/).includes(name))
    const wanted = on.split(/,\s*/).filter((name) => !all.includes(name) || tables.includes(name))
    // The sequence of fencing tokens, and the function that checks one.
    const isOfOthers = !isOfTables && on.includes('fencing_token') && !tables.includes('go_goscope_locks')
    if (wanted.length === 0 || isOfOthers) return []
    return [`${what.replace(/\s+/g, ' ')}${wanted.join(', ')} TO ${quote([role])};`]
  })
  if (cache) grants.push(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${quote(cache)} TO ${quote([role])};`)
  return grants.join('\n')
}
