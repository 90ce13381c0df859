// @ts-check
// Checks each table: it exists, is as documented, has the rights that an application needs, and is maintained.
'use strict'

const { cacheObjects, isCalled } = require('../migrations.js')
const { isMade } = require('../missing.js')
const cache = require('../queries/cache.js')
const catalogue = require('../queries/catalogue.js')
const { obstacles: obstaclesOf } = require('../queries/obstacles.js')
const { columnsOf, leadOf, objectsOf } = require('../source.js')
const { ALL, DOCUMENTED, namesOf, quote, quoted } = require('../tables.js')
const { count, counted } = require('../units.js')
const { failed, ok, warning } = require('./check.js')
const { doubtfulColumns, wrongColumns } = require('./columns.js')
const { checkObstacles, tableObstacles } = require('./obstacles.js')
const { shape } = require('./shapes.js')

/** @typedef {import('./check.js').Check} Check */
/** @typedef {import('../session.js').Session} Session */
/** @typedef {import('../source.js').SourceObject} SourceObject */
/** @typedef {import('../missing.js').Objects} Objects */

/**
 * @param {Session} session
 * @param {import('../options.js').Given} given
 * @returns {Promise<Check[]>}
 */
async function checkTables(session, given) {
  const cacheNames = given.table === undefined ? [] : quoted(given.table)
  const wanted = given.only === undefined ? DOCUMENTED.map(({ name }) => name) : namesOf(given.only)
  const names = [...wanted.map((name) => quote([name])), ...cacheNames]
  const [tables, objects, obstacles] = await Promise.all([
    catalogue.tables(session, names),
    catalogue.objects(session, names),
    obstaclesOf(session, names),
  ])
  const distributed = tables[0]?.isBesideCitus ? await catalogue.distributed(session, names) : []
  const common = { objects, obstacles, distributed, creates: !given['no-create-tables'] }
  const checks = checkObstacles(obstacles, session.server.role)
  for (const documented of DOCUMENTED.filter(({ name }) => wanted.includes(name))) {
    const table = tables.find(({ name }) => name === quote([documented.name]))
    checks.push(...(await checkTable(session, { ...documented, own: objectsOf([documented.name]) }, table, common)))
  }
  if (given.table !== undefined) {
    const table = tables.find(({ name }) => cacheNames.includes(name))
    const own = cacheObjects()
    const counts = (/** @type {Session} */ session) => cache.counts(session, given.table)
    const wanted = { name: given.table, counts, rights: ALL, own, template: quote(own[0].tables) }
    checks.push(...(await checkTable(session, wanted, table, common)))
  }
  return checks
}

/**
 * @param {Session} session
 * @param {{ name: string, counts: import('../tables.js').Counts, rights: string[], own: SourceObject[], template?: string }} wanted
 * @param {any} table
 * @param {{ objects: Objects, obstacles: import('./obstacles.js').Obstacles, distributed: string[], creates: boolean }} common to all tables
 */
async function checkTable(session, { name, counts, rights, own, template = quote([name]) }, table, common) {
  if (table === undefined) return [absent(session, name, common.creates)]
  const { objects } = common
  const isDistributed = common.distributed.includes(table.name)
  const here = under(objects, table.name, template)
  return [
    owned(session, name, table),
    shape(name, table, isDistributed),
    columns(name, own, here),
    indexes(name, own, here),
    additions(name, own, here),
    ...tableObstacles(name, table.name, own.filter(isTable).flatMap(columnsOf)[0].name, common.obstacles, here.indexes),
    allowed(session, name, rights, table, own, here),
    isRead(table) && !isDistributed ? await upkeep(session, name, counts, table) : undefined,
  ].filter((check) => check !== undefined)
}

/** @param {SourceObject} statement */
const isTable = ({ kind }) => kind === 'table'

/**
 * The catalogue's objects of one table, under the name that its statements have for it.
 *
 * @param {Objects} objects
 * @param {string} table
 * @param {string} name
 * @returns {Objects}
 */
