// @ts-check
// PgBouncer in transaction mode, in which clients share sessions.
'use strict'

const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const { guarded } = require('./guard.js')
const { until } = require('./until.js')

const version = /PgBouncer (\d+)\.(\d+)/.exec(spawnSync('pgbouncer', ['--version'], { encoding: 'utf8' }).stdout ?? '')

/** The reason to report if there is none. */
const missing = version ? '' : 'pgbouncer is not installed (Debian: apt-get install pgbouncer)'

/** Whether it supports prepared statements in transaction mode; since 1.21. */
const followsStatements = version !== null && (Number(version[1]) > 1 || Number(version[2]) >= 21)

const title = version ? `PgBouncer ${version[1]}.${version[2]}` : 'PgBouncer'

/**
 * Forwards each database of a server to every client that knows the server's password.
 *
 * @param {string} serverUrl
 * @param {string} [settings] further lines of its configuration
 */
async function startPooler(serverUrl, settings = 'ignore_startup_parameters = options') {
  const server = new URL(serverUrl)
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-pgbouncer-'))
  const [user, password] = [server.username, server.password].map(decodeURIComponent)
  const file = path.join(folder, 'pgbouncer.ini')
  const users = path.join(folder, 'users')
  const configure = (/** @type {number} */ port) =>
    fs.writeFileSync(
      file,
      `[databases]
* = host=${server.hostname} port=${server.port || 5432} user=${user} password=${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = transaction
max_client_conn = 2000
default_pool_size = 20
${settings}
logfile = ${folder}/log
`,
    )
  configure(0)
  fs.writeFileSync(users, `"${user}" "${password}"\n`)
  // PgBouncer does not run as root either.
  const owner = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined
  if (owner) for (const each of [folder, file, users]) fs.chownSync(each, owner.uid, owner.gid)
  const startOn = async (/** @type {number} */ port) => {
    configure(port)
    const child = guarded(spawn('pgbouncer', ['-q', file], { ...owner, stdio: 'ignore' }))
    const gone = new Promise((resolve) => child.once('exit', resolve))
    const runs = () => child.exitCode === null && child.signalCode === null
    await until('PgBouncer', async () => !runs() || (await accepts(port)))
    return runs() ? { port, child, gone } : undefined
  }
  // Another process may take a port between the check and the start.
  const running = await until('a PgBouncer on a port of its own', async () => startOn(await freePort()))
  const url = new URL(serverUrl)
  url.hostname = '127.0.0.1'
  url.port = String(running.port)
  const stop = async () => {
    running.child.kill('SIGTERM')
    await running.gone
    fs.rmSync(folder, { recursive: true, force: true })
  }
  return { url: url.href, port: running.port, stop }
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

module.exports = { followsStatements, freePort, missing, startPooler, title }
