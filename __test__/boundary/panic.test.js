// @ts-check
// A call that panics natively rejects, and the process continues. The addon is built once more for this test, with a
// call that panics on purpose. No release binary has this call.
'use strict'

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test, after } = require('node:test')
const { promisify } = require('node:util')
const { QUICKLY, hostTarget } = require('../helpers/cargo.js')
const { useDatabase } = require('../helpers/database.js')

const root = path.join(__dirname, '../..')
const database = useDatabase()
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-panic-'))
const addon = path.join(folder, 'probe.node')
after(() => fs.rmSync(folder, { recursive: true, force: true }))

const LIBRARIES = /** @type {Record<string, string>} */ ({
  win32: 'goscope_postgres.dll',
  darwin: 'libgoscope_postgres.dylib',
})

// Built while the file loads, like the addon itself, so that the compiled dependencies are shared.
const built = (async () => {
  const target = hostTarget()
  const args = ['build', '--release', '--quiet', '--lib', '--features', 'panic-probe', '--target', target, ...QUICKLY]
  await promisify(execFile)('cargo', args, { cwd: root })
  const library = LIBRARIES[process.platform] ?? 'libgoscope_postgres.so'
  fs.copyFileSync(path.join(root, 'target', target, 'release', library), addon)
})()

/** @param {string} body */
async function script(body) {
  const { url } = await database
  const code = `
    const { Pool } = require('pg')
    const { PostgresAdapter } = require('goscope-postgres')
    const { bridge, send, settled } = require('./lib/bridge.js')
    const call = async (start) => settled(await send(start))
    const probe = require(${JSON.stringify(addon)})
    const adapter = new PostgresAdapter(new Pool({ connectionString: ${JSON.stringify(url)} }))
    ;(async () => { ${body} })()`
  const env = { ...process.env, GOSCOPE_POSTGRES_NATIVE: addon }
  return promisify(execFile)(process.execPath, ['-e', code], { cwd: root, env, timeout: 120_000 })
}

test('in the native runtime: the call rejects, other calls continue, nothing is printed', async () => {
  await built
  const { stdout, stderr } = await script(`
    await adapter.set('x', 1)
    const around = Promise.all(Array.from({ length: 50 }, (_, n) => adapter.set('k' + n, n)))
    const error = await call((slot) => probe.panicInCall(bridge, slot)).catch((caught) => caught)
    await around
    console.log(JSON.stringify([error instanceof Error, error.code, /on purpose/.test(error.message), await adapter.get('x')]))`)
  assert.deepEqual(JSON.parse(stdout), [true, 'ERR_INTERNAL_ASSERTION', true, 1])
  assert.equal(stderr, '')
})

test('on the JavaScript thread: the call rejects', async () => {
  await built
  const { stdout } = await script(`
    const error = await call((slot) => probe.panicOnJsThread(slot)).catch((caught) => caught)
    await adapter.set('x', 2)
    console.log(JSON.stringify([error instanceof Error, /on purpose/.test(error.message), await adapter.get('x')]))`)
  assert.deepEqual(JSON.parse(stdout), [true, true, 2])
})
