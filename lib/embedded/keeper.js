// @ts-check
// A separate process that keeps one throwaway server. It makes the folder, starts the server, and removes both when
// its standard input ends. That happens when the process that uses the server stops it, and also when that process
// exits, crashes or is killed. So neither servers nor folders are left behind.
'use strict'

const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const { makeSocketFolder } = require('./socket-folder.js')

/** @typedef {{ binaries: string, password: string, settings: Record<string, string>, port?: number }} Order */

/** @type {Order} */
const order = JSON.parse(process.argv[2] ?? '{}')

const START_ATTEMPTS = 5
const START_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 5_000

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-postgres-'))
const data = path.join(folder, 'data')
const logFile = path.join(folder, 'server.log')
const socketDirectory = makeSocketFolder(folder)
/** The folders that are removed with the server. */
const folders = [...new Set([folder, socketDirectory ?? folder])]
/** @type {import('node:child_process').ChildProcess | undefined} */
let server

// Ctrl-C in a terminal reaches this process too; the server stops when the process that uses it ends.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => void leave(0))
process.stdin.on('end', () => void leave(0)).on('error', () => void leave(0))
process.stdin.resume()

keep().catch((error) => {
  const log = fs.existsSync(logFile) ? fs.readFileSync(logFile, 'utf8').slice(-2000) : ''
  report({ error: log ? `${error.message}\n${log}` : error.message })
  void leave(1)
})

async function keep() {
  const user = serverUser()
  const bin = path.join(executableBy(user, order.binaries), 'bin')
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' }
  const passwordFile = path.join(folder, 'password')
  fs.writeFileSync(passwordFile, order.password, { mode: 0o600 })
  if (user) {
    for (const own of folders) fs.chownSync(own, user.uid, user.gid)
    fs.chownSync(passwordFile, user.uid, user.gid)
  }

  const init = ['-D', data, '-U', 'postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`]
  const made = spawnSync(path.join(bin, 'initdb'), [...init, '--encoding=UTF8', '--locale=C', '--no-sync'], {
    ...user,
    env,
    cwd: folder,
    encoding: 'utf8',
  })
  if (made.status !== 0) throw new Error(`initdb failed: ${made.error?.message ?? made.stderr}`)
  fs.rmSync(passwordFile)

  for (let attempt = 1; ; attempt++) {
    const port = order.port ?? (await freePort())
    if (await startOn(port, path.join(bin, 'postgres'), { ...user, env })) {
      return report({ port, folders, logFile, socketDirectory: socketDirectory ?? folder, pid: server?.pid })
    }
    // Another process may have taken the port between the check and the start.
    if (order.port || attempt === START_ATTEMPTS) throw new Error(`PostgreSQL did not start on port ${port}`)
  }
}

/**
 * @param {number} port
 * @param {string} program
 * @param {import('node:child_process').SpawnOptions} options
 */
async function startOn(port, program, options) {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: socketDirectory ?? '',
    // The data of a throwaway server may be lost.
    fsync: 'off',
    full_page_writes: 'off',
    ...order.settings,
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const log = fs.openSync(logFile, 'a')
  const child = spawn(program, ['-D', data, ...flags], { ...options, cwd: folder, stdio: ['ignore', log, log] })
  server = child
  fs.closeSync(log)
  let failed = false
  child.on('error', () => (failed = true)).on('exit', () => (failed = true))

  const deadline = Date.now() + START_TIMEOUT_MS
  while (!failed && Date.now() < deadline) {
    // The postmaster writes its state on this file's eighth line; pg_ctl waits in the same way.
    const state = fs.existsSync(`${data}/postmaster.pid`)
      ? fs.readFileSync(`${data}/postmaster.pid`, 'utf8').split('\n')[7]?.trim()
      : undefined
    if (state === 'ready') return true
    await new Promise((resume) => setTimeout(resume, 20))
  }
  child.kill('SIGKILL')
  return false
}

/** PostgreSQL will not run as root: if this is root, the server runs as another user. */
function serverUser() {
  if (process.getuid?.() !== 0) return undefined
  const users = fs.readFileSync('/etc/passwd', 'utf8').split('\n')
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = users.find((line) => line.startsWith(`${name}:`))?.split(':') ?? []
    if (uid && gid) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error('PostgreSQL will not run as root, and there is neither a user "postgres" nor "nobody" to run it as')
}

/**
 * The programs, in a place where the server's user can run them: other users cannot read root's home folder.
 *
 * @param {{ uid: number, gid: number } | undefined} user
 * @param {string} binaries
 */
function executableBy(user, binaries) {
  const probe = path.join(binaries, 'bin', 'postgres')
  if (!user || !spawnSync(probe, ['--version'], { ...user, cwd: '/' }).error) return binaries
  const copy = path.join(folder, 'native')
  fs.cpSync(binaries, copy, { recursive: true, verbatimSymlinks: true })
  return copy
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer().on('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {net.AddressInfo} */ (probe.address())
      probe.close(() => resolve(port))
    })
  })
}

let leaving = false

/** @param {number} code */
async function leave(code) {
  if (leaving) return
  leaving = true
  if (server && server.exitCode === null && server.signalCode === null) {
    const gone = new Promise((resolve) => server?.once('exit', resolve))
    // Fast shutdown: the server ends the sessions and does not wait for them.
    server.kill('SIGINT')
    const impatience = setTimeout(() => server?.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await gone
    clearTimeout(impatience)
  }
  for (const own of folders) fs.rmSync(own, { recursive: true, force: true, maxRetries: 5 })
  process.exit(code)
}

/** @param {object} message */
const report = (message) => process.stdout.write(`${JSON.stringify(message)}\n`)
