// @ts-check
// @configurations first
// Worker threads: each has its own environment, and all share one native runtime.
'use strict'

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')
const { promisify } = require('node:util')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()
const root = path.join(__dirname, '../..')

const BODY = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { Pool } = require('pg')
  const { PostgresAdapter } = require('goscope-postgres')
  const adapter = new PostgresAdapter(new Pool({ connectionString: workerData.url, max: 2 }))`

/**
 * @param {string} url
 * @param {string} body
 */
function thread(url, body) {
  const worker = new Worker(`${BODY};(async () => {${body}})()`, { eval: true, workerData: { url } })
  const ended = new Promise((resolve, reject) => worker.once('error', reject).once('exit', resolve))
  return Object.assign(worker, { ended })
}

test('several worker threads and the main thread at once', async () => {
  const { url } = await database
  const main = new PostgresAdapter((await database).pool())
  const workers = Array.from({ length: 4 }, () =>
    thread(
      url,
      'parentPort.postMessage(await Promise.all(Array.from({ length: 50 }, () => adapter.recordFailure("threads", 1000))))',
    ),
  )
  const answers = workers.map((worker) => new Promise((resolve) => worker.once('message', resolve)))
  const own = await Promise.all(Array.from({ length: 50 }, () => main.recordFailure('threads', 1000)))
  const all = [...own, ...(await Promise.all(answers)).flat()].sort((a, b) => a - b)
  assert.deepEqual(
    all,
    Array.from({ length: 250 }, (_, n) => n + 1),
  )
  for (const code of await Promise.all(workers.map(({ ended }) => ended))) assert.equal(code, 0)
})

test('threads that start and end, while the main thread never uses the addon', async () => {
  const { url } = await database
  for (let round = 0; round < 5; round++) {
    const workers = Array.from({ length: 3 }, () =>
      thread(url, 'await adapter.set("x", 1); parentPort.postMessage(await adapter.get("x"))'),
    )
    const answers = await Promise.all(
      workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))),
    )
    assert.deepEqual(answers, [1, 1, 1])
    await Promise.all(workers.map(({ ended }) => ended))
  }
})

test('threads that are terminated in the middle of their calls do not harm other threads or the process', async () => {
  const { url } = await database
  const main = new PostgresAdapter((await database).pool())
  await main.connect()
  for (let round = 0; round < 12; round++) {
    const workers = Array.from({ length: 3 }, () =>
      thread(url, 'for (;;) await Promise.all(Array.from({ length: 100 }, (_, n) => adapter.set("t" + n, n)))'),
    )
    const traffic = Promise.all(Array.from({ length: 100 }, (_, n) => main.set(`m${n}`, n)))
    await new Promise((resolve) => setTimeout(resolve, 60 + round * 15))
    await Promise.all(workers.map((worker) => worker.terminate()))
    await traffic
  }
  assert.equal(await main.get('m99'), 99)
})

test('threads terminated while they connect do no harm', async () => {
  const { url } = await database
  for (let round = 0; round < 10; round++) {
    const workers = Array.from({ length: 3 }, () => thread(url, 'await adapter.get("x")'))
    await new Promise((resolve) => setTimeout(resolve, 20 + round * 8))
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
})

test('the native runtime has one thread, and ends with the last environment', {
  skip: process.platform !== 'linux',
}, async () => {
  const { url } = await database
  const count = `require('node:fs').readdirSync('/proc/self/task').filter((id) => require('node:fs').readFileSync('/proc/self/task/' + id + '/comm', 'utf8').startsWith('goscope')).length`
  const code = `
    const { Worker } = require('node:worker_threads')
    const threads = () => ${count}
    ;(async () => {
      const workers = Array.from({ length: 3 }, () => new Worker(${JSON.stringify(`${BODY};(async () => { await adapter.get('x'); parentPort.postMessage(1); parentPort.once('message', () => {}) })()`)}, { eval: true, workerData: { url: ${JSON.stringify(url)} } }))
      await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))))
      console.log(threads())
      const ended = workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)))
      for (const worker of workers) worker.postMessage('end')
      await Promise.all(ended)
      for (let wait = 0; wait < 1_500 && threads() > 0; wait++) await new Promise((resolve) => setTimeout(resolve, 20))
      console.log(threads())
    })()`
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', code], { cwd: root })
  assert.equal(stdout, '1\n0\n')
})

test('no global that outlives an environment keeps the package', () => {
  const sources = fs
    .readdirSync(path.join(root, 'src/node'))
    .filter((name) => name !== 'probe.rs') // in no release build
    .map((name) => fs.readFileSync(path.join(root, 'src/node', name), 'utf8'))
  const statics = sources.join('\n').match(/^ *(?:pub(?:\(\w+\))? )?static .*/gm)
  assert.deepEqual(statics, ['static SHARED: Mutex<Weak<SharedRuntime>> = Mutex::new(Weak::new());'])
})
