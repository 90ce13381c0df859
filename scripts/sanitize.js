// @ts-check
// The Rust tests with AddressSanitizer, which needs a nightly toolchain: no use after free, no read or write out of
// bounds, no leak. Without such a toolchain it says so, and that `npm run valgrind` looks for the same on the stable one.
'use strict'

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { hostTarget } = require('./cargo.js')

const root = path.join(__dirname, '..')

/** loom switches between stacks of its own, which the sanitizer takes for one. */
const MODELS = 'models::'

/** A quarter of those that the tests draw without the sanitizer: it makes each take several times as long. */
const FEWER_CASES = '250'

/** @param {string} reason */
function skip(reason) {
  console.log(`skipped: the Rust tests have not run with a sanitizer: ${reason}\n0 passed, 0 failed, 1 skipped`)
  process.exit(0)
}

const target = hostTarget()
const sysroot = spawnSync('rustc', ['+nightly', '--print', 'sysroot'], { encoding: 'utf8' })
if (sysroot.status !== 0) skip('there is no nightly toolchain (rustup toolchain install nightly)')
const libraries = path.join(sysroot.stdout.trim(), 'lib', 'rustlib', target, 'lib')
const hasRuntime = fs.existsSync(libraries) && fs.readdirSync(libraries).some((name) => name.includes('rt.asan'))
if (!hasRuntime) skip(`the nightly toolchain has no AddressSanitizer for ${target}`)

// A folder of its own: the flags are those of every crate.
const args = ['+nightly', 'test', '--lib', '--target', target, '--target-dir', path.join(root, 'target', 'sanitizer')]
const tests = spawnSync('cargo', [...args, '--', '--skip', MODELS], {
  cwd: root,
  env: { PROPTEST_CASES: FEWER_CASES, ...process.env, RUSTFLAGS: '-Zsanitizer=address' },
  stdio: 'inherit',
})
const passed = tests.status === 0
console.log(`${passed ? 'ok    ' : 'FAILED'} the Rust tests with AddressSanitizer`)
console.log(passed ? '1 passed, 0 failed' : '0 passed, 1 failed')
process.exit(passed ? 0 : 1)
