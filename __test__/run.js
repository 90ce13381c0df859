// @ts-check
// Runs the tests against real servers, in several configurations of server and process.
'use strict'

const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const readline = require('node:readline')
const { startPostgres } = require('../embedded.js')
const { hostTarget } = require('./helpers/cargo.js')
const debian = require('./helpers/debian-postgres.js')
const pooler = require('./helpers/pooler.js')
const { postgresPackage } = require('./helpers/postgres-versions.js')
const { asRole, onPartitions, throughPooler } = require('./helpers/way.js')

const HELP = `Usage: node __test__/run.js [--quick] [--in=TEXT] [--postgres=VERSION] [file...]

  --quick    the first configuration only, without the Rust tests
  --in=TEXT  the configurations with this in their titles, such as PgBouncer, without the Rust tests
  --postgres=VERSION  the first configuration, with that PostgreSQL: 13, 14, 15, 16, 17 or 18
  file...    these test files only (in the first configuration, unless GOSCOPE_TEST_ALL=1)

Starts PostgreSQL from npm packages. With DATABASE_URL set, uses that server instead: its role must be allowed to create
databases, and the configurations that need another version of PostgreSQL are left out and said to be.`

/**
 * @typedef {object} Configuration
 * @property {string} title
 * @property {number} version the PostgreSQL to start
 * @property {string} TZ the process's time zone
 * @property {Record<string, string>} settings the server's
 * @property {string[]} folders
 * @property {(serverUrl: string) => Promise<Detour>} [detour] how adapters reach the server, where not as its administrator
 * @property {Record<string, string>} [leavesOut] files, and why
 * @property {boolean} [isDebian] whether the PostgreSQL is the one that Debian installs
 *
 * @typedef {{ missing: string } | { way: import('./helpers/way.js').Way, stop: () => Promise<void> }} Detour
 */

const CONTRACT = ['contract']
const EVERYTHING = ['contract', 'connecting', 'tls', 'boundary', 'faults', 'consumers', 'packaging', 'beyond']

/** What a pooler in transaction mode cannot be asked for, whoever asks. */
const BY_POOLER = { 'differential.test.js': 'each side’s schema is a setting of its sessions' }
/** What needs the right to make tables. */
const BY_ROLE = {
  'cache-tables.test.js': 'it is about making tables',
  'differential.test.js': 'each side makes its tables',
  'schema.test.js': 'it is about making tables',
}
/** What is about tables that adapters make. */
const BY_PARTITIONS = {
  'cache-tables.test.js': 'it is about making tables',
  'differential.test.js': 'each side makes its tables',
  'schema.test.js': 'it is about making tables',
}
const IGNORED =
  'ignore_startup_parameters = options,extra_float_digits,statement_timeout,lock_timeout,idle_in_transaction_session_timeout'

/** @type {Configuration[]} */
const CONFIGURATIONS = [
  configuration(18, 'UTC', 'UTC', 'read committed', EVERYTHING),
  configuration(18, 'Asia/Tokyo', 'America/New_York', 'serializable', CONTRACT),
  configuration(18, 'America/New_York', 'Asia/Tokyo', 'read committed', CONTRACT),
  configuration(13, 'UTC', 'America/New_York', 'serializable', CONTRACT),
  configuration(13, 'America/New_York', 'UTC', 'read committed', CONTRACT),
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
  another('as a role that may only do what README says', asRole, BY_ROLE),
  ...[13, 18].map((version) => ({
    ...configuration(version, 'UTC', 'America/New_York', 'read committed', CONTRACT),
    title: `PostgreSQL ${version}, every table partitioned by hash`,
    detour: onPartitions,
    leavesOut: BY_PARTITIONS,
  })),
]

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

// Two at once: the machine's other half is the server's.
const CONCURRENCY = 2
// Unless it was asked for more than usual.
const SOAK_MS = Number(process.env.GOSCOPE_SOAK_MINUTES ?? 0) * 60_000
const AT_LENGTH = ['TEST_SEEDS', 'FAILOVERS', 'THREAD_ROUNDS', 'LEAK_OPERATIONS', 'LEAK_CYCLES', 'PROPERTY_RUNS']
const isLong = AT_LENGTH.some((name) => process.env[`GOSCOPE_${name}`])
const FILE_TIMEOUT_MS = isLong ? 4 * 3_600_000 : 300_000 + 2 * SOAK_MS

const totals = { passed: 0, failed: 0, skipped: 0 }

async function main() {
  const args = process.argv.slice(2)
  if (args.includes('--help')) return console.log(HELP)
  const files = args.filter((arg) => !arg.startsWith('--')).map((file) => path.resolve(file))
  const version = args.find((arg) => arg.startsWith('--postgres='))?.slice('--postgres='.length)
  const one = args.includes('--quick') || version !== undefined || (files.length > 0 && !process.env.GOSCOPE_TEST_ALL)

  const within = args.find((arg) => arg.startsWith('--in='))?.slice('--in='.length)
  const chosen = version
    ? [configuration(Number(version), 'UTC', 'UTC', 'read committed', EVERYTHING)]
    : CONFIGURATIONS.filter(({ title }, n) => (within ? title.includes(within) : !one || n === 0))

  if (!one && !within) rustTests()
  for (const configuration of chosen) {
    await runConfiguration(configuration, files)
  }
  const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : ''
  console.log(`\n${totals.passed} passed, ${totals.failed} failed${skipped}`)
  process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0
}

