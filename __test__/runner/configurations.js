// @ts-check
// The configurations of the tests: each is a server, and the route on which the adapters reach it.
'use strict'

const pooler = require('../helpers/pooler.js')
const { asRole, onPartitions, throughPooler } = require('../helpers/way.js')

/**
 * @typedef {object} Configuration
 * @property {string} title
 * @property {number} version the PostgreSQL to start
 * @property {string} TZ the process's time zone
 * @property {Record<string, string>} settings of the server, and of each test database
 * @property {string[]} folders
 * @property {(serverUrl: string) => Promise<Detour>} [detour] how adapters reach the server, if not as its administrator
 * @property {Record<string, string>} [leavesOut] files, and why
 * @property {Record<string, string>} [leftToOthers] files that another configuration runs, and why; run here if they are named
 * @property {string[]} [files] if not all of the folders
 * @property {'first' | 'rest'} [variants] which of the variants, if not all and no file is named; see helpers/variants.js
 * @property {string[]} [whole] files that are nevertheless run with all of their variants
 * @property {boolean} [isDebian] whether the PostgreSQL is the one that Debian installs, which compiles plans (JIT)
 *
 * @typedef {{ missing: string } | { way: import('../helpers/way.js').Way, stop: () => Promise<void> }} Detour
 */

const CONTRACT = ['contract']
/** Configurations with the longest files come first, so that no long one is left for the end. */
const EVERYTHING = ['consumers', 'packaging', 'boundary', 'faults', 'tls', 'beyond', 'connecting', 'contract']

/** Files whose tests cover a list of versions or modes, or repeat something; see helpers/variants.js. */
const WITH_VARIANTS = [
  'beyond/examples',
  'beyond/tokens',
  'consumers/clocks',
  'consumers/types',
  'faults/connection-strings',
  'faults/hostile-input',
  'faults/leaks',
  'faults/lock-safety',
  'faults/process-ends',
  'faults/thread-ends',
  'tls/keys',
  'tls/verification',
].map((name) => `${name}.test.js`)
/** Files that test another program or mode than those that `npm test` runs. Each takes a core 5 to 60 seconds. */
const ONLY_IN_ALL = Object.fromEntries(
  Object.entries({
    'beyond/cli-doctor-columns': 'doctor on other tables; here cli-doctor and cli-doctor-failing run',
    'beyond/cli-doctor-obstacles': 'doctor on other servers; here cli-doctor and cli-doctor-failing run',
    'boundary/bench': 'the benchmark',
    'boundary/panic': 'an addon that panics on purpose, which is built for this',
    'consumers/alias': 'an application that gets this package under the name of the pg-based one',
    'consumers/clocks-jest': "jest's fake timers; here those of vitest, sinon and Node are tried",
    'consumers/jest': 'under jest; here ava and vitest run',
    'packaging/next': 'the recipe for Next.js',
    'consumers/runtimes': 'other runtimes',
    'consumers/vitest': 'the versions and modes of vitest; here one of them runs, in consumers/clocks',
    'packaging/choice': 'which prebuilt package npm, pnpm and Yarn install',
    'packaging/examples': 'the examples as installed; here they run where they are',
    'packaging/hosts': 'the recipes of examples/hosts',
    'packaging/promises': 'the versions of Node',
    'packaging/road': 'the package managers',
    'tls/clients': 'other certificates of clients; here tls/keys and tls/modes run',
  }).map(([name, what]) => [`${name}.test.js`, `npm run test:all has it: ${what}`]),
)
/** Features that a pooler in transaction mode cannot provide. */
const BY_POOLER = { 'contract/differential.test.js': 'each side’s schema is a setting of its sessions' }
/** Tests of the tables that adapters make. */
const OF_MAKING = {
  'contract/cache-tables.test.js': 'it is about making tables',
  'contract/differential.test.js': 'each side makes its tables',
  'contract/schema.test.js': 'it is about making tables',
}
const IGNORED =
  'ignore_startup_parameters = options,extra_float_digits,statement_timeout,lock_timeout,idle_in_transaction_session_timeout'

/** The first is the one of `npm test`. @type {[Configuration, ...Configuration[]]} */
const CONFIGURATIONS = [
  onVersion(18),
  configuration(17, 'Asia/Tokyo', 'America/New_York', 'serializable', CONTRACT),
  configuration(16, 'America/New_York', 'Asia/Tokyo', 'read committed', CONTRACT),
  configuration(13, 'UTC', 'America/New_York', 'serializable', CONTRACT),
  configuration(14, 'America/New_York', 'UTC', 'read committed', CONTRACT),
  another(
    `through ${pooler.title} in transaction mode, which forgets prepared statements`,
    (url) => throughPooler(url, `${IGNORED}${pooler.followsStatements ? '\nmax_prepared_statements = 0' : ''}`),
    BY_POOLER,
  ),
  another(
    `through ${pooler.title} in transaction mode, which follows prepared statements`,
    async (url) =>
      pooler.missing || pooler.followsStatements
        ? throughPooler(url, `${IGNORED}\nmax_prepared_statements = 100`)
        : { missing: `${pooler.title} cannot: PgBouncer 1.21 is the first that does` },
    BY_POOLER,
  ),
  another(
    `through ${pooler.title} in transaction mode, which refuses start-up options, with a connect hook`,
    (url) => throughPooler(url, IGNORED.replace('options,', ''), { isHooked: true }),
    BY_POOLER,
  ),
  {
    ...configuration(15, 'UTC', 'UTC', 'read committed', CONTRACT),
    title: "Debian's PostgreSQL 15, with JIT",
    isDebian: true,
  },
  another('as a role that may only do what README says', asRole, OF_MAKING),
  ...[13, 18].map((version) => ({
    ...configuration(version, 'UTC', 'America/New_York', 'read committed', CONTRACT),
    title: `PostgreSQL ${version}, every table partitioned by hash`,
    detour: onPartitions,
    leavesOut: OF_MAKING,
  })),
  {
    ...configuration(18, 'UTC', 'UTC', 'read committed', []),
    title: 'PostgreSQL 18, other versions of Node and of programs that use the package, and at full length',
    files: [...WITH_VARIANTS, ...Object.keys(ONLY_IN_ALL)],
    variants: 'rest',
    whole: Object.keys(ONLY_IN_ALL),
  },
]

/**
 * One configuration of everything.
 *
 * @param {number} version of PostgreSQL
 * @returns {Configuration}
 */
function onVersion(version) {
  const plain = configuration(version, 'UTC', 'UTC', 'read committed', EVERYTHING)
  return { ...plain, variants: 'first', leftToOthers: ONLY_IN_ALL }
}

/**
 * @param {number} version of PostgreSQL
 * @param {string} serverZone
 * @param {string} processZone
 * @param {string} isolation
 * @param {string[]} folders
 * @returns {Configuration}
 */
function configuration(version, serverZone, processZone, isolation, folders) {
  return {
    title: `PostgreSQL ${version}, server in ${serverZone}, process in ${processZone}, ${isolation}`,
    version,
    TZ: processZone,
    settings: { TimeZone: serverZone, default_transaction_isolation: isolation },
    folders,
  }
}

/**
 * @param {string} title
 * @param {(serverUrl: string) => Promise<Detour>} detour
 * @param {Record<string, string>} leavesOut
 * @returns {Configuration}
 */
function another(title, detour, leavesOut) {
  const plain = configuration(18, 'UTC', 'UTC', 'read committed', CONTRACT)
  return { ...plain, title: `PostgreSQL 18, ${title}`, detour, leavesOut }
}

module.exports = { CONFIGURATIONS, onVersion }
