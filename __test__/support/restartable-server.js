// @ts-check
// A PostgreSQL that can be killed and started again, on the same port and data. Linux only: it reads /proc.
'use strict'

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const readline = require('node:readline')
const { startPostgres } = require('../../embedded.js')
const { until } = require('./waiting.js')

/** Far longer than a shutdown takes. */
const SHUTDOWN_TIMEOUT_MS = 10_000

/**
 * When the test kills a process, no data that the server has handed to the kernel is lost. So `fsync` stays off: it
 * protects against a power failure of the machine.
 *
 * @param {Record<string, string>} [settings]
 */
async function startRestartableServer(settings = {}) {
  const server = await startPostgres({ settings: { log_statement: 'none', ...settings } })
  return new RestartableServer(server)
}

class RestartableServer {
  #pid
  #command
  #data
  #embedded
  /** @type {import('node:child_process').ChildProcessByStdio<any, any, any> | undefined} */
  #keeper

  /** @param {import('../../embedded.js').EmbeddedPostgres} embedded */
  constructor(embedded) {
    this.#embedded = embedded
    this.url = embedded.url
    this.#pid = embedded.pid
    const folder = path.dirname(embedded.logFile)
    this.#data = path.join(folder, 'data')
    const [, ...args] = of(this.#pid, 'cmdline').split('\0').slice(0, -1)
    const pairs = of(this.#pid, 'environ').split('\0').filter(Boolean)
    const id = (/** @type {string} */ kind) => Number(of(this.#pid, 'status').match(`${kind}:\\s+(\\d+)`)?.[1])
    this.#command = {
      program: fs.readlinkSync(`/proc/${this.#pid}/exe`),
      args,
      env: Object.fromEntries(pairs.map((pair) => pair.split(/=(.*)/s).slice(0, 2))),
      cwd: folder,
      uid: id('Uid'),
      gid: id('Gid'),
      log: embedded.logFile,
    }
  }

  /** Kills every process of the server, as the kernel does when memory runs out, or a container when it stops. */
  async crash() {
    const processes = [this.#pid, ...childrenOf(this.#pid)]
    for (const pid of processes) kill(pid, 'SIGKILL')
    await until('the end of the server', () => processes.every((pid) => !isAlive(pid)))
  }

  /** Kills one session's process. The server then ends all others, and recovers by itself. */
  crashOneSession() {
    const sessions = childrenOf(this.#pid).filter((pid) => /\d+\.\d+\.\d+\.\d+\(/.test(nameOf(pid)))
    const pid = sessions[Math.floor(Math.random() * sessions.length)]
    if (pid !== undefined) kill(pid, 'SIGKILL')
    return pid !== undefined
  }

  /**
   * A fast shutdown: sessions receive 57P01. PostgreSQL 18 may never end if it comes while the server recovers from the
   * crash of a session (1 of 22 times). Then the server is killed, as a service manager kills it.
   */
  async shutDown() {
    const pid = this.#pid
    kill(pid, 'SIGINT')
    const deadline = performance.now() + SHUTDOWN_TIMEOUT_MS
    await until('the shutdown of the server', () => !isAlive(pid) || performance.now() > deadline)
    if (isAlive(pid)) await this.crash()
  }

  async start() {
    const order = JSON.stringify(this.#command)
    await until('the start of the server', async () => {
      const keeper = spawn(process.execPath, [path.join(__dirname, 'server-keeper.js'), order], {
        env: { PATH: process.env.PATH },
        detached: true,
        stdio: ['pipe', 'pipe', 'ignore'],
      })
      this.#keeper = keeper
      const lines = readline.createInterface({ input: keeper.stdout })
      const pid = Number(await new Promise((resolve) => lines.once('line', resolve)))
      lines.close()
      // Like the first server, it does not keep the process alive.
      keeper.unref()
      for (const stream of [keeper.stdin, keeper.stdout]) /** @type {any} */ (stream).unref()
      this.#pid = pid
      // Remains of an earlier server in shared memory may prevent the new one from starting.
      await until('the state of the server', () => !isAlive(pid) || this.#state(pid) === 'ready')
      return isAlive(pid)
    })
  }

  async restart() {
    await this.shutDown()
    await this.start()
  }

  /** @param {number} pid */
  #state(pid) {
    const file = path.join(this.#data, 'postmaster.pid')
    // A server that ends meanwhile removes it.
    const lines = textOf(file).split('\n')
    return Number(lines[0]) === pid ? lines[7]?.trim() : undefined
  }

  async stop() {
    if (this.#keeper && isAlive(this.#pid)) {
      const gone = new Promise((resolve) => this.#keeper?.once('exit', resolve))
      this.#keeper.ref()
      await this.shutDown()
      await gone
    }
    await this.#embedded.stop()
  }
}

/** @param {string} file empty if there is none */
function textOf(file) {
  try {
    return fs.readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/**
 * @param {number} pid
 * @param {string} file
 */
const of = (pid, file) => fs.readFileSync(`/proc/${pid}/${file}`, 'utf8')

/** @param {number} pid */
function childrenOf(pid) {
  const all = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return all.map(Number).filter((one) => statOf(one)?.parent === pid)
}

const nameOf = (/** @type {number} */ pid) => textOf(`/proc/${pid}/cmdline`)

/** @param {number} pid */
function statOf(pid) {
  try {
    const [state, parent] = of(pid, 'stat')
      .replace(/^.*\) /s, '')
      .split(' ')
    return { state, parent: Number(parent) }
  } catch {
    return undefined
  }
}

/** @param {number} pid */
function isAlive(pid) {
  const stat = statOf(pid)
  return stat !== undefined && stat.state !== 'Z'
}

/**
 * @param {number} pid
 * @param {NodeJS.Signals} signal
 */
function kill(pid, signal) {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (/** @type {any} */ (error).code !== 'ESRCH') throw error
  }
}

module.exports = { startRestartableServer }
