// @ts-check
// The tests of faults for a longer time, and the sum of their figures.
'use strict'

const { spawn } = require('node:child_process')
const path = require('node:path')
const readline = require('node:readline')
const { parseArgs } = require('node:util')

const HELP = `Usage: npm run soak -- [--minutes <n>] [file...]

  --minutes <n>  how long, all in all (10 by default; fractions are fine). What is under way is brought to its end.
  file...        these test files only, for equal parts of the time. Any test that reads GOSCOPE_SOAK_MINUTES will do.

Runs the tests of faults one after the other, each for its part of the time, on the servers that the runner starts, and
says each minute how far it has come. At the end: operations, faults and violations, all in all. Exits with 1 if there
was a violation, or if a test failed for another reason.

A run that is left to chance prints its seed when it fails; GOSCOPE_FAULT_SEED=<n> takes it.`

/** Each file's part of the time. */
const FILES = /** @type {[file: string, part: number][]} */ ([
  ['locks/safety.test.js', 50],
  ['faults/cut-points.test.js', 20],
  ['faults/server-life.test.js', 15],
  ['faults/schema-changes.test.js', 8],
  ['faults/order.test.js', 7],
  ['faults/failover.test.js', 10],
  ['transactions/exactly-once.test.js', 20],
  ['transactions/checkpointed-import.test.js', 5],
])

const sums = { operations: 0, faults: 0, violations: 0 }

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { help: { type: 'boolean' }, minutes: { type: 'string', default: '10' } },
  })
  if (values.help) return console.log(HELP)
  const minutes = Number(values.minutes)
  if (!(minutes > 0 && Number.isFinite(minutes))) throw new Error(`--minutes ${values.minutes}: not a positive number`)

  const files =
    positionals.length > 0
      ? positionals.map((file) => /** @type {[string, number]} */ ([path.resolve(file), 1]))
      : FILES.map(([file, part]) => /** @type {[string, number]} */ ([path.join(__dirname, file), part]))
  const whole = files.reduce((sum, [, part]) => sum + part, 0)
  const started = performance.now()
  const passed = () => ((performance.now() - started) / 60_000).toFixed(1)
  let failed = 0
  for (const [file, part] of files) {
    const name = path.relative(__dirname, file)
    const share = (minutes * part) / whole
    console.log(`\n${passed()} of ${minutes} minutes: ${name}, for ${share.toFixed(1)}`)
    const progress = setInterval(() => console.log(`  ${passed()} of ${minutes} minutes: ${name}`), 60_000)
    if ((await run(file, share)) !== 0) failed++
    clearInterval(progress)
  }
  const figures = Object.entries(sums).map(([what, n]) => `${n.toLocaleString('en')} ${what}`)
  console.log(`\n${passed()} minutes, ${files.length} files, ${failed} of them failed: ${figures.join(', ')}`)
  process.exitCode = failed > 0 || sums.violations > 0 ? 1 : 0
}

/**
 * @param {string} file
 * @param {number} minutes
 */
function run(file, minutes) {
  const child = spawn(process.execPath, [path.join(__dirname, 'run.js'), file], {
    env: { ...process.env, GOSCOPE_SOAK_MINUTES: String(minutes) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let isFigures = false
  readline.createInterface({ input: child.stdout }).on('line', (line) => {
    console.log(line)
    // The notes before the file's own line are on the way; its figures come after it.
    isFigures ||= /^ {2}[✓✗] /.test(line)
    const counted = isFigures && /(\d+) operations, (\d+) faults, (\d+) violations/.exec(line)
    if (!counted) return
    sums.operations += Number(counted[1])
    sums.faults += Number(counted[2])
    sums.violations += Number(counted[3])
  })
  return new Promise((resolve) => child.once('close', resolve))
}

main().catch((error) => {
  console.error(error.message)
  process.exitCode = 1
})
