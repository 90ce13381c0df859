// @ts-check
// The command's connection: the package's own, so that it shows what the adapters would find.
'use strict'

const { number } = require('./options.js')

/** @typedef {import('./options.js').Given} Given */

class Session {
  #connection
  #native
  #inspection
  /** Whether the server has answered. */
  wasReached = false
  /** The server's description of itself. @type {any} */
  server

  /**
   * @param {Given} given
   * @param {number} [max] connections
   */
  constructor(given, max = 2) {
    // Loaded only here: `--help` and `schema` need no addon.
    const args = require('../lib/arguments.js')
    const { PoolHandle } = require('../lib/pool-handle.js')
    this.#native = require('../lib/native.js')
    const prefix = given['key-prefix']
    this.keyPrefix = prefix === undefined ? undefined : args.key('--key-prefix', prefix)
    const table = given.table === undefined ? undefined : args.tableName(given.table)
    this.#connection = PoolHandle.of(configuration(given, max))
    this.#inspection = new this.#native.Inspection(this.#connection.native, this.keyPrefix, table)
  }

  /** Connects. A failure here is a failure to connect. */
  async reach() {
    this.server = await this.look('server')
    return this.server
  }

  /**
   * One of the inspections of src/store/inspection.
   *
   * @param {string} what
   * @param {...(string | null | undefined)} args
   * @returns {Promise<any>}
   */
  look(what, ...args) {
    return this.#ask((slot) =>
      this.#inspection.look(
        slot,
        what,
        args.map((arg) => arg ?? null),
      ),
    )
  }

  /**
   * As {@link look}, for any prefix.
   *
   * @param {string} what
   * @param {...(string | null)} args
   * @returns {Promise<any>}
   */
  lookAnywhere(what, ...args) {
    const inspection = new this.#native.Inspection(this.#connection.native)
    return this.#ask((slot) => inspection.look(slot, what, args))
  }

  /** The lock under a key, if there is one. @param {string} key */
  async lock(key) {
    const name = require('../lib/arguments.js').key('key', key)
    const [found] = await this.#ask((slot) => this.#inspection.lock(slot, name))
    return found
  }

  /**
   * Frees a lock that is still this owner's, and returns whether it was.
   *
   * @param {string} key
   * @param {string} owner
   * @returns {Promise<boolean>}
   */
  async release(key, owner) {
    const name = require('../lib/arguments.js').key('key', key)
    const locks = new this.#native.Locks(this.#connection.native, this.keyPrefix ?? '', false)
    return this.#ask((slot) => locks.releaseOne(slot, name, owner))
  }

  /** @param {(slot: number) => void} start */
  async #ask(start) {
    const { settled } = require('../lib/bridge.js')
    const answer = settled(await this.#connection.send(start))
    this.wasReached = true
    return answer
  }

  async close() {
    await this.#connection.end()
  }
}

/**
 * @param {Given} given
 * @param {number} max
 */
function configuration(given, max) {
  const seconds = number(given, 'connect-timeout', 10, { min: 0.1, max: 3600 })
  const connectionString = given.url ?? process.env.DATABASE_URL
  return {
    ...(connectionString && { connectionString }),
    max,
    connectionTimeoutMillis: seconds * 1000,
    fallback_application_name: 'goscope-postgres',
  }
}

module.exports = { Session }
