// @ts-check
// A primary and its streaming standby. The standby is copied from the running server with the manual's low-level base
// backup, so no client program is needed. Linux only.
'use strict'

const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const pg = require('pg')
const { startPostgres } = require('../../embedded.js')
const { guarded } = require('../../scripts/servers/guard.js')
const { freePort } = require('../../scripts/servers/pooler.js')
const { until } = require('./waiting.js')

/** The standby's name, for `synchronous_standby_names`. */
const STANDBY = 'standby'

/**
 * @param {Record<string, string>} [settings] of the primary
 * @returns {Promise<Replication>}
 */
async function startReplication(settings) {
  const kept = await startPostgres({
    settings: { wal_level: 'replica', max_wal_senders: 10, wal_keep_size: '256MB', autovacuum: 'off', ...settings },
  })
  const primary = new Server(kept, path.join(kept.socketDirectory, 'data'), kept.port)
  const replication = new Replication(kept, primary)
  try {
    await replication.addStandby()
    return replication
  } catch (error) {
    await replication.stop()
    throw error
  }
}

class Replication {
  #kept

  /**
   * @param {Awaited<ReturnType<typeof startPostgres>>} kept
   * @param {Server} primary
   */
  constructor(kept, primary) {
    this.#kept = kept
    this.primary = primary
    /** @type {Server} */
    this.standby = primary
  }

  /** The URL of both, the primary first. */
  get url() {
    const { primary, standby } = this
    return `${primary.url.replace(/@.*/, '')}@127.0.0.1:${primary.port},127.0.0.1:${standby.port}/postgres?target_session_attrs=read-write`
  }

  async addStandby() {
    const { primary } = this
    const folder = path.join(this.#kept.socketDirectory, 'standby')
    const client = new pg.Client({ connectionString: primary.url })
    client.on('error', () => {})
    await client.connect()
    await client.query("SELECT pg_backup_start('standby', fast => true)")
    // As the server's user, who must own the copy.
    const copied = spawnSync('cp', ['-a', primary.folder, folder], { ...primary.user, encoding: 'utf8' })
    if (copied.status !== 0) throw new Error(`the primary could not be copied: ${copied.error ?? copied.stderr}`)
    const { rows } = await client.query('SELECT labelfile FROM pg_backup_stop(wait_for_archive => false)')
    await client.end()

    const port = await freePort()
    const password = decodeURIComponent(new URL(primary.url).password)
    const source = `host=127.0.0.1 port=${primary.port} user=postgres password=${password} application_name=${STANDBY}`
    const standby = new Server(this.#kept, folder, port)
    fs.rmSync(path.join(folder, 'postmaster.pid'))
    standby.write('backup_label', rows[0].labelfile)
    standby.write('standby.signal', '')
    standby.write('postgresql.auto.conf', `primary_conninfo = '${source}'\n`)
    await standby.start()
    this.standby = standby
    await until('the standby streams', async () => (await primary.standbys()) === 1)
  }

  /** Writes from here on do not reach the standby. */
  async cutOff() {
    await this.standby.query("ALTER SYSTEM SET primary_conninfo = ''")
    await this.standby.query('SELECT pg_reload_conf()')
    await until('the standby is cut off', async () => (await this.primary.standbys()) === 0)
  }

  /** Waits until the standby has everything that the primary has. */
  async caughtUp() {
    const [{ lsn }] = await this.primary.query('SELECT pg_current_wal_flush_lsn()::text AS lsn')
    await until('the standby has caught up', async () => {
      const [{ is }] = await this.standby.query('SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS is', [lsn])
      return is
    })
  }

  /** @returns {Promise<number>} when the standby is a primary, as `performance.now()` */
  async promote() {
    await this.standby.query('SELECT pg_promote(true, 60)')
    return performance.now()
  }

  async stop() {
    // Its keeper stops the first server, unless the server has been started again.
    for (const server of [this.standby, this.primary]) await server.stop()
    await this.#kept.stop()
  }
}

class Server {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child
  #program
  #pid

  /**
   * @param {Awaited<ReturnType<typeof startPostgres>>} kept a running server, whose programs and user it takes
   * @param {string} folder
   * @param {number} port
   */
  constructor(kept, folder, port) {
    this.folder = folder
    this.port = port
    this.#pid = kept.pid
    this.#program = fs.readlinkSync(`/proc/${kept.pid}/exe`)
    const { uid, gid } = fs.statSync(kept.socketDirectory)
    this.user = process.getuid?.() === 0 ? { uid, gid } : {}
    const url = new URL(kept.url)
    url.port = String(port)
    this.url = url.href
  }

  /** @param {Record<string, string>} [settings] */
  async start(settings = {}) {
    const log = fs.openSync(`${this.folder}.log`, 'a')
    const parent = path.dirname(this.folder)
    const all = { listen_addresses: '127.0.0.1', port: this.port, unix_socket_directories: parent, fsync: 'off' }
    const flags = Object.entries({ ...all, ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    // After a crash, the server's processes take a moment to end, and a new server does not wait for them.
    await until(`a server in ${this.folder}`, async () => {
      const options = { ...this.user, env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' }, cwd: parent }
      const server = spawn(this.#program, ['-D', this.folder, ...flags], { ...options, stdio: ['ignore', log, log] })
      const child = guarded(server)
      const ended = new Promise((resolve) => child.once('exit', resolve).once('error', resolve))
      this.#child = child
      const answers = until('an answer', () => this.query('SELECT 1').catch(() => undefined))
      answers.catch(() => {})
      return Promise.race([answers, ended.then(() => false)])
    })
    fs.closeSync(log)
  }

  /** At once, as by a power cut. */
  async kill() {
    process.kill(this.#child?.pid ?? this.#pid, 'SIGKILL')
    await until('the end of the server', () =>
      this.query('SELECT 1').then(
        () => false,
        () => true,
      ),
    )
  }

  /**
   * @param {string} sql
   * @param {unknown[]} [params]
   * @returns {Promise<any[]>}
   */
  async query(sql, params) {
    const client = new pg.Client({ connectionString: this.url, connectionTimeoutMillis: 10_000 })
    client.on('error', () => {})
    await client.connect()
    try {
      return (await client.query(sql, params)).rows
    } finally {
      await client.end()
    }
  }

  /** How many standbys stream from it. */
  async standbys() {
    return (await this.query("SELECT FROM pg_stat_replication WHERE state = 'streaming'")).length
  }

  /** @param {string} name of the application */
  async sessions(name) {
    return (await this.query('SELECT FROM pg_stat_activity WHERE application_name = $1', [name])).length
  }

  /**
   * @param {string} name
   * @param {string} content
   */
  write(name, content) {
    const file = path.join(this.folder, name)
    fs.writeFileSync(file, content, { mode: 0o600 })
    const { uid, gid } = fs.statSync(this.folder)
    fs.chownSync(file, uid, gid)
  }

  async stop() {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGINT')
    await gone
  }
}

module.exports = { STANDBY, startReplication }
