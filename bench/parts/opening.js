// @ts-check
// Opens the sides of a run, each in a database of its own. What lacks its program is left out.
'use strict'

const { Pgbench, findPgbench } = require('../pgbench.js')
const { OURS } = require('../promises.js')
const { MISSING, RedisServer, redisVersion } = require('../redis-server.js')
const { Side } = require('../side.js')

const REDIS = /^redis-(?<persistence>memory|everysec|always)(?<pipelined>-pipelined)?$/

/** @typedef {Side | Pgbench} AnySide */

class Sides {
  /** Ours is the first. @type {AnySide[]} */
  all = []
  /** @type {string[]} */
  leftOut = []
  /** @type {Record<string, string>} */
  versions = {}
  /** @type {Map<string, RedisServer>} */
  #redis = new Map()

  /**
   * @param {import('../server.js').Server} server
   * @param {import('../progress.js').Progress} progress
   */
  constructor(server, progress) {
    this.server = server
    this.progress = progress
  }

  /** @param {string[]} names of those beside ours */
  async open(names) {
    for (const name of [OURS, ...names]) {
      this.progress.say(`opening ${name}`)
      const side = await this.#make(name)
      if (!side) continue
      this.all.push(side)
      await side.open()
      Object.assign(this.versions, side.versions)
    }
  }

  async close() {
    await Promise.all(this.all.map((side) => side.close()))
  }

  /** Whatever has happened before, nothing is left of them. */
  async end() {
    for (const side of this.all) side.kill()
    await Promise.all([...this.#redis.values()].map((server) => server.stop()))
  }

  /** The settings of each Redis. */
  async redisSettings() {
    const each = [...this.#redis].map(async ([name, server]) => [name, await server.description()])
    return Object.fromEntries(await Promise.all(each))
  }

  /** @param {string} name */
  async #make(name) {
    if (name === 'pgbench') return this.#makePgbench()
    const { persistence, pipelined = '' } = REDIS.exec(name)?.groups ?? {}
    if (persistence === undefined) return new Side(name, await this.server.databaseOf(name))
    const server = await this.#redisServer(/** @type {import('../redis-server.js').Persistence} */ (persistence))
    return server && new Side(name, server.placeOf(pipelined ? 1 : 0), `redis${pipelined}`)
  }

  async #makePgbench() {
    const program = findPgbench()
    if (program) {
      const place = await this.server.databaseOf('pgbench')
      return new Pgbench(program, place, await this.server.pgbenchUrlOf('pgbench'))
    }
    this.#leaveOut('pgbench', Pgbench.MISSING)
  }

  /** @param {import('../redis-server.js').Persistence} persistence */
  async #redisServer(persistence) {
    const running = this.#redis.get(persistence)
    if (running) return running
    const version = redisVersion()
    if (version === undefined) return this.#leaveOut('redis', MISSING)
    const server = await RedisServer.start(persistence)
    this.#redis.set(persistence, server)
    this.versions['redis-server'] = version
    return server
  }

  /**
   * @param {string} name
   * @param {string} reason
   */
  #leaveOut(name, reason) {
    if (this.leftOut.includes(name)) return
    this.leftOut.push(name)
    this.progress.line(`${name} is left out: ${reason}`)
  }
}

module.exports = { Sides }
