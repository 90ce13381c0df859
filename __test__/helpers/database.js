// @ts-check
// A database of its own for each test file, on the server that the runner has started.
'use strict'

const crypto = require('node:crypto')
const { after } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const pg = require('pg')
const { waitUntil } = require('./wait-until.js')

const serverUrl = process.env.GOSCOPE_TEST_URL
if (!serverUrl) {
  throw new Error(
    'GOSCOPE_TEST_URL is not set: run `node __test__/run.js [file...]`, which starts a server and sets it',
  )
}

/** Settings that each database gets, such as `{ TimeZone: 'Asia/Tokyo' }`. */
const settings = JSON.parse(process.env.GOSCOPE_TEST_SETTINGS ?? '{}')

/**
 * An empty database for the test file that calls this while it loads; dropped after its tests.
 *
 * @returns {Promise<Database>}
 */
function useDatabase() {
  const made = createDatabase()
  after(async () => (await made).drop())
  return made
}

async function createDatabase() {
  const name = `goscope_test_${crypto.randomBytes(6).toString('hex')}`
  await administer(`CREATE DATABASE ${name}`)
  for (const [setting, value] of Object.entries(settings)) {
    await administer(`ALTER DATABASE ${name} SET ${setting} = '${value}'`)
  }
  return new Database(name)
}

const ignore = () => {}

class Database {
  /** @type {pg.Pool[]} */
  #pools = []

  /** @param {string} name */
  constructor(name) {
    this.name = name
    const url = new URL(/** @type {string} */ (serverUrl))
    url.pathname = `/${name}`
    this.url = url.href
    /** For what the tests themselves look at; pg's own pool, in the session's own settings. */
    this.plain = this.pool({ max: 4 })
  }

  /**
   * A pool as an application would make it.
   *
   * @param {pg.PoolConfig} [options]
   */
  pool(options) {
    const pool = new pg.Pool({ connectionString: this.url, ...options })
    // Clients are cut off when the database is dropped, those that a test has checked out, too.
    pool.on('error', () => {})
    pool.on('acquire', (client) => client.on('error', ignore))
    pool.on('release', (_, client) => client.off('error', ignore))
    this.#pools.push(pool)
    return pool
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
   * Waits until so many sessions of this database wait for a lock: what a sleep could only guess.
   *
   * @param {number} count
   */
  async untilLocked(count) {
    const sql = `SELECT count(*)::int AS n FROM pg_stat_activity
                  WHERE datname = current_database() AND wait_event_type = 'Lock'`
    await waitUntil(async () => (await this.query(sql))[0].n >= count, `${count} sessions wait for a lock`)
  }

  /**
   * Holds rows (or an insert) in a transaction of its own, so that a test can see what a statement makes of the wait.
   *
   * @param {string} sql
   * @param {unknown[]} [params]
   */
  async hold(sql, params) {
    const holder = await this.plain.connect()
    await holder.query('BEGIN')
    await holder.query(sql, params)
    return {
      /**
       * Ends the wait of whoever waits for it, after at least 100 ms of that.
       *
       * @param {'COMMIT' | 'ROLLBACK'} how
       * @returns the server's clock just before, in ms since the epoch: no wait can have ended earlier
       */
      letGo: async (how) => {
        await this.untilLocked(1)
        const { rows } = await holder.query(
          'SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now FROM pg_sleep(0.1)',
        )
        await holder.query(how)
        holder.release()
        return Number(rows[0].now)
      },
    }
  }

  /** The server's clock, in ms since the epoch. */
  async now() {
    return Number((await this.query('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now'))[0].now)
  }

  async drop() {
    // First the database, which cuts off whatever is still connected (WITH (FORCE) is since 13): a failed test may have
    // left a client checked out, for which `end` would wait for ever.
    await administer(`DROP DATABASE IF EXISTS ${this.name} WITH (FORCE)`)
    const ends = this.#pools.filter((pool) => !pool.ending).map((pool) => pool.end())
    await Promise.race([Promise.allSettled(ends), sleep(2_000, undefined, { ref: false })])
  }
}

/** @param {string} sql */
async function administer(sql) {
  const client = new pg.Client({ connectionString: serverUrl })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

module.exports = { administer, useDatabase, serverUrl }
