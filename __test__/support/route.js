// @ts-check
// How adapters reach the server if not directly and as its administrator: through a transaction pooler, or as a role
// with the rights that docs/migrations.md says an application needs. It may also set the form of the tables.
'use strict'

const crypto = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const pg = require('pg')
const { partitioned } = require('./partitions.js')
const pooler = require('../../scripts/servers/pooler.js')

/** The package under test. It has the migrations also where only the package is installed. */
const PACKAGE = path.dirname(require.resolve('goscope-postgres/package.json'))

/** @type {typeof import('../../cli/migrations.js')} */
const { cacheTable } = require(path.join(PACKAGE, 'cli/migrations.js'))

/** @typedef {{ host?: string, port?: number, user?: string, password?: string, isHooked?: boolean, isPartitioned?: boolean }} Route */

/** @type {Route} */
const route = JSON.parse(process.env.GOSCOPE_TEST_ROUTE ?? '{}')

/** Why a test cannot run on this route, for its `skip`; false if it can. */
const without = {
  /** The test has tables made by the adapter. */
  ddl: route.user ? 'this role may create nothing' : route.isPartitioned ? 'the tables are there already' : false,
  /** The test changes the type of key columns. */
  plainKeys: route.isPartitioned ? 'the key of a partition cannot be altered' : false,
  /** The test is about the plan of a statement. */
  oneTable: route.isPartitioned ? 'a plan reads each partition' : false,
  /** The test is about sessions, or sets something in them. */
  sessions: route.port ? 'the sessions are the pooler’s' : false,
}

/**
 * Gives a pool a connect hook, if this configuration has one.
 *
 * @param {import('pg').Pool} pool
 */
function hook(pool) {
  if (route.isHooked) pool.on('connect', () => {})
}

/**
 * @param {string} url the administrator's
 * @returns {string} an adapter's
 */
function adaptersUrl(url) {
  const changed = new URL(url)
  if (route.port) changed.host = `${route.host}:${route.port}`
  if (route.user) changed.username = route.user
  if (route.password) changed.password = route.password
  return changed.href
}

/**
 * @param {string} url
 * @param {string} role of a test's own, whose password is `secret`
 * @returns {string} the same as that role
 */
function urlAs(url, role) {
  const changed = new URL(url)
  changed.username = role
  changed.password = 'secret'
  return changed.href
}

/**
 * Makes in a new database what a role with few rights finds there: the tables of `sql/`, as docs/migrations.md has it. Or the same
 * tables, each partitioned by hash.
 *
 * @param {(sql: string) => Promise<unknown>} query as the administrator
 * @param {{ migrated?: boolean, cacheTables?: string[] }} [what]
 */
async function migrate(query, { migrated = true, cacheTables = [] } = {}) {
  if (route.isPartitioned && migrated) {
    const tables = ['cache', ...cacheTables].map((name) => cacheTable(name))
    for (const sql of [migration('schema.sql'), ...tables]) await query(partitioned(sql))
  }
  if (!route.user) return
  // Grants for the tables that tests make by hand.
  await query(`ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${route.user}`)
  if (!migrated) return
  await query(migration('schema.sql'))
  await query(grants(route.user))
  for (const name of ['cache', ...cacheTables]) {
    await query(cacheTable(name))
    await query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${name} TO ${route.user}`)
  }
}

/** @param {string} name */
const migration = (name) => fs.readFileSync(path.join(PACKAGE, 'sql', name), 'utf8')

/** @param {string} role */
const grants = (role) => migration('role.sql').replaceAll('goscope_app', role)

/**
 * @param {string} serverUrl
 * @param {string} settings
 * @param {{ isHooked?: boolean }} [more]
 * @returns {Promise<{ missing: string } | { route: Route, stop: () => Promise<void> }>}
 */
async function throughPooler(serverUrl, settings, more) {
  if (pooler.missing) return { missing: pooler.missing }
  const { port, stop } = await pooler.startPooler(serverUrl, settings)
  return { route: { host: '127.0.0.1', port, ...more }, stop }
}

/** @returns {Promise<{ route: Route, stop: () => Promise<void> }>} */
const onPartitions = async () => ({ route: { isPartitioned: true }, stop: async () => {} })

/** @param {string} serverUrl */
async function asRole(serverUrl) {
  const role = { user: `goscope_app_${crypto.randomBytes(6).toString('hex')}`, password: 'secret' }
  const run = async (/** @type {string} */ sql) => {
    const client = new pg.Client({ connectionString: serverUrl })
    await client.connect()
    await client.query(sql).finally(() => client.end())
  }
  await run(`CREATE ROLE ${role.user} LOGIN PASSWORD '${role.password}'`)
  return { route: role, stop: () => run(`DROP ROLE ${role.user}`) }
}

module.exports = {
  adaptersUrl,
  asRole,
  grants,
  hook,
  migrate,
  migration,
  onPartitions,
  throughPooler,
  urlAs,
  route,
  without,
}
