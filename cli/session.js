// @ts-check
// The command's connection: the package's own, so that it shows what the adapters would find.
'use strict'

const { number } = require('./options.js')

/** @typedef {import('./options.js').Given} Given */

class Session {
  #connection
  #native
  #inspection
  /** By the names that were asked for. @type {Map<string, Promise<string>>} */
  #tables = new Map()
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
    // Checked before there is a connection.
    if (given.table !== undefined) args.tableName(given.table)
    this.#connection = PoolHandle.of(configuration(given, max))
    this.#inspection = new this.#native.Inspection(this.#connection.native)
  }

  /** Connects. A failure here is a failure to connect. */
  async reach() {
    this.server = await require('./queries/server.js').server(this)
    return this.server
  }

  /**
   * The rows of one SELECT. It can only read: see src/store/inspection.rs.
   *
   * @param {string} sql
   * @param {(string | null | undefined)[]} [params] all of them are text
   * @param {{ asApplication?: boolean }} [options] in the form of another application's read, which a proxy may route
   * @returns {Promise<any[]>}
   */
  query(sql, params = [], { asApplication = false } = {}) {
    const texts = params.map((param) => param ?? null)
    return this.#ask((slot) => this.#inspection.query(slot, sql, texts, asApplication))
  }

  /**
   * The name, in SQL, of the table that the adapters use under this name. Fails for a table that they refuse.
   *
   * @param {string} table
   */
  tableName(table) {
    const parts = require('../lib/arguments.js').tableName(table)
    const name = this.#tables.get(table) ?? this.#ask((slot) => this.#inspection.table(slot, parts))
    this.#tables.set(table, name)
    // It is asked for again after a failure.
    name.catch(() => this.#tables.delete(table))
    return name
  }

  /**
   * What stands before the keys of the prefix that the user has named, and before digests of keys in a narrow column.
   * Nothing if rows of every prefix are wanted.
   *
   * @param {string} namespace
   * @returns {string[] | undefined}
   */
  storedPrefixes(namespace) {
    return this.keyPrefix === undefined ? undefined : this.#native.storedPrefixes(this.keyPrefix, namespace)
  }

  /**
   * A key as the adapters store it.
   *
   * @param {{ table: string, namespace: string }} source
   * @param {string} key as an application gives it
   * @returns {Promise<string>}
   */
  async storedKey({ table, namespace }, key) {
    const args = require('../lib/arguments.js')
    const [parts, name] = [args.tableName(table), args.key('key', key)]
    return this.#ask((slot) => this.#inspection.storedKey(slot, parts, this.keyPrefix ?? '', namespace, name))
  }

  /**
   * Whether the connection alone uses its session, and whether that takes transactions.
   *
   * @returns {Promise<{ isOwn: boolean, takesTransactions: boolean }>}
   */
  kind() {
    return this.#ask((slot) => this.#inspection.session(slot))
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
