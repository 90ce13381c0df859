// @ts-check
// The migrations, made from the SQL of `sql/source/`: what the command prints, and what scripts/sql.js writes to `sql/`.
'use strict'

const { objects, objectsOf, statement } = require('./source.js')
const { ALL, DOCUMENTED, quote } = require('./tables.js')

/** The name under which `sql/source/tables.sql` has the table of a PostgresCacheAdapter. */
const CACHE = 'cache'

/** The kinds of objects that the documented schema has. */
const PLAIN = ['table', 'index']

const SCHEMA = `-- Everything that goscope-postgres stores, for \`createTables: false\`: run this as the tables' owner, in the schema where
-- the application's search_path finds them. It may be run again, and leaves alone what is there.
--
-- \`TIMESTAMP\` columns hold UTC. In the comments on keys, <keyPrefix> and <key> are what the application gives. The table of a
-- PostgresCacheAdapter is in cache-table.sql, the rights in role.sql.`

const ADDITIONS = `-- What follows is beyond the documented schema: fencing tokens for locks, and notifications for waiters and subscribers.
-- Everything documented works without it, and the pg-based adapter, which knows nothing of it, is not affected.
--
-- The functions run with the rights of the role that writes or calls them, on a search path of their own.`

const ROLE = `-- What the role that an application connects as needs, and no more: no DDL, no TRUNCATE, no other table. Replace the
-- role's name, the schema's where the tables are not in \`public\`, and leave out the tables that the application does not
-- use. The table of a PostgresCacheAdapter needs the rights of go_goscope_cache.
--
-- CREATE ROLE goscope_app LOGIN PASSWORD '…';`

const FUNCTIONS =
  '-- For fencing tokens. Every role may execute functions, unless the database’s default privileges revoke that.'

/** All documented tables, with everything that they have beyond the documented schema. */
function schema() {
  const documented = DOCUMENTED.map(({ name }) => plain(name))
  const more = objects()
    .filter(({ kind }) => !PLAIN.includes(kind))
    .map((object) => statement(object))
  return [SCHEMA, ...documented, ADDITIONS, ...more].join('\n\n')
}

/** A table and its indexes, under the documented name. @param {string} name */
const plain = (name) =>
  objectsOf([name])
    .filter(({ kind }) => PLAIN.includes(kind))
    .map((object) => statement(object))
    .join('\n')

/** Everything that these documented tables need. @param {string[]} tables */
const ofTables = (tables) =>
  objectsOf(tables)
    .map((object) => statement(object))
    .join('\n\n')

/**
 * The table of a PostgresCacheAdapter.
 *
 * @param {string} [name] as SQL has it
 */
function cacheTable(name) {
  const intro =
    name === undefined ? " with `tableName: 'cache'`, for `createTables: false`. For another, replace the name." : '.'
  return `-- The table of a PostgresCacheAdapter${intro}\n\n${cacheStatements(name ?? CACHE)}`
}

/**
 * The index has no name of ours, which would be one name for all such tables of a schema. So a block checks whether it
 * is there.
 *
 * @param {string} name as SQL has it
 */
function cacheStatements(name) {
  const [table, index] = ['table', 'index'].map((wanted) => cacheObjects().find(({ kind }) => kind === wanted))
  if (table === undefined || index === undefined) throw new Error('sql/source/tables.sql has no table for a cache')
  // A name may hold any text. So no comment contains it, and the quotes of the block do not occur in it.
  let tag = '$do$'
  while (name.includes(tag)) tag = `$do_${tag.slice(1)}`
  return `${statement(table, name)}
DO ${tag}
BEGIN
  -- Without a name: index names are the schema's, and every such table has one.
  IF NOT EXISTS (SELECT FROM pg_index WHERE indrelid = '${name.replaceAll("'", "''")}'::regclass AND NOT indisprimary) THEN
    CREATE INDEX ON ${name} ${index.on};
  END IF;
END ${tag};`
}

/** The objects of a PostgresCacheAdapter's table, which `sql/source/tables.sql` has under a name of its own. */
const cacheObjects = () => objectsOf([CACHE])

/**
 * The rights that an application needs, statement by statement.
 *
 * @param {string} role as SQL has it
 * @param {string[]} tables the documented ones
 * @param {string[]} [cache] the parts of the name of a PostgresCacheAdapter's table
 */
function grants(role, tables, cache) {
  const each = [
    ...DOCUMENTED.filter(({ name }) => tables.includes(name)),
    ...(cache === undefined ? [] : [{ name: quote(cache), rights: ALL }]),
  ]
  return {
    tables: [
      `GRANT USAGE ON SCHEMA public TO ${role};`,
      ...each.map(({ name, rights }) => `GRANT ${rights.join(', ')} ON ${name} TO ${role};`),
    ],
    functions: objectsOf(tables).flatMap(({ kind, signature }) => {
      if (kind === 'sequence') return [`GRANT USAGE ON SEQUENCE ${signature} TO ${role};`]
      return kind === 'function' && isCalled(signature) ? [`GRANT EXECUTE ON FUNCTION ${signature} TO ${role};`] : []
    }),
  }
}

/** Trigger functions, which have no arguments, need no right to be executed. @param {string} signature */
const isCalled = (signature) => !signature.endsWith('()')

/** The rights of a documented role, with comments. */
function role() {
  const { tables, functions } = grants(
    'goscope_app',
    DOCUMENTED.map(({ name }) => name),
  )
  return [ROLE, tables.join('\n'), [FUNCTIONS, ...functions].join('\n')].join('\n\n')
}

/** The files of `sql/`. */
const files = () => ({ 'schema.sql': schema(), 'cache-table.sql': cacheTable(), 'role.sql': role() })

module.exports = { cacheObjects, cacheTable, files, grants, isCalled, ofTables, schema }
