// @ts-check
// Runs the tests against real servers, in one configuration of server and process or in all.
'use strict'

const path = require('node:path')
const { parseArgs } = require('node:util')
const { CONFIGURATIONS, onVersion } = require('./runner/configurations.js')
const { checkCounts, everywhere, list, planOf } = require('./runner/plan.js')
const { Report } = require('./runner/report.js')
const { runConfigurations } = require('./runner/run-configurations.js')
const { runRustTests } = require('./runner/rust-tests.js')

const HELP = `Usage: node __test__/run.js [--all | --rest | --in=TEXT | --postgres=VERSION] [--every] [--list] [file...]

  (nothing)  every test file in one configuration, and the Rust tests
  --all      every configuration: servers, versions, time zones, poolers, roles
  --rest     every configuration but the first
  --in=TEXT  the configurations with this in their titles, such as PgBouncer
  --postgres=VERSION  the first configuration, with that PostgreSQL: 13, 14, 15, 16, 17 or 18
  --every    only the test files that run on every server and route, without the Rust tests
  file...    these test files only, without the Rust tests
  --list     prints which files would run in which configuration, and runs none

Starts PostgreSQL from npm packages. With DATABASE_URL set, uses that server instead: its role must be allowed to create
databases, and the configurations that need another version of PostgreSQL are left out and said to be.

Tests that lack a program, such as PgBouncer, are skipped and named at the end. With CI=true they fail.`

/** Minutes on two idle cores, measured: quick and slow ones. */
const MINUTES = { one: '6 to 10', all: 40 }

const OPTIONS = /** @type {const} */ ({
  help: { type: 'boolean' },
  all: { type: 'boolean' },
  rest: { type: 'boolean' },
  in: { type: 'string' },
  postgres: { type: 'string' },
  every: { type: 'boolean' },
  list: { type: 'boolean' },
})

async function main() {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: OPTIONS })
  if (values.help) return console.log(HELP)
  checkCounts()
  const files = [...(values.every ? everywhere() : []), ...positionals.map((file) => path.resolve(file))]
  const chosen = choose(values)
  if (chosen.length === 0) throw new Error(`no configuration has ${values.in} in its title`)
  if (values.list) return list(chosen, files)
  if (files.length === 0) announce(chosen)

  const report = new Report({ mayLackPrograms: process.env.CI !== 'true' })
  const hasRust = files.length === 0 && values.in === undefined && chosen[0] === CONFIGURATIONS[0]
  // Beside the first test files, most of which wait at their beginning.
  const rustTests = hasRust ? runRustTests(report) : undefined
  await runConfigurations(chosen, files, report)
  await rustTests
  if (!report.close()) process.exitCode = 1
}

/** @param {{ all?: boolean, rest?: boolean, in?: string, postgres?: string }} values */
function choose({ all, rest, in: text, postgres }) {
  if (postgres !== undefined) return [onVersion(Number(postgres))]
  if (text !== undefined) return CONFIGURATIONS.filter(({ title }) => title.includes(text))
  if (rest) return CONFIGURATIONS.slice(1)
  return all ? CONFIGURATIONS : CONFIGURATIONS.slice(0, 1)
}

/** @param {import('./runner/configurations.js').Configuration[]} chosen */
function announce(chosen) {
  const files = chosen.reduce((sum, each) => sum + planOf(each, [], chosen).runs.length, 0)
  const minutes = chosen.length === CONFIGURATIONS.length ? MINUTES.all : chosen[0] === CONFIGURATIONS[0] && MINUTES.one
  const how = minutes ? `: about ${minutes} minutes on two idle cores` : ''
  const more = chosen.length === 1 ? ' npm run test:all runs all configurations.' : ''
  console.log(`${files} test files, ${chosen.length} of ${CONFIGURATIONS.length} configurations${how}.${more}`)
  console.log('Failures and skipped tests are listed at the end.')
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
