// @ts-check
'use strict'

const { spawnSync } = require('node:child_process')
const path = require('node:path')
const { QUICKLY, hostTarget } = require('../helpers/cargo.js')

/**
 * The Rust side's own tests, with the dependencies as they were compiled for the addon.
 *
 * @param {import('./report.js').Report} report
 */
function runRustTests(report) {
  console.log('\nRust unit tests (cargo test; half a minute the first time)')
  const run = spawnSync('cargo', ['test', '--release', '--quiet', '--target', hostTarget(), ...QUICKLY], {
    cwd: path.join(__dirname, '../..'),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const counts = [...(run.stdout ?? '').matchAll(/(\d+) passed; (\d+) failed; (\d+) ignored/g)]
  const sum = (/** @type {number} */ at) => counts.reduce((total, found) => total + Number(found[at]), 0)
  report.passed += sum(1)
  if (run.status !== 0 || sum(1) === 0) {
    report.fail('cargo test', `${sum(2)} failed`)
    console.log(run.stdout)
  }
  if (sum(3) > 0) report.skip('cargo test', `${sum(3)} tests`, 'marked as ignored')
  console.log(`  ${sum(1)} passed`)
}

module.exports = { runRustTests }
