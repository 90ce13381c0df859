// @ts-check
// Through PgBouncer in transaction mode, where a session is not one's own.
'use strict'

const assert = require('node:assert/strict')
const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const { test, after } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../helpers/database.js')
const { inProcesses } = require('../helpers/processes.js')
const { until } = require('../helpers/waiting.js')

const installed = spawnSync('pgbouncer', ['--version']).status === 0
const skip = installed ? false : 'pgbouncer is not installed (Debian: apt-get install pgbouncer)'
const database = useDatabase()
const pooler = installed ? database.then(({ url }) => startPooler(url)) : undefined
after(async () => (await pooler)?.stop())

/**
 * @param {string} serverUrl
 * @param {string} [settings] further lines of its configuration
 */
async function startPooler(serverUrl, settings = 'ignore_startup_parameters = options') {
  const server = new URL(serverUrl)
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-pgbouncer-'))
  const password = decodeURIComponent(server.password)
  const file = path.join(folder, 'pgbouncer.ini')
  const configure = (/** @type {number} */ port) =>
    fs.writeFileSync(
      file,
      `[databases]
* = host=${server.hostname} port=${server.port || 5432} user=${server.username} password=${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
${settings}
logfile = ${folder}/log
`,
    )
  configure(0)
  // PgBouncer will not run as root either.
  const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined
  if (user) {
    fs.chownSync(folder, user.uid, user.gid)
    fs.chownSync(file, user.uid, user.gid)
  }
  const startOn = async (/** @type {number} */ port) => {
    configure(port)
    const child = spawn('pgbouncer', ['-q', file], { ...user, stdio: 'ignore' })
    const gone = new Promise((resolve) => child.once('exit', resolve))
    const runs = () => child.exitCode === null && child.signalCode === null
    await until('PgBouncer', async () => !runs() || (await accepts(port)))
    return runs() ? { port, child, gone } : undefined
  }
  // Somebody else may take a port between the look and the start.
  const running = await until('a PgBouncer on a port of its own', async () => startOn(await freePort()))
  const url = new URL(serverUrl)
  url.hostname = '127.0.0.1'
  url.port = String(running.port)
  const stop = async () => {
    running.child.kill('SIGTERM')
    await running.gone
    fs.rmSync(folder, { recursive: true, force: true })
  }
  return { url: url.href, stop }
}

/** @returns {Promise<number>} */
const freePort = () =>
  new Promise((resolve) => {
    const probe = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = /** @type {net.AddressInfo} */ (probe.address())
      probe.close(() => resolve(port))
    })
  })

/** @param {number} port */
const accepts = (port) =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })

test('the operations work', { skip }, async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool({ connectionString: /** @type {any} */ (await pooler).url }))
  await adapter.connect()
  for (let round = 0; round < 5; round++) {
    const handle = await adapter.acquire('x', 60_000)
    assert.equal(await handle?.isValid(), true)
    assert.equal(await handle?.extend(60_000), true)
    await handle?.release()
    await Promise.all(Array.from({ length: 100 }, (_, n) => adapter.set(`k${n}`, n, 60_000)))
    assert.deepEqual(
      await Promise.all(Array.from({ length: 100 }, (_, n) => adapter.get(`k${n}`))),
      Array.from({ length: 100 }, (_, n) => n),
    )
    assert.equal(await adapter.recordFailure('c', 100), round + 1)
  }
})

test("no process ever runs another's statement: reads delete nothing", { skip }, async () => {
  const db = await database
  const { url } = /** @type {any} */ (await pooler)
  const adapter = new PostgresAdapter(db.pool())
  await Promise.all(Array.from({ length: 50 }, (_, n) => adapter.set(`kept${n}`, n)))
  await inProcesses(4, 'readOrDelete', { url, rounds: 60 })
  const kept = await db.query("SELECT count(*)::int AS n FROM go_goscope_cache WHERE key LIKE 'cache:kept%'")
  assert.equal(kept[0].n, 50)
})

test('a pooler that refuses start-up options is used without them', { skip }, async () => {
  const db = await database
  const strict = await startPooler(db.url, '')
  try {
    const adapter = new PostgresAdapter(db.pool({ connectionString: strict.url }))
    for (let n = 0; n < 5; n++) {
      await adapter.set('strict', n)
      assert.equal(await adapter.get('strict'), n)
    }
    await adapter.disconnect()
  } finally {
    await strict.stop()
  }
})