function under(objects, table, name) {
  /** @type {<T extends { table: string }>(all: T[]) => T[]} */
  const of = (all) => all.filter((each) => each.table === table).map((each) => ({ ...each, table: name }))
  return {
    ...objects,
    columns: of(objects.columns),
    indexes: of(objects.indexes),
    triggers: of(objects.triggers),
    partitions: of(objects.partitions),
  }
}

/**
 * @param {Session} session
 * @param {string} name
 * @param {boolean} creates whether the adapters make tables
 */
function absent({ server }, name, creates) {
  if (server.schema === null) {
    const advice = `If the tables are there, GRANT USAGE ON SCHEMA … TO ${quote([server.role])}; or name their schema in search_path.`
    return failed(name, `is not found: ${server.role} may use no schema of its search_path`, advice)
  }
  const message = 'is missing'
  if (server.mayCreate && creates)
    return ok(name, `${message}; connect() or the first use makes it, in the schema ${server.schema}`)
  const advice =
    'Let a role that may run `goscope-postgres schema | psql`, or look for it in another schema. If the application does not use it, leave it out of --only.'
  const why = creates ? `${server.role} may not make it` : 'adapters with createTables: false do not make it'
  return failed(name, `${message}, and ${why}`, advice)
}

/**
 * The owner of a table, or of a function that its triggers run, decides which code runs with the rights of the roles
 * that write to it. In a schema where any role may create, another role's table can come first.
 *
 * @param {Session} session
 * @param {string} name
 * @param {any} table
 */
function owned({ server }, name, { isTemporary, isExpected, isSuperuser, owner, schema, table }) {
  if (isTemporary) {
    return warning(
      `${name} owner`,
      'is a temporary table of this session, which hides any other of that name',
      'Make no temporary table of this name where the adapters connect.',
    )
  }
  if (isExpected) return undefined
  const found = `${owner} owns it, who owns neither the schema nor the database: its triggers run with the rights of ${server.role}`
  const drop = `DROP TABLE ${quote([schema, table])} and REVOKE CREATE ON SCHEMA ${quote([schema])} FROM PUBLIC;`
  if (!isSuperuser) return warning(`${name} owner`, found, `If that is not the role of your migrations, ${drop}`)
  return failed(
    `${name} owner`,
    `${found}, a superuser, so the adapters refuse the table`,
    `Connect as a role that is not a superuser. If ${owner} is not the role of your migrations, ${drop}`,
  )
}

/** Whether this role can read the table, and the adapters do not refuse it. @param {any} table */
const isRead = ({ rights, usesSchema, isExpected, isSuperuser }) =>
  rights.includes('SELECT') && usesSchema && (isExpected || !isSuperuser)

/**
 * @param {string} name
 * @param {SourceObject[]} statements
 * @param {Objects} objects
 */
function columns(name, statements, objects) {
  const title = `${name} columns`
  const table = statements.find(({ kind }) => kind === 'table')
  if (table === undefined) throw new Error(`sql/source/ makes no table ${name}`)
  const wanted = columnsOf(table)
  const wrong = wrongColumns(wanted, objects.columns)
  const key = wanted[0].name
  const doubtful = doubtfulColumns(wanted, objects.columns)
  if (!objects.indexes.some(({ isUnique, isValid, columns }) => isUnique && isValid && columns.join() === key)) {
    wrong.push(`${key} is no primary key, nor unique`)
  }
  if (wrong.length === 0 && doubtful.length > 0) {
    return warning(
      title,
      doubtful.join('; '),
      `ALTER TABLE … ALTER COLUMN … TYPE text, or varchar, while no adapter runs.`,
    )
  }
  if (wrong.length === 0) return ok(title, 'as documented')
  return failed(
    title,
    wrong.join('; '),
    'See `goscope-postgres schema --missing`, or sql/ in the package, for what they should be.',
  )
}

