// @ts-check
// The benchmark's own PostgreSQL, with the server's default settings, and a database for each side.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { Client } = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { startPostgres } = require('../embedded.js')
const { MAX_CONNECTIONS } = require('./pgbench.js')
const { fill } = require('./sides/adapter.js')

/** The defaults, where startPostgres has others; and connections enough for pgbench and all sides, or for 32 processes. */
const SETTINGS = { fsync: 'on', full_page_writes: 'on', max_connections: MAX_CONNECTIONS + 200 }

const TEMPLATE = 'bench_template'
const FLUSHES = 40

/**
 * A database, and its server.
 *
 * @typedef {object} Place
 * @property {string} url
 * @property {number} pid of the server
 * @property {() => Promise<void>} tidy before each window
 */

class Server {
  /** @type {Map<string, { client: Client, tables: string[] }>} */
  #databases = new Map()
  /** @type {Promise<void> | undefined} */
  #template
  /** @type {Promise<unknown> | undefined} */
  #pgbenchRole

  /** @param {import('../embedded.js').EmbeddedPostgres} postgres */
  constructor(postgres) {
    this.postgres = postgres
    this.pid = postgres.pid
  }

  /** @param {{ package?: string }} [options] whose PostgreSQL */
  static async start(options) {
    return new Server(await startPostgres({ ...options, settings: SETTINGS }))
  }

  /** Fills the tables once; each side then gets the same ones, to the byte. */
  fillTemplate() {
    this.#template ??= this.#makeTemplate()
    return this.#template
  }

  async #makeTemplate() {
    await this.#run('postgres', `CREATE DATABASE ${TEMPLATE}`)
    const adapter = new PostgresAdapter(this.urlOf(TEMPLATE))
    await adapter.connect()
    await fill(adapter)
    await adapter.disconnect()
    await this.#run(TEMPLATE, 'VACUUM ANALYZE')
  }

  /**
   * @param {string} name
   * @param {string} [template] to copy, by default none
   * @returns {Promise<Place>}
   */
  async createDatabase(name, template = 'template1') {
    await this.#run('postgres', `CREATE DATABASE "${name}" TEMPLATE ${template}`)
    return { url: this.urlOf(name), pid: this.pid, tidy: () => this.tidy(name) }
  }

  /** @param {string} side */
  databaseOf(side) {
    return this.createDatabase(side, TEMPLATE)
  }

  /** @param {string} database */
  urlOf(database) {
    const url = new URL(this.postgres.url)
    url.pathname = `/${database}`
    return url.href
  }

  /**
   * As a role that logs in at little cost: hundreds of sessions that begin before each window of pgbench would
   * otherwise keep the machine busy for longer than the window.
   *
   * @param {string} database
   */
  async pgbenchUrlOf(database) {
    const login = 'SET scram_iterations = 1; CREATE ROLE pgbench SUPERUSER LOGIN PASSWORD $$pgbench$$'
    this.#pgbenchRole ??= this.#run('postgres', login)
    await this.#pgbenchRole
    const url = new URL(this.urlOf(database))
    url.username = 'pgbench'
    url.password = 'pgbench'
    return url.href
  }

  /**
   * Before each window of each side: what other windows have left to be written and to be cleaned up costs this one
   * nothing.
   *
   * @param {string} name of the database
   */
  async tidy(name) {
    const { client, tables } = this.#databases.get(name) ?? (await this.#look(name))
    await client.query('CHECKPOINT')
    await client.query(`VACUUM ${tables.join(', ')}`)
  }

  /** @param {string} name */
  async #look(name) {
    const client = new Client(this.urlOf(name))
    client.on('error', () => {})
    await client.connect()
    const { rows } = await client.query(
      "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    )
    const database = { client, tables: rows.map((row) => row.name) }
    this.#databases.set(name, database)
    return database
  }

  /**
   * @param {string} database
   * @param {string} sql
   * @returns {Promise<any[]>}
   */
  async #run(database, sql) {
    const client = new Client(this.urlOf(database))
    await client.connect()
    try {
      return (await client.query(sql)).rows
    } finally {
      await client.end()
    }
  }

  /**
   * @param {string} database
   * @param {string} sql
   */
  run(database, sql) {
    return this.#run(database, sql)
  }

  /** What a reader of the figures has to know. */
  async description() {
    const [{ version }] = await this.#run('postgres', "SELECT current_setting('server_version') AS version")
    const settings = await this.#run(
      'postgres',
      `SELECT name, current_setting(name) AS value FROM pg_settings
        WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'max_connections', 'shared_buffers', 'jit',
                       'wal_sync_method', 'autovacuum') ORDER BY name`,
    )
    return {
      version: String(version),
      settings: Object.fromEntries(settings.map(({ name, value }) => [name, value])),
      flushMicros: this.#flushMicros(),
    }
  }

  /** The median time of an fdatasync after a small write, where the server has its files: the price of a commit. */
  #flushMicros() {
    const file = path.join(path.dirname(this.postgres.logFile), 'flush')
    const handle = fs.openSync(file, 'w')
    const times = Array.from({ length: FLUSHES }, () => {
      const before = performance.now()
      fs.writeSync(handle, Buffer.alloc(8192), 0, 8192, 0)
      fs.fdatasyncSync(handle)
      return performance.now() - before
    })
    fs.closeSync(handle)
    fs.rmSync(file)
    return Math.round(1000 * (times.sort((a, b) => a - b)[FLUSHES / 2] ?? 0))
  }

  async stop() {
    await Promise.allSettled([...this.#databases.values()].map(({ client }) => client.end()))
    await this.postgres.stop()
  }
}

module.exports = { Server }
