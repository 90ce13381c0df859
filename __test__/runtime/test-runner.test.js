// @ts-check
// @configurations first
// The test runner itself: what cannot be started is a failure in its report, and the rest runs.
'use strict'

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, test } = require('node:test')

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-runner-test-'))
const tests = path.join(__dirname, '..')

/** A test file that passes. */
const FILE = path.join(folder, 'passing.test.js')
fs.writeFileSync(FILE, "// @configurations first\nrequire('node:test').test('passes', () => {})\n")

after(() => fs.rmSync(folder, { recursive: true }))

/**
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 */
function run(args, env) {
  const { DATABASE_URL: _, ...inherited } = process.env
  const options = /** @type {const} */ ({ cwd: tests, env: { ...inherited, ...env }, encoding: 'utf8' })
  const { status, stdout } = spawnSync(process.execPath, args, options)
  const [, failed = ''] = stdout.split('\nFailed:\n')
  return { status, failed }
}

/**
 * Runs the file in several configurations, on a server that the file does not use.
 *
 * @param {string} configurations code
 */
function runConfigurations(configurations) {
  const code = `
    const { onVersion } = require('./runner/configurations.js')
    const { Report } = require('./runner/report.js')
    const { runConfigurations } = require('./runner/run-configurations.js')
    const sound = onVersion(18)
    const report = new Report({ mayLackPrograms: true })
    runConfigurations(${configurations}, [${JSON.stringify(FILE)}], report).then(() => report.close())`
  return run(['-e', code], { DATABASE_URL: 'postgres://127.0.0.1:1/none' })
}

test('a server that cannot be started is a failure in the report', () => {
  // A server needs a temporary folder.
  const { status, failed } = run(['run.js', FILE], { TMPDIR: FILE, TEMP: FILE })
  assert.match(failed, /✗ PostgreSQL 18, .*: it could not be started.*: 1\n .*PostgreSQL could not be started/)
  assert.match(failed, /\n0 passed, 1 failed\n$/)
  assert.equal(status, 1)
})

test('a route that cannot be started fails, and the next configuration runs', () => {
  const { failed } = runConfigurations("[{ ...sound, detour: () => Promise.reject(Error('no route')) }, sound]")
  assert.match(failed, /it could not be started; test files that have not run: 1\n .*no route/)
  assert.match(failed, /\n1 passed, 1 failed\n$/)
})

test('a file that cannot be run fails, and the next configuration runs', () => {
  // No process can have such a variable.
  const { failed } = runConfigurations("[{ ...sound, TZ: '\\0' }, sound]")
  assert.match(failed, /✗ .*passing\.test\.js \(PostgreSQL 18, .*\): the file itself could not be run\n .*ERR_INVALID/)
  assert.match(failed, /\n1 passed, 1 failed\n$/)
})
