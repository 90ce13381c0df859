// @ts-check
// Builds the native addon, if its sources have changed since the last build.
'use strict'

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { platformName } = require('../lib/native/platform.js')
const { platform, root } = require('./platforms.js')

if (spawnSync('cargo', ['--version'], { stdio: 'ignore' }).status !== 0) {
  console.error('The native addon is built with Rust, and there is no `cargo` here. Install it from https://rustup.rs')
  process.exit(1)
}
console.log(
  'Building the native addon (about four minutes on two cores the first time, a moment when nothing has changed)',
)
if (process.env.GOSCOPE_BUILD === 'release') {
  // For CI: one build, of the addon that is released, which the tests then load.
  const { build, output } = require('./release/build.js')
  const here = platform(platformName())
  for (const file of [build(here), path.join(output(here), 'native.d.ts')]) {
    fs.copyFileSync(file, path.join(root, path.basename(file)))
  }
  process.exit()
}
const napi = path.join(root, 'node_modules', '@napi-rs', 'cli', 'dist', 'cli.js')
const args = ['build', '--platform', '--release', '--no-js', '--dts', 'native.d.ts', ...process.argv.slice(2)]
const built = spawnSync(process.execPath, [napi, ...args], { cwd: root, stdio: 'inherit' })
process.exit(built.status ?? 1)
