// @ts-check
// Builds the native addon, where its sources have changed since the last build.
'use strict'

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const root = path.join(__dirname, '..')

// .ci/run has put the addon here that is released: the tests are to load that one.
if (process.env.GOSCOPE_POSTGRES_IS_BUILT === 'true') {
  const isThere = fs.readdirSync(root).some((file) => /^goscope-postgres\..+\.node$/.test(file))
  if (!isThere) console.error('GOSCOPE_POSTGRES_IS_BUILT is true, and there is no addon here')
  process.exit(isThere ? 0 : 1)
}

if (spawnSync('cargo', ['--version'], { stdio: 'ignore' }).status !== 0) {
  console.error('The native addon is built with Rust, and there is no `cargo` here. Install it from https://rustup.rs')
  process.exit(1)
}
console.log(
  'Building the native addon (about two minutes on two cores the first time, a moment when nothing has changed)',
)
const napi = path.join(root, 'node_modules', '@napi-rs', 'cli', 'dist', 'cli.js')
const args = ['build', '--platform', '--release', '--no-js', '--dts', 'native.d.ts', ...process.argv.slice(2)]
const built = spawnSync(process.execPath, [napi, ...args], { cwd: root, stdio: 'inherit' })
process.exit(built.status ?? 1)
