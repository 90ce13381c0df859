// @ts-check
// A database of its own for each test file, on the server that the runner has started.
'use strict'

const crypto = require('node:crypto')
const { after, afterEach } = require('node:test')
const pg = require('pg')
const { adaptersUrl, hook, migrate } = require('./route.js')
const { inTime, until } = require('./waiting.js')

const serverUrl = process.env.GOSCOPE_TEST_URL
if (!serverUrl) {
  throw new Error(
    'GOSCOPE_TEST_URL is not set: run `node __test__/run.js [file...]`, which starts a server and sets it',
  )
}

/** Settings that each database gets, such as `{ TimeZone: 'Asia/Tokyo' }`. */
const settings = JSON.parse(process.env.GOSCOPE_TEST_SETTINGS ?? '{}')

/**
 * For a configuration whose server compiles plans and logs them: distinguishes the sessions of adapters from those of
 * the tests. Plans of the tests are not compiled, since that would take minutes.
 */
const application = process.env.GOSCOPE_TEST_APPLICATION
const OF_ADAPTERS = application ? { application_name: application } : {}
const OF_TESTS = application ? { application_name: 'goscope_tests', options: '-c jit=off' } : {}

/**
 * An empty database for the test file that calls this while it loads. It is dropped after the file's tests. If the
 * adapters may not make tables, it is not empty: it has the documented tables, unless not `migrated`, and the
 * `cacheTables`.
 *
 * @param {{ migrated?: boolean, cacheTables?: string[] }} [options]
 * @returns {Promise<Database>}
 */
function useDatabase(options) {
  const made = createDatabase(options)
  // Here, while the file loads: within a test, node:test may take such a hook for one of the file's hooks.
  afterEach(async () => (await made).letGo())
  after(async () => {
    await (await made).drop()
    endSoon()
  })
  return made
}

/** Twice the time that a pool that was never ended takes to close its idle clients. */
const LEFTOVERS_MS = 20_000

/** A failed test may have left a socket or a process behind. Its file must fail for that reason, not for a time-out. */
function endSoon() {
  const giveUp = () => {
    console.error(`still open after the tests: ${process.getActiveResourcesInfo().join(', ')}`)
    process.exit(1)
  }
  setTimeout(giveUp, LEFTOVERS_MS).unref()
}

/** @param {Parameters<typeof useDatabase>[0]} options */
async function createDatabase(options) {
  const name = `goscope_test_${crypto.randomBytes(6).toString('hex')}`
  await inSession(serverUrl, async (query) => {
    const [{ version }] = await query("SELECT current_setting('server_version_num')::int AS version")
    // No session can be connected to template0, so none can block this. As a file copy: a third of the server's work.
    await query(`CREATE DATABASE ${name} TEMPLATE template0${version >= 150_000 ? ' STRATEGY FILE_COPY' : ''}`)
    for (const [setting, value] of Object.entries(settings)) {
      await query(`ALTER DATABASE ${name} SET ${setting} = '${value}'`)
    }
  })
  const database = new Database(name)
  await migrate((sql) => database.query(sql), options)
  return database
}

class Database {
  /** @type {pg.Pool[]} */
  #pools = []
  /** @type {Set<pg.PoolClient>} */
  #checkedOut = new Set()
  /** @type {Set<pg.Client>} */
  #holding = new Set()

  /** @param {string} name */
  constructor(name) {
    this.name = name
    const url = new URL(/** @type {string} */ (serverUrl))
    url.pathname = `/${name}`
    /** With the server's administrator. */
    this.ownUrl = url.href
    /** With an application's user. */
    this.url = adaptersUrl(url.href)
    /** For the queries of the tests themselves: pg's own pool, with the session's own settings. */
    this.plain = this.pool({ connectionString: this.ownUrl, max: 4, ...OF_TESTS })
  }

