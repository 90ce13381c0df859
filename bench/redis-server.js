// @ts-check
// The benchmark's own Redis servers, one for each way to keep what is written.
'use strict'

const { fork, spawnSync } = require('node:child_process')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { Redis } = require('ioredis')

const PROGRAM = 'redis-server'
const KEEPER = path.join(__dirname, 'programs/redis-keeper.js')

/** The settings in which they differ; the others are Redis' own. */
const PERSISTENCE = {
  memory: 'save ""\nappendonly no',
  everysec: 'save ""\nappendonly yes\nappendfsync everysec',
  always: 'save ""\nappendonly yes\nappendfsync always',
}

/** @typedef {keyof typeof PERSISTENCE} Persistence */

const MISSING = 'there is no redis-server on the PATH (Debian: apt-get install redis-server)'

/** How often the server is asked whether it has written its log anew. */
const ASK_MS = 5

class RedisServer {
  /**
   * @param {Persistence} persistence
   * @param {import('node:child_process').ChildProcess} keeper
   * @param {{ port: number, password: string, pid: number, folder: string }} running
   */
  constructor(persistence, keeper, { port, password, pid, folder }) {
    this.persistence = persistence
    this.keeper = keeper
    this.pid = pid
    this.folder = folder
    this.url = `redis://:${password}@127.0.0.1:${port}`
    this.client = new Redis(this.url)
    this.client.on('error', () => {})
  }

  /** @param {Persistence} persistence */
  static async start(persistence) {
    // Detached, or a Ctrl-C would end it before it has removed the folder.
    const keeper = fork(KEEPER, [PROGRAM, PERSISTENCE[persistence]], { detached: true })
    const running = await new Promise((resolve, reject) => {
      keeper.once('message', (/** @type {any} */ report) =>
        report.error ? reject(new Error(report.error)) : resolve(report),
      )
      keeper.once('error', reject)
      keeper.once('exit', (code) => reject(new Error(`the keeper of redis-server ended with ${code}`)))
    }).catch((error) => {
      if (keeper.connected) keeper.disconnect()
      throw error
    })
    return new RedisServer(persistence, keeper, running)
  }

  /**
   * @param {number} database by number
   * @returns {import('./server.js').Place}
   */
  placeOf(database) {
    return { url: `${this.url}/${database}`, pid: this.pid, tidy: () => this.tidy() }
  }

  /** Before each window: a log that has grown in other windows is not rewritten within this one. */
  async tidy() {
    if (this.persistence === 'memory') return
    await this.client.bgrewriteaof()
    while (/aof_rewrite_(in_progress|scheduled):1/.test(await this.client.info('persistence'))) await sleep(ASK_MS)
  }

  /** What a reader of the figures has to know. */
  async description() {
    const names = ['save', 'appendonly', 'appendfsync', 'io-threads']
    const values = await Promise.all(names.map((name) => this.client.config('GET', name)))
    return Object.fromEntries(values.map((found) => /** @type {[string, string]} */ (found)))
  }

  async stop() {
    this.client.disconnect()
    if (!this.keeper.connected) return
    const gone = new Promise((resolve) => this.keeper.once('exit', resolve))
    this.keeper.disconnect()
    await gone
  }
}

/** @returns {string | undefined} the version of the program that would be started */
function redisVersion() {
  const { status, stdout } = spawnSync(PROGRAM, ['--version'], { encoding: 'utf8' })
  return status === 0 ? /v=([\d.]+)/.exec(stdout)?.[1] : undefined
}

module.exports = { RedisServer, redisVersion, MISSING }