/**
 * @param {string} name
 * @param {SourceObject[]} statements
 * @param {Objects} objects
 */
function indexes(name, statements, objects) {
  const title = `${name} indexes`
  const lacks = statements.filter((statement) => statement.kind === 'index' && !isMade(statement, objects))
  const isPartitioned = objects.partitions.length > 0
  if (lacks.length === 0) return ok(title, 'as documented')
  const names = lacks.map((index) => index.name || `on ${leadOf(index)}`).join(', ')
  if (isPartitioned) {
    return warning(
      title,
      `${names} missing, or not valid, on a partitioned table: calls work, and get slower as the table grows`,
      'Run `goscope-postgres schema --missing`: it prints the index ON ONLY the table, one CONCURRENTLY for each partition, and ATTACH PARTITION. No connect() makes them: the server refuses CONCURRENTLY for a partitioned table.',
    )
  }
  return warning(
    title,
    `${names} missing, or not valid: calls work, and get slower as the table grows${unfinished(objects)}`,
    `${drops(objects)}Let the table’s owner connect() once, while no old transaction is open, or run \`goscope-postgres schema --missing | psql\`.`,
  )
}

/** @param {Objects} objects */
const invalid = (objects) => objects.indexes.filter(({ isValid }) => !isValid).map(({ name }) => name)

/** @param {Objects} objects */
const unfinished = (objects) => (invalid(objects).length > 0 ? `; unfinished: ${invalid(objects).join(', ')}` : '')

/** @param {Objects} objects */
const drops = (objects) =>
  invalid(objects).length > 0
    ? `\`DROP INDEX CONCURRENTLY ${quote([invalid(objects)[0]])};\`, unless it is being built. `
    : ''

/** What older versions have made in the place of some additions: it is used as long as these are missing. */
const REPLACED = /** @type {Record<string, string>} */ ({
  has_waiters: 'awaited',
  go_goscope_lock_released: 'go_goscope_released',
})

/**
 * Checks the additions to the documented schema; everything documented works without them.
 *
 * @param {string} name
 * @param {SourceObject[]} statements
 * @param {Objects} objects
 */
function additions(name, statements, objects) {
  const title = `${name} additions`
  const all = statements.filter(({ kind }) => ['column', 'sequence', 'function', 'trigger'].includes(kind))
  if (all.length === 0) return undefined
  const lacks = [...new Set(all.filter((one) => !isMade(one, objects)).map(({ name }) => name))]
  if (lacks.length === 0) return ok(title, 'all there')
  const theirs = [
    ...objects.functions
      .filter(({ name, isTrusted }) => !isTrusted && lacks.includes(name))
      .map(({ name, owner }) => ({ name, owner, kind: 'FUNCTION' })),
    ...objects.sequences
      .filter(({ name, isTrusted }) => !isTrusted && lacks.includes(name))
      .map(({ name, owner }) => ({ name, owner, kind: 'SEQUENCE' })),
  ]
  if (theirs.length > 0) {
    return warning(
      title,
      `${theirs.map(({ name, owner }) => `${name} is of the role ${owner}`).join(', ')}, and does not belong to the table: it is not used`,
      `Find out who made it. Then \`${theirs.map(({ name, kind }) => `DROP ${kind} ${name};`).join(' ')}\`, and let the table’s owner connect() once, or run \`goscope-postgres schema --missing | psql\`.`,
    )
  }
  const isOld = (/** @type {string} */ name) =>
    objects.functions.some((known) => known.name === name) ||
    [...objects.columns, ...objects.triggers].some((known) => known.name === REPLACED[name])
  if (lacks.every(isOld)) {
    return warning(
      title,
      `${lacks.join(', ')} is of an older version of this package`,
      'Let the table’s owner connect() once, or run `goscope-postgres schema --missing | psql`.',
    )
  }
  const message = `without ${lacks.join(', ')}, what goes beyond the documented API is not to be had, or done by polling`
  return warning(
    title,
    message,
    'Let the table’s owner connect() once, or run `goscope-postgres schema --missing | psql`.',
  )
}