  /**
   * A pool as an application would make it.
   *
   * @param {pg.PoolConfig} [options]
   */
  pool(options) {
    const pool = new pg.Pool({ connectionString: this.url, ...OF_ADAPTERS, ...options })
    // The drop of the database disconnects clients. They emit an error: idle ones through their pool, others
    // themselves.
    pool.on('error', ignore)
    pool.on('acquire', (client) => {
      this.#checkedOut.add(client)
      if (!client.listeners('error').includes(ignore)) client.on('error', ignore)
    })
    pool.on('release', (_, client) => this.#checkedOut.delete(client))
    this.#pools.push(pool)
    hook(pool)
    return pool
  }

  /** A pool for an application's own transactions, whose sessions are not those of adapters. */
  clients() {
    return this.pool(OF_TESTS)
  }

  /**
   * @param {string} sql
   * @param {unknown[]} [params]
   * @returns {Promise<any[]>}
   */
  async query(sql, params) {
    return (await this.plain.query(sql, params)).rows
  }

  /**
   * A transaction that has run a statement and keeps its locks. It ends with the test at the latest, so that a failed
   * test does not block a later one.
   *
   * @param {string} sql
   * @param {unknown[]} [params]
   */
  async hold(sql, params) {
    const client = new pg.Client({ connectionString: this.ownUrl })
    client.on('error', ignore)
    this.#holding.add(client)
    await client.connect()
    await client.query('BEGIN')
    await client.query(sql, params)
    const end = async (/** @type {string} */ how) => {
      await client.query(how)
      await client.end()
    }
    const query = async (/** @type {string} */ sql, /** @type {unknown[]} */ params) =>
      (await client.query(sql, params)).rows
    return { query, commit: () => end('COMMIT'), rollback: () => end('ROLLBACK') }
  }

  /** Ends the transactions that a test has left open. */
  async letGo() {
    await Promise.all([...this.#holding].map((client) => client.end()))
    this.#holding.clear()
  }

  /**
   * Waits until so many sessions of this database wait for a lock.
   *
   * @param {number} [count]
   */
  async untilWaiting(count = 1) {
    await until(`${count} waiting for a lock`, async () => {
      const [{ n }] = await this.query(`SELECT count(*)::int AS n FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND wait_event_type = 'Lock'`)
      return n >= count
    })
  }

  /** How long the statement that has waited for a lock the longest has been running, in milliseconds. */
  async longestWait() {
    const [{ ms }] =
      await this.query(`SELECT coalesce(extract(epoch FROM max(clock_timestamp() - query_start)) * 1e3, 0)::int
        AS ms FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND wait_event_type = 'Lock'`)
    return ms
  }

  /** The server's clock, in milliseconds. */
  async clock() {
    const [{ now }] = await this.query('SELECT (extract(epoch FROM clock_timestamp()) * 1e6)::bigint AS now')
    return Number(now) / 1e3
  }

  async drop() {
    // pool.end() would wait for them for ever.
    for (const client of this.#checkedOut) client.release(true)
    await dropDatabase(this.name)
    const ends = this.#pools.filter((pool) => !pool.ending).map((pool) => pool.end())
    await inTime('the end of the pools', Promise.all(ends))
  }
}

/**
 * Ends all sessions, so that no session can prevent the drop. DROP DATABASE ... WITH (FORCE) exists since version 13.
 *
 * @param {string} name
 */
async function dropDatabase(name) {
  await until(`${name} can be dropped`, async () => {
    try {
      await administer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
      return true
    } catch (error) {
      // The server gives the sessions that it terminates five seconds to end.
      if (/** @type {any} */ (error).code === '55006') return false
      throw error
    }
  })
}

function ignore() {}

/**
 * @param {string} sql
 * @param {string} [url] of a server other than the tests' own
 */
const administer = (sql, url = serverUrl) => inSession(url, (query) => query(sql))

/**
 * @param {string | undefined} url
 * @param {(query: (sql: string) => Promise<any[]>) => Promise<unknown>} work
 */
async function inSession(url, work) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await work(async (sql) => (await client.query(sql)).rows)
  } finally {
    await client.end()
  }
}

module.exports = { administer, useDatabase }
