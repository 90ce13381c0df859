// @ts-check
// One test file, in a separate process.
'use strict'

const { spawn } = require('node:child_process')
const path = require('node:path')
const readline = require('node:readline')
const { FILE_LIMIT_MS } = require('../support/waiting.js')

// Unless a longer run than usual was requested.
const SOAK_MS = Number(process.env.GOSCOPE_SOAK_MINUTES ?? 0) * 60_000
const AT_LENGTH = ['TEST_SEEDS', 'FAILOVERS', 'THREAD_ROUNDS', 'LEAK_OPERATIONS', 'LEAK_CYCLES', 'PROPERTY_RUNS']
const isLong = AT_LENGTH.some((name) => process.env[`GOSCOPE_${name}`])
/** A guard against tests that hang, not a measure of speed. */
const FILE_TIMEOUT_MS = isLong ? 4 * 3_600_000 : FILE_LIMIT_MS + 2 * SOAK_MS

/**
 * @param {string} file
 * @param {NodeJS.ProcessEnv} env
 * @param {import('./report.js').Report} report
 * @param {string} configuration
 */
async function runFile(file, env, report, configuration) {
  const started = Date.now()
  const child = spawn(process.execPath, ['--test-reporter=tap', file], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise((resolve) => {
    // It could not be started. Without a listener, the error would end the runner.
    child.once('error', resolve)
    child.once('close', (status, signal) => resolve(signal ?? status))
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data))
  // A long run shows its progress.
  if (SOAK_MS > 0) readline.createInterface({ input: child.stdout }).on('line', showNote)
  const timer = setTimeout(() => child.kill('SIGKILL'), FILE_TIMEOUT_MS)
  const code = await ended
  clearTimeout(timer)

  const name = path.relative(path.join(__dirname, '..'), file)
  const where = `${name} (${configuration})`
  const passed = Number(output.match(/^# pass (\d+)$/m)?.[1] ?? 0)
  const { failed, skipped } = titles(output)
  // A file that ends early, or that tests nothing, has failed whatever its counts.
  const hasRun = passed + failed.length + skipped.length > 0
  if ((code !== 0 && failed.length === 0) || !hasRun)
    failed.push({ title: `the file itself (exit ${code})`, error: '' })
  report.passed += passed
  const [failuresBefore, skipsBefore] = [report.failures.length, report.skips.length]
  for (const { title, error } of failed) report.fail(where, title, error)
  for (const { title, reason } of skipped) report.skip(where, title, reason)
  const bad = report.failures.length - failuresBefore
  const left = report.skips.length - skipsBefore

  const seconds = ((Date.now() - started) / 1000).toFixed(1)
  const rest = `${bad > 0 ? `, ${bad} failed (exit ${code})` : ''}${left > 0 ? `, ${left} skipped` : ''}`
  report.say(configuration, `${bad > 0 ? '✗' : '✓'} ${name}  ${passed} passed${rest}  ${seconds} s`)
  const shown = SOAK_MS > 0 ? /^\s*# figure: (.*)$/gm : /^\s*# (?:note|figure): (.*)$/gm
  for (const line of output.matchAll(shown)) console.log(`      ${line[1]}`)
  if (bad > 0) console.log(failures(output).replace(/^/gm, '      '))
}

/**
 * The titles of a file's tests that failed or were skipped. Only top-level tests: a test fails with its subtests.
 *
 * @param {string} output TAP
 */
function titles(output) {
  const failed = [...output.matchAll(/^not ok \d+ - (.*)\n((?: .*\n)*)/gm)].map(([, title, details]) => ({
    title: /** @type {string} */ (title),
    error: errorOf(/** @type {string} */ (details)),
  }))
  const skipped = [...output.matchAll(/^ok \d+ - (.*?) # SKIP ?(.*)$/gm)].map(([, title, reason]) => ({
    title: /** @type {string} */ (title),
    reason: reason || 'without a reason',
  }))
  return { failed, skipped }
}

/**
 * The error of a failed test on one line, cut after 300 characters.
 *
 * @param {string} details of the test, in YAML: the error is quoted, or a block that is indented further
 */
function errorOf(details) {
  const [, quoted, block] = /^ {2}error: (?:'(.*)'$|\|-\n((?: {4}.*\n| *\n)*))/m.exec(details) ?? []
  return (quoted ?? block ?? '').replace(/\s+/g, ' ').trim().slice(0, 300)
}

/** @param {string} line of a file's TAP */
function showNote(line) {
  const note = /^\s*# note: (.*)$/.exec(line)
  if (note) console.log(`      ${note[1]}`)
}

/**
 * The failures of a file's TAP, or the end of the TAP if it names none.
 *
 * @param {string} output
 */
function failures(output) {
  const shown = []
  let indent = ''
  let inFailure = false
  for (const line of output.split('\n')) {
    const start = /^( *)not ok /.exec(line)
    if (start) {
      indent = /** @type {string} */ (start[1])
      inFailure = true
    }
    if (inFailure) shown.push(line)
    if (line === `${indent}  ...`) inFailure = false
  }
  return shown.length > 0 ? shown.join('\n') : output.slice(-4000)
}

module.exports = { runFile }
