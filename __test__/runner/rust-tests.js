// @ts-check
'use strict'

const { spawn } = require('node:child_process')
const path = require('node:path')

/**
 * The Rust side's own tests. Not optimised: to compile takes longer than all of the tests run.
 *
 * @param {import('./report.js').Report} report
 */
async function runRustTests(report) {
  const started = Date.now()
  // `--lib`: all Rust tests are unit tests.
  const child = spawn('cargo', ['test', '--lib', '--quiet'], {
    cwd: path.join(__dirname, '../..'),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data))
  const status = await new Promise((resolve) => child.once('error', resolve).once('close', resolve))
  const counts = [...output.matchAll(/(\d+) passed; (\d+) failed; (\d+) ignored/g)]
  const [passed = 0, failed = 0, ignored = 0] = [1, 2, 3].map((at) =>
    counts.reduce((total, found) => total + Number(found[at]), 0),
  )
  report.passed += passed
  const isGood = status === 0 && passed > 0
  const seconds = ((Date.now() - started) / 1000).toFixed(1)
  console.log(`  ${isGood ? '✓' : '✗'} cargo test  ${passed} passed${isGood ? '' : ' (failed)'}  ${seconds} s`)
  if (!isGood) {
    report.fail('cargo test', failed > 0 ? `${failed} failed` : 'it could not be run')
    console.log(output.replace(/^/gm, '      '))
  }
  if (ignored > 0) report.skip('cargo test', `${ignored} tests`, 'marked as ignored')
}

module.exports = { runRustTests }
