// @ts-check
// The configurations of the tests: each is a server, and the route on which the adapters reach it.
'use strict'

const pooler = require('../../scripts/servers/pooler.js')
const { asRole, onPartitions, throughPooler } = require('../support/route.js')

/**
 * @typedef {object} Configuration
 * @property {string} title
 * @property {number} version the PostgreSQL to start
 * @property {string} TZ the process's time zone
 * @property {Record<string, string>} settings of the server, and of each test database
 * @property {import('./declarations.js').Group} group by which test files declare that they run in it
 * @property {(serverUrl: string) => Promise<Detour>} [detour] how adapters reach the server, if not as its administrator
 * @property {boolean} [isDebian] whether the PostgreSQL is the one that Debian installs, which compiles plans (JIT)
 *
 * @typedef {{ missing: string } | { route: import('../support/route.js').Route, stop: () => Promise<void> }} Detour
 */

const IGNORED =
  'ignore_startup_parameters = options,extra_float_digits,statement_timeout,lock_timeout,idle_in_transaction_session_timeout'

/** The first is the one of `npm test`. @type {[Configuration, ...Configuration[]]} */
const CONFIGURATIONS = [
  onVersion(18),
  configuration('servers', 17, 'Asia/Tokyo', 'America/New_York', 'serializable'),
  configuration('servers', 16, 'America/New_York', 'Asia/Tokyo', 'read committed'),
  configuration('servers', 13, 'UTC', 'America/New_York', 'serializable'),
  configuration('servers', 14, 'America/New_York', 'UTC', 'read committed'),
  another('poolers', `through ${pooler.title} in transaction mode, which forgets prepared statements`, (url) =>
    throughPooler(url, `${IGNORED}${pooler.followsStatements ? '\nmax_prepared_statements = 0' : ''}`),
  ),
  another('poolers', `through ${pooler.title} in transaction mode, which follows prepared statements`, async (url) =>
    pooler.missing || pooler.followsStatements
      ? throughPooler(url, `${IGNORED}\nmax_prepared_statements = 100`)
      : { missing: `${pooler.title} cannot: PgBouncer 1.21 is the first that does` },
  ),
  another(
    'poolers',
    `through ${pooler.title} in transaction mode, which refuses start-up options, with a connect hook`,
    (url) => throughPooler(url, IGNORED.replace('options,', ''), { isHooked: true }),
  ),
  {
    ...configuration('servers', 15, 'UTC', 'UTC', 'read committed'),
    title: "Debian's PostgreSQL 15, with JIT",
    isDebian: true,
  },
  another('role', 'as a role with the rights of sql/role.sql', asRole),
  ...[13, 18].map((version) => ({
    ...configuration('partitions', version, 'UTC', 'America/New_York', 'read committed'),
    title: `PostgreSQL ${version}, every table partitioned by hash`,
    detour: onPartitions,
  })),
  {
    ...configuration('last', 18, 'UTC', 'UTC', 'read committed'),
    title: 'PostgreSQL 18, other versions of Node and of programs that use the package, and at full length',
  },
]

/**
 * The configuration of `npm test`.
 *
 * @param {number} version of PostgreSQL
 * @returns {Configuration}
 */
function onVersion(version) {
  return configuration('first', version, 'UTC', 'UTC', 'read committed')
}

/**
 * @param {import('./declarations.js').Group} group
 * @param {number} version of PostgreSQL
 * @param {string} serverZone
 * @param {string} processZone
 * @param {string} isolation
 * @returns {Configuration}
 */
function configuration(group, version, serverZone, processZone, isolation) {
  return {
    title: `PostgreSQL ${version}, server in ${serverZone}, process in ${processZone}, ${isolation}`,
    version,
    TZ: processZone,
    settings: { TimeZone: serverZone, default_transaction_isolation: isolation },
    group,
  }
}

/**
 * @param {import('./declarations.js').Group} group
 * @param {string} title
 * @param {(serverUrl: string) => Promise<Detour>} detour
 * @returns {Configuration}
 */
function another(group, title, detour) {
  const plain = configuration(group, 18, 'UTC', 'UTC', 'read committed')
  return { ...plain, title: `PostgreSQL 18, ${title}`, detour }
}

module.exports = { CONFIGURATIONS, onVersion }