/** The Rust side's own tests, optimised as the addon is, so that they share its compiled dependencies. */
function rustTests() {
  console.log('\nRust unit tests (cargo test --release; about a minute the first time)')
  const run = spawnSync('cargo', ['test', '--release', '--quiet', '--target', hostTarget()], {
    cwd: path.join(__dirname, '..'),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const counts = [...(run.stdout ?? '').matchAll(/(\d+) passed; (\d+) failed; (\d+) ignored/g)]
  let passed = 0
  for (const [, ok, bad, ignored] of counts) {
    passed += Number(ok)
    totals.failed += Number(bad)
    totals.skipped += Number(ignored)
  }
  totals.passed += passed
  if (run.status !== 0 || passed === 0) {
    totals.failed += 1
    console.log(run.stdout)
  }
  console.log(`  ${passed} passed`)
}

/**
 * @param {Configuration} configuration
 * @param {string[]} only
 */
async function runConfiguration(configuration, only) {
  const { title, version, TZ, settings, folders, detour, leavesOut, isDebian } = configuration
  const given = process.env.DATABASE_URL
  if (given && version !== 18) {
    console.log(`\n${title}: left out, DATABASE_URL names the server to use`)
    return
  }
  console.log(`\n${given ? title.replace(/^PostgreSQL \d+/, 'The server of DATABASE_URL') : title}`)
  const limits = { max_connections: '300', log_statement: 'none' }
  const files = only.length > 0 ? [...only] : folders.flatMap(testFiles)
  if (isDebian && debian.missing) {
    // Where it can be installed, it must be.
    totals[process.env.CI === 'true' ? 'failed' : 'skipped'] += files.length
    return console.log(`  ${files.length} ${process.env.CI === 'true' ? 'failed' : 'skipped'}: ${debian.missing}`)
  }
  const installed = isDebian ? debian.debianPackage() : undefined
  const server = given
    ? { url: given, stop: async () => {} }
    : await startPostgres({
        package: installed?.package ?? postgresPackage(version),
        settings: { ...settings, ...limits },
      })
  try {
    const found = await detour?.(server.url)
    for (const [name, why] of Object.entries(leavesOut ?? {})) {
      const at = files.findIndex((file) => file.endsWith(`${path.sep}${name}`))
      if (at < 0) continue
      files.splice(at, 1)
      totals.skipped++
      console.log(`  - contract/${name}  skipped: ${why}`)
    }
    if (found && 'missing' in found) {
      totals.skipped += files.length
      return console.log(`  ${files.length} skipped: ${found.missing}`)
    }
    const env = {
      ...process.env,
      TZ,
      GOSCOPE_TEST_URL: server.url,
      GOSCOPE_TEST_SETTINGS: JSON.stringify(settings),
      GOSCOPE_TEST_WAY: JSON.stringify(found?.way ?? {}),
    }
    await inTurns(files, (file) => runFile(file, env)).finally(() => found?.stop())
  } finally {
    await server.stop()
    installed?.remove()
  }
}

/** @param {string} folder */
function testFiles(folder) {
  const at = path.join(__dirname, folder)
  return fs
    .readdirSync(at)
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => path.join(at, name))
}

/**
 * @param {string[]} files
 * @param {(file: string) => Promise<void>} run
 */
async function inTurns(files, run) {
  const waiting = [...files]
  const lane = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) await run(file)
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, lane))
}

/**
 * @param {string} file
 * @param {NodeJS.ProcessEnv} env
 */
async function runFile(file, env) {
  const started = Date.now()
  const child = spawn(process.execPath, ['--test-reporter=tap', file], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data))
  // Who waits for long wants to see how far it has come.
  if (SOAK_MS > 0) readline.createInterface({ input: child.stdout }).on('line', showNote)
  const impatience = setTimeout(() => child.kill('SIGKILL'), FILE_TIMEOUT_MS)
  const code = await new Promise((resolve) => child.once('close', (status, signal) => resolve(signal ?? status)))
  clearTimeout(impatience)

  const count = (/** @type {string} */ what) => Number(output.match(new RegExp(`^# ${what} (\\d+)$`, 'm'))?.[1] ?? 0)
  const [passed, failed, skipped] = [count('pass'), count('fail') + count('cancelled'), count('skipped')]
  // A file that dies, or that tests nothing, has failed whatever it counted.
  const bad = code !== 0 && failed === 0 ? 1 : passed + failed + skipped === 0 ? 1 : failed
  totals.passed += passed
  totals.failed += bad
  totals.skipped += skipped
  const seconds = ((Date.now() - started) / 1000).toFixed(1)
  const name = path.relative(__dirname, file)
  const rest = `${bad > 0 ? `, ${bad} failed (exit ${code})` : ''}${skipped > 0 ? `, ${skipped} skipped` : ''}`
  console.log(`  ${bad > 0 ? '✗' : '✓'} ${name}  ${passed} passed${rest}  ${seconds} s`)
  const told = SOAK_MS > 0 ? /^\s*# figure: (.*)$/gm : /^\s*# (?:note|figure): (.*)$/gm
  for (const line of output.matchAll(told)) console.log(`      ${line[1]}`)
  if (bad > 0) console.log(failures(output).replace(/^/gm, '      '))
}

/** @param {string} line of a file's TAP */
function showNote(line) {
  const note = /^\s*# note: (.*)$/.exec(line)
  if (note) console.log(`      ${note[1]}`)
}

/**
 * What failed of a file's TAP, or the end of it where that does not say.
 *
 * @param {string} output
 */
function failures(output) {
  const told = []
  let indent = ''
  let inFailure = false
  for (const line of output.split('\n')) {
    const start = /^( *)not ok /.exec(line)
    if (start) {
      indent = /** @type {string} */ (start[1])
      inFailure = true
    }
    if (inFailure) told.push(line)
    if (line === `${indent}  ...`) inFailure = false
  }
  return told.length > 0 ? told.join('\n') : output.slice(-4000)
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
