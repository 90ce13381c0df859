// @ts-check
// Builds the addon as it is released, and puts it into its platform's package: `node scripts/release/build.js [platform]`.
//
// For Linux, zig links: with glibc 2.17, whatever this machine has. zig and its driver for Cargo come from PyPI:
//
//   python3 -m pip install --target target/zig -r scripts/release/requirements.txt
'use strict'

const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { addonName, folder, platform, root } = require('../platforms.js')

/** The oldest glibc that the addon needs: that of RHEL 7 and manylinux2014. */
const GLIBC = '2.17'

const tools = path.join(root, 'target/zig')

/** Whether zig is here to link with. */
function hasZig() {
  return fs.existsSync(path.join(tools, 'ziglang')) && fs.existsSync(path.join(tools, 'bin/cargo-zigbuild'))
}

/**
 * Paths inside of the addon, in panic messages: what is ours, a crate's or the compiler's, and not where this machine
 * keeps them. Of those that fit, the last counts.
 */
function remaps() {
  execFileSync('cargo', ['fetch', '--locked'], { cwd: root, stdio: 'inherit' })
  const sysroot = execFileSync('rustc', ['--print', 'sysroot'], { cwd: root, encoding: 'utf8' }).trim()
  const cargo = process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo')
  const sources = path.join(cargo, 'registry/src')
  return [
    [os.homedir(), 'home'],
    [root, 'goscope-postgres'],
    [sysroot, 'rust'],
    [cargo, 'cargo'],
    ...fs.readdirSync(sources).map((registry) => [path.join(sources, registry), 'crates']),
  ]
}

/**
 * @param {import('../platforms.js').Platform} platform
 * @returns {string} the addon
 */
function build(platform) {
  const zig = platform.os === 'linux'
  if (zig && !hasZig()) {
    throw new Error('zig is missing: python3 -m pip install --target target/zig -r scripts/release/requirements.txt')
  }
  const triple = platform.libc === 'glibc' ? `${platform.target}.${GLIBC}` : platform.target
  // Apart from the development build, whose flags are others.
  const target = path.join(root, 'target/release-build')
  const output = path.join(target, platform.name)
  fs.mkdirSync(output, { recursive: true })
  const napi = path.join(root, 'node_modules/@napi-rs/cli/dist/cli.js')
  const args = ['build', '--platform', '--release', '--no-js', '--target', triple, ...(zig ? ['--cross-compile'] : [])]
  const built = spawnSync(process.execPath, [napi, ...args, '--target-dir', target, '--output-dir', output], {
    cwd: root,
    env: environment(platform),
    stdio: 'inherit',
  })
  if (built.status !== 0) throw new Error(`napi build ended with ${built.signal ?? built.status}`)
  const addon = path.join(folder(platform), addonName(platform))
  // Under its name once it is whole: others may be about to load it.
  const incoming = `${addon}.${process.pid}`
  fs.copyFileSync(path.join(output, addonName(platform)), incoming)
  fs.renameSync(incoming, addon)
  return addon
}

/** @param {import('../platforms.js').Platform} platform */
function environment(platform) {
  const { os: system, libc } = platform
  const flags = remaps().map(([from, to]) => `--remap-path-prefix=${from}=${to}`)
  // The addon is loaded by a program that has its C library already.
  if (libc === 'musl') flags.push('-C', 'target-feature=-crt-static')
  // vcruntime140.dll does not come with Windows.
  if (system === 'win32') flags.push('-C', 'target-feature=+crt-static')
  // Or the library would be named by the path that it was linked at.
  if (system === 'darwin') flags.push('-C', `link-arg=-Wl,-install_name,@rpath/${addonName(platform)}`)
  const separator = process.platform === 'win32' ? ';' : ':'
  return {
    ...process.env,
    // Unlike RUSTFLAGS, it can hold paths with spaces in them.
    CARGO_ENCODED_RUSTFLAGS: flags.join('\x1f'),
    PATH: [path.join(tools, 'bin'), process.env.PATH].join(separator),
    PYTHONPATH: [tools, process.env.PYTHONPATH].filter(Boolean).join(separator),
  }
}

module.exports = { GLIBC, build, hasZig }

if (require.main === module) {
  try {
    const host = /^host: (.*)$/m.exec(execFileSync('rustc', ['-vV'], { encoding: 'utf8' }))?.[1]
    console.log(build(platform(process.argv[2] ?? String(host))))
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
