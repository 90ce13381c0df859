// @ts-check
// The addon with the functions of src/node/probe.rs, which no release binary has. Built while the file that needs it
// loads, like the Rust tests, so that the compiled dependencies are shared.
'use strict'

const { execFile } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { promisify } = require('node:util')

const root = path.join(__dirname, '../..')

const LIBRARIES = /** @type {Record<string, string>} */ ({
  win32: 'goscope_postgres.dll',
  darwin: 'libgoscope_postgres.dylib',
})

/**
 * Builds it into a folder that is removed after the tests of the file.
 *
 * @param {(remove: () => void) => void} after of `node:test`
 * @returns {Promise<string>} its path
 */
async function buildProbeAddon(after) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-probe-'))
  after(() => fs.rmSync(folder, { recursive: true, force: true }))
  const target = path.join(root, 'target')
  const args = ['build', '--quiet', '--lib', '--features', 'panic-probe', '--target-dir', target]
  const { CARGO_BUILD_TARGET: _, ...env } = process.env
  await promisify(execFile)('cargo', args, { cwd: root, env })
  const addon = path.join(folder, 'probe.node')
  const library = LIBRARIES[process.platform] ?? 'libgoscope_postgres.so'
  fs.copyFileSync(path.join(target, 'debug', library), addon)
  return addon
}

/**
 * Runs a program that uses it: `adapter` on this database, `probe` the addon, `bridge` and `call` for native calls.
 *
 * @param {string} addon
 * @param {string} url
 * @param {string} body
 * @param {{ args?: string[], before?: string }} [options] arguments of Node; code that runs before the package loads
 */
function runWithProbe(addon, url, body, { args = [], before = '' } = {}) {
  const code = `
    ${before}
    const { Pool } = require('pg')
    const { PostgresAdapter } = require('goscope-postgres')
    const { bridge, send, settled } = require('./lib/bridge.js')
    const call = async (start) => settled(await send(start))
    const probe = require(${JSON.stringify(addon)})
    const adapter = new PostgresAdapter(new Pool({ connectionString: ${JSON.stringify(url)} }))
    ;(async () => { ${body} })()`
  const env = { ...process.env, GOSCOPE_POSTGRES_NATIVE: addon }
  return promisify(execFile)(process.execPath, [...args, '-e', code], { cwd: root, env, timeout: 120_000 })
}

module.exports = { buildProbeAddon, runWithProbe }
