// @ts-check
// The command's connection: the package's own, so that it shows what the adapters would find.
'use strict'

const { number } = require('./options.js')

/** @typedef {import('./options.js').Given} Given */

/**
 * How long a command that goes on waits for an answer. A connection that dies silently, as after the sleep of a laptop,
 * would else keep it for ever. A command that ends by itself has no limit: its reads may take long, and a user can end it.
 */
const LONGEST_ANSWER_MS = 10_000

class Session {
  #given
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
   * @param {{ onConnect?: (client: any) => Promise<void> }} [hooks]
   */
  constructor(given, max = 2, hooks = {}) {
    this.#given = given
    // Loaded only here: `--help` and `schema` need no addon.
    const args = require('../lib/arguments.js')
    const { PoolHandle } = require('../lib/pool-handle.js')
    this.#native = require('../lib/native.js')
    const prefix = given['key-prefix']
    this.keyPrefix = prefix === undefined ? undefined : args.key('--key-prefix', prefix)
    // Checked before there is a connection.
    if (given.table !== undefined) args.tableName(given.table)
    this.#connection = PoolHandle.of({ ...configuration(given, max), ...hooks })
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
   * The first row.
   *
   * @param {Parameters<Session['query']>} asked
   */
  async row(...asked) {
    const [row] = await this.query(...asked)
    return row
  }

  /**
   * The name, in SQL, of the table that the adapters use under this name. Fails for a table that they refuse.
   *
   * @param {string} table
   * @returns {Promise<string>}
   */
  tableName(table) {
    const parts = require('../lib/arguments.js').tableName(table)
    return this.#ask((slot) => this.#inspection.table(slot, parts))
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
   * @param {string} [keyPrefix] if not the one that the user has named
   * @returns {Promise<string>}
   */
  async storedKey({ table, namespace }, key, keyPrefix = this.keyPrefix ?? '') {
    const args = require('../lib/arguments.js')
    const [parts, name] = [args.tableName(table), args.key('key', key)]
    return this.#ask((slot) => this.#inspection.storedKey(slot, parts, keyPrefix, namespace, name))
  }

  /** Whether a pooler gives the sessions to other clients, too. Known once the server has answered. */
  get isShared() {
    return this.#inspection.sharesSessions()
  }

  /** Whether a pooler lets transactions pass: on a shared session the adapters' writes are transactions. */
  async takesTransactions() {
    let isRefused = false
    // A pooler that refuses ends the connection with that.
    const onConnect = async (/** @type {any} */ client) => {
      await client.query('BEGIN').catch(() => (isRefused = true))
      await client.query('COMMIT')
    }
    const session = new Session(this.#given, 1, { onConnect })
    await session.query('SELECT').catch(() => {})
    await session.close()
    return !isRefused
  }

  /**
   * Makes a call of the adapters' own. All that the command writes, it writes by this: see cli/adapter-calls.js.
   *
   * @param {(native: typeof import('../lib/native.js'), pool: any) => (slot: number) => void} start
   * @returns {Promise<any>}
   */
  write(start) {
    return this.#ask(start(this.#native, this.#connection.native))
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
    // One in the URL has precedence.
    ...(given.goesOn && { query_timeout: LONGEST_ANSWER_MS }),
    fallback_application_name: 'goscope-postgres',
  }
}

module.exports = { Session }
