// @ts-check
// The Rust tests under valgrind: no invalid read or write, nothing used that was not set, nothing lost. Takes minutes.
'use strict'

const { spawnSync } = require('node:child_process')
const path = require('node:path')
const { hostTarget } = require('./cargo.js')

const root = path.join(__dirname, '..')

if (spawnSync('valgrind', ['--version']).status !== 0) {
  console.log('skipped: valgrind is not installed (Debian: apt-get install valgrind)\n0 passed, 0 failed, 1 skipped')
  process.exit(0)
}

// With debug information, or a finding leads nowhere.
const env = { ...process.env, CARGO_PROFILE_RELEASE_STRIP: 'none', CARGO_PROFILE_RELEASE_DEBUG: 'line-tables-only' }
const args = ['test', '--release', '--no-run', '--message-format=json', '--target', hostTarget(), '--target-dir']
const build = spawnSync('cargo', [...args, path.join(root, 'target', 'valgrind')], {
  cwd: root,
  env,
  encoding: 'utf8',
  maxBuffer: 64 << 20,
  stdio: ['ignore', 'pipe', 'inherit'],
})
if (build.status !== 0) process.exit(1)
const programs = build.stdout
  .split('\n')
  .filter((line) => line.startsWith('{'))
  .map((line) => JSON.parse(line))
  .filter(({ profile, executable }) => profile?.test && executable)
  .map(({ executable }) => /** @type {string} */ (executable))

const WATCH = [
  '--error-exitcode=99',
  '--leak-check=full',
  '--show-leak-kinds=definite',
  '--errors-for-leak-kinds=definite',
  '--num-callers=30',
  '--quiet',
]
let failed = 0
for (const program of programs) {
  // One thread at a time is all that valgrind runs anyway. loom's models switch between stacks, which it cannot follow.
  const tests = ['--test-threads=1', '--skip', 'models::']
  const run = spawnSync('valgrind', [...WATCH, program, ...tests], { cwd: root, stdio: 'inherit' })
  console.log(`${run.status === 0 ? 'ok    ' : 'FAILED'} ${path.basename(program)}`)
  if (run.status !== 0) failed++
}
console.log(`${programs.length - failed} passed, ${failed} failed`)
process.exit(failed === 0 && programs.length > 0 ? 0 : 1)
