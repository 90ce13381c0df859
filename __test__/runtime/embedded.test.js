// @ts-check
// @configurations first
// The throwaway server: it starts, stops, and never outlives its user.
'use strict'

const assert = require('node:assert/strict')
const { execFile, spawn } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { promisify } = require('node:util')
const pg = require('pg')
const { startPostgres } = require('goscope-postgres/embedded')
const { postgresPackage } = require('../support/postgres-versions.js')
const { until } = require('../support/waiting.js')

const root = path.join(__dirname, '../..')

/** @param {string} url */
async function version(url) {
  const client = new pg.Client(url)
  await client.connect()
  const { rows } = await client.query('SHOW server_version_num')
  await client.end()
  return Number(rows[0].server_version_num)
}

/** @param {number} pid */
function runs(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** @param {{ pid: number, socketDirectory: string }} server */
const untilGone = ({ pid, socketDirectory }) =>
  until('the end of the server and its folder', () => !runs(pid) && !fs.existsSync(socketDirectory))

test('a real server in two lines; settings apply; stop removes it and its folder; stopping twice is fine', async () => {
  const server = await startPostgres({ settings: { TimeZone: 'Asia/Tokyo', max_connections: 17 } })
  assert.ok((await version(server.url)) >= 180000)
  const client = new pg.Client(server.url)
  await client.connect()
  const { rows } = await client.query(
    "SELECT current_setting('TimeZone') AS zone, current_setting('max_connections') AS most",
  )
  assert.deepEqual(rows, [{ zone: 'Asia/Tokyo', most: '17' }])
  await client.end()
  assert.ok(fs.existsSync(server.logFile))
  await server.stop()
  await server.stop()
  assert.equal(runs(server.pid), false)
  assert.equal(fs.existsSync(server.socketDirectory), false)
})

test('await using', async () => {
  const server = await startPostgres()
  assert.equal(typeof server[Symbol.asyncDispose], 'function')
  await server[Symbol.asyncDispose]()
  assert.equal(runs(server.pid), false)
})

test('an older version from another package; a Unix socket', async () => {
  const server = await startPostgres({ package: postgresPackage(13) })
  try {
    const found = await version(server.url)
    assert.ok(found >= 130000 && found < 140000)
    if (process.platform !== 'win32') {
      const url = new URL(server.url)
      const { PostgresAdapter } = require('goscope-postgres')
      const pool = new pg.Pool({
        host: server.socketDirectory,
        port: server.port,
        user: 'postgres',
        password: url.password,
        database: 'postgres',
      })
      const adapter = new PostgresAdapter(pool)
      await adapter.set('x', 1)
      assert.equal(await adapter.get('x'), 1)
      await adapter.disconnect()
    }
  } finally {
    await server.stop()
  }
})

test('several servers at once', async () => {
  const servers = await Promise.all([startPostgres(), startPostgres(), startPostgres()])
  assert.equal(new Set(servers.map(({ port }) => port)).size, 3)
  await Promise.all(servers.map((server) => server.stop()))
})

test('a setting that PostgreSQL refuses is reported with the message of PostgreSQL', async () => {
  await assert.rejects(startPostgres({ settings: { no_such_setting: 1 } }), /no_such_setting/)
})

test('without the optional package, the message names the package to install', async () => {
  await assert.rejects(startPostgres({ package: 'embedded-postgres-none' }), {
    code: 'ERR_MODULE_NOT_FOUND',
    message: /npm install --save-dev embedded-postgres-none/,
  })
})

const START =
  "require('goscope-postgres/embedded').startPostgres().then((server) => { console.log(JSON.stringify(server));"

test('an idle server lets its process exit, and ends with it', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', `${START} })`], { cwd: root, timeout: 120_000 })
  const server = JSON.parse(stdout)
  await untilGone(server)
})

test('a process that is killed leaves neither server nor folder behind', {
  skip: process.platform === 'win32',
}, async () => {
  const child = spawn(process.execPath, ['-e', `${START} setInterval(() => {}, 1000) })`], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const line = await new Promise((resolve) => child.stdout.once('data', (data) => resolve(String(data))))
  const server = JSON.parse(line)
  assert.ok(runs(server.pid))
  child.kill('SIGKILL')
  await untilGone(server)
})