/**
 * @param {Session} session
 * @param {string} name
 * @param {string[]} rights
 * @param {any} table
 * @param {SourceObject[]} statements
 * @param {Objects} objects
 */
function allowed({ server }, name, rights, table, statements, objects) {
  const title = `${name} rights`
  const role = quote([server.role])
  if (!table.usesSchema) {
    return failed(
      title,
      `no USAGE of the schema ${table.schema}`,
      `GRANT USAGE ON SCHEMA ${quote([table.schema])} TO ${role};`,
    )
  }
  const lacks = rights.filter((right) => !table.rights.includes(right))
  if (lacks.length > 0) {
    return failed(
      title,
      `no ${lacks.join(', ')}`,
      `GRANT ${lacks.join(', ')} ON ${quote([table.schema, table.table])} TO ${role};`,
    )
  }
  const sequence = statements.find(({ kind }) => kind === 'sequence')?.name
  const found = objects.sequences.find((each) => each.name === sequence)
  if (found !== undefined && !found.isUsable) {
    return warning(
      title,
      `no USAGE of ${sequence}: locks get no fencing tokens`,
      `GRANT USAGE ON SEQUENCE ${quote([table.schema, found.name])} TO ${role};`,
    )
  }
  const functions = statements
    .filter(({ kind, signature }) => kind === 'function' && isCalled(signature))
    .map((statement) => statement.name)
  const refused = objects.functions.find((each) => functions.includes(each.name) && !each.isExecutable)
  if (refused !== undefined) {
    return warning(
      title,
      `no EXECUTE of ${refused.name}: transactions that call it fail with 42501`,
      `GRANT EXECUTE ON FUNCTION ${quote([table.schema, refused.name])} TO ${role};`,
    )
  }
  return ok(title, rights.join(', '))
}

/** This many dead rows slow down the search for expired ones. */
const MANY_DEAD = 10_000

/**
 * Later calls remove some with each write. This many are a sign that no process writes, or that they are not removed.
 */
const MANY_EXPIRED = 10_000

/** Above this number of rows counting would take too long. */
const COUNTABLE = 1_000_000

/**
 * @param {Session} session
 * @param {import('../tables.js').Counts} counts
 */
const countedRows = (session, counts) =>
  counts(session).catch((error) => {
    // A column is missing, or of a type that cannot be compared with a time. The check of the columns reports that.
    if (error.code === '42703' || error.code === '42883') return {}
    throw error
  })

/**
 * @param {Session} session
 * @param {string} name
 * @param {import('../tables.js').Counts} counts
 * @param {any} table
 */
async function upkeep(session, name, counts, { deadRows, liveRows, lastAutovacuumAt, rows, isUnlogged }) {
  const title = `${name} upkeep`
  const { expired = 0 } = Math.max(rows, liveRows) <= COUNTABLE ? await countedRows(session, counts) : {}
  if (deadRows > MANY_DEAD && deadRows > liveRows) {
    const since = lastAutovacuumAt === null ? 'never yet' : `last at ${new Date(lastAutovacuumAt).toISOString()}`
    const advice = 'VACUUM it. Something may hold autovacuum back: a long transaction, or settings of autovacuum.'
    return warning(
      title,
      `${count(deadRows)} dead rows beside ${count(liveRows)} live ones; autovacuum was there ${since}`,
      advice,
    )
  }
  if (expired > MANY_EXPIRED) {
    return warning(
      title,
      `${count(expired)} rows have expired`,
      'Later writes remove them a few at a time; prune() of a PostgresCacheAdapter does at once.',
    )
  }
  const unlogged = isUnlogged ? '; unlogged: a crash of the server empties it' : ''
  return ok(title, `${counted(deadRows, 'dead row')}, ${count(expired)} expired${unlogged}`)
}

module.exports = { checkTables }
