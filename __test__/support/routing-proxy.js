// @ts-check
// Pgpool-II in front of a primary and a standby: it sends every read to the standby.
'use strict'

const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const pg = require('pg')
const { guarded } = require('../../scripts/servers/guard.js')
const { freePort } = require('../../scripts/servers/pooler.js')
const { until } = require('./waiting.js')

const version = /version (\d+\.\d+)/.exec(spawnSync('pgpool', ['--version'], { encoding: 'utf8' }).stderr ?? '')

/** The reason to report if there is none. */
const missing = version ? '' : 'pgpool is not installed (Debian: apt-get install pgpool2)'

/**
 * @param {{ url: string, port: number, user: { uid?: number, gid?: number } }} primary
 * @param {{ port: number }} standby
 */
async function startRoutingProxy(primary, standby) {
  const { username, password } = new URL(primary.url)
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-pgpool-'))
  const file = (/** @type {string} */ name, /** @type {string} */ content) => {
    fs.writeFileSync(path.join(folder, name), content)
    return path.join(folder, name)
  }
  const configure = (/** @type {number} */ port, /** @type {number} */ control) =>
    file(
      'pgpool.conf',
      `backend_clustering_mode = 'streaming_replication'
listen_addresses = '127.0.0.1'
port = ${port}
pcp_listen_addresses = ''
pcp_port = ${control}
socket_dir = '${folder}'
pcp_socket_dir = '${folder}'
wd_ipc_socket_dir = '${folder}'
pid_file_name = '${folder}/pid'
logdir = '${folder}'
work_dir = '${folder}'
backend_hostname0 = '127.0.0.1'
backend_port0 = ${primary.port}
backend_weight0 = 0
backend_flag0 = 'ALWAYS_PRIMARY|DISALLOW_TO_FAILOVER'
backend_hostname1 = '127.0.0.1'
backend_port1 = ${standby.port}
backend_weight1 = 1
backend_flag1 = 'DISALLOW_TO_FAILOVER'
load_balance_mode = on
num_init_children = 64
max_pool = 1
enable_pool_hba = on
pool_passwd = '${folder}/pool_passwd'
allow_clear_text_frontend_auth = off
sr_check_period = 0
health_check_period = 0
`,
    )
  file('pool_hba.conf', 'host all all 127.0.0.1/32 scram-sha-256\n')
  file('pcp.conf', '')
  file('pool_passwd', `${decodeURIComponent(username)}:TEXT${decodeURIComponent(password)}\n`)
  const start = async (/** @type {number} */ port, /** @type {number} */ control) => {
    const conf = configure(port, control)
    // It does not run as root either, and it must be able to read its files.
    for (const name of ['.', ...fs.readdirSync(folder)]) {
      const { uid, gid } = primary.user
      if (uid !== undefined && gid !== undefined) fs.chownSync(path.join(folder, name), uid, gid)
    }
    const log = fs.openSync(path.join(folder, 'log'), 'a')
    const args = ['-n', '-f', conf, '-a', path.join(folder, 'pool_hba.conf'), '-F', path.join(folder, 'pcp.conf')]
    const child = guarded(spawn('pgpool', args, { ...primary.user, cwd: folder, stdio: ['ignore', log, log] }))
    fs.closeSync(log)
    const gone = new Promise((resolve) => child.once('exit', resolve))
    const runs = () => child.exitCode === null && child.signalCode === null
    const url = new URL(primary.url)
    url.port = String(port)
    await until('Pgpool-II', async () => !runs() || (await answers(url.href)))
    return runs() ? { url: url.href, child, gone } : undefined
  }
  // Another process may take a port between the check and the start.
  const running = await until('a Pgpool-II on ports of its own', async () => start(await freePort(), await freePort()))
  const stop = async () => {
    running.child.kill('SIGINT')
    await running.gone
    fs.rmSync(folder, { recursive: true, force: true })
  }
  return { url: running.url, log: () => fs.readFileSync(path.join(folder, 'log'), 'utf8'), stop }
}

/** @param {string} url */
async function answers(url) {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('SELECT 1')
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => {})
  }
}

module.exports = { missing, startRoutingProxy }
