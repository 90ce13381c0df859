// @ts-check
// @configurations first
// The effects of the addon on its process.
'use strict'

const assert = require('node:assert/strict')
const { execFile, spawn } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { promisify } = require('node:util')
const { useDatabase } = require('../support/database.js')
const { Worker } = require('../support/processes.js')
const { inTime } = require('../support/waiting.js')

const root = path.join(__dirname, '../..')
const database = useDatabase()
const run = promisify(execFile)

/**
 * Runs a script in a separate process, with `adapter` and `pool` available.
 *
 * @param {string} body
 */
async function script(body) {
  const { url } = await database
  const code = `
    const { Pool } = require('pg')
    const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
    const pool = new Pool({ connectionString: ${JSON.stringify(url)} })
    const adapter = new PostgresAdapter(pool)
    ;(async () => { ${body} })()`
  return run(process.execPath, ['-e', code], { cwd: root, timeout: 120_000 })
}

for (const disconnect of [true, false]) {
  test(`an idle adapter lets the process exit, ${disconnect ? 'after' : 'without'} a disconnect`, async () => {
    const { url } = await database
    const worker = new Worker('idle', { url, disconnect })
    await worker.ready
    worker.start()
    await worker.result
    assert.equal(await inTime('the end of the process', worker.exited), 0)
  })
}

test('a pending call keeps the process alive until it is answered', async () => {
  const db = await database
  await script("await adapter.set('held', 1)")
  const holder = await db.hold("SELECT * FROM go_goscope_cache WHERE key = 'cache:held' FOR UPDATE")
  const code = `
    const { Pool } = require('pg')
    const { PostgresAdapter } = require('goscope-postgres')
    const adapter = new PostgresAdapter(new Pool({ connectionString: ${JSON.stringify(db.url)} }))
    adapter.set('held', 2).then(() => console.log('answered'))`
  const child = spawn(process.execPath, ['-e', code], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (data) => (output += data))
  const exited = new Promise((resolve) => child.once('exit', resolve))
  await db.untilWaiting()
  const early = await Promise.race([exited, new Promise((resolve) => setTimeout(resolve, 1_500, 'pending'))])
  assert.equal(early, 'pending', 'the process ended with its call in flight')
  await holder.commit()
  assert.equal(await exited, 0)
  assert.equal(output, 'answered\n')
})

test('nothing is written to stdout or stderr, failures included', async () => {
  const { stdout, stderr } = await script(`
    await adapter.connect()
    await new PostgresCacheAdapter(pool).initialize()
    await new PostgresIdempotencyAdapter(pool).connect()
    const handle = await adapter.acquire('x', 1000)
    await handle.release()
    await adapter.set('x', '\\0').catch(() => {})
    await adapter.set('x', undefined).catch(() => {})
    const refused = new PostgresAdapter(new Pool({ port: 1, host: '127.0.0.1' }))
    await refused.get('x').catch(() => {})
    await adapter.disconnect()
    await adapter.get('x').catch(() => {})`)
  assert.deepEqual([stdout, stderr], ['', ''])
})

test('a blocked event loop and 10,000 abandoned promises do no harm', async () => {
  const { stdout } = await script(`
    await adapter.connect()
    for (let n = 0; n < 10_000; n++) void adapter.set('k' + (n % 500), n)
    const end = Date.now() + 1_500
    while (Date.now() < end);
    console.log(await adapter.get('k499'))`)
  assert.equal(stdout, '9999\n')
})

test('an unhandled rejection reaches the application', async () => {
  const failed = await script("void adapter.acquire('x', -1)").catch((error) => error)
  assert.match(failed.stderr, /ERR_OUT_OF_RANGE/)
})

test('no async function is exported by the addon', () => {
  const types = fs.readFileSync(path.join(root, 'native.d.ts'), 'utf8')
  assert.doesNotMatch(types, /Promise</)
})

test('a throwing completion handler does not stop the others', async () => {
  const { stdout } = await script(`
    process.on('uncaughtException', () => {})
    process.on('unhandledRejection', () => {})
    const all = Array.from({ length: 50 }, (_, n) => adapter.set('t' + n, n))
    for (const each of all) void each.then(() => { throw new Error('mine') })
    console.log((await Promise.all(all)).length)`)
  assert.equal(stdout, '50\n')
})
