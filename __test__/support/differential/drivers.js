// @ts-check
// The two that are compared, each with a schema and a pool of its own in one database.
'use strict'

const ours = require('goscope-postgres')
const { REFUSED } = require('../../../lib/within/refusals.js')
const reference = require('../../../reference/index.js')

/** @typedef {Awaited<ReturnType<import('../database.js').useDatabase>>} Database */

/** What the reference is right in: UTC, and PostgreSQL's own default isolation; and no compiled plans, which would take minutes. */
const AS_IT_NEEDS = '-c jit=off -c TimeZone=UTC -c default_transaction_isolation=read\\ committed'

const IMPLEMENTATIONS = { reference, ours }

/** The clients of a driver, by class and prefix, made when they are first asked for. */
class Driver {
  /** @type {Map<string, any>} */
  #clients = new Map()
  /**
   * Locks that were taken, by the number of the operation that took them.
   *
   * @type {Map<number, any>}
   */
  handles = new Map()

  /**
   * @param {Database} db
   * @param {'reference' | 'ours'} name
   * @param {{ schema?: string, settings?: string, isWithin?: boolean }} [options] `isWithin`: calls run by `within`, each in
   * a transaction of its own
   */
  constructor(db, name, { schema = name, settings, isWithin = false } = {}) {
    this.db = db
    this.isWithin = isWithin
    this.name = name
    this.schema = schema
    this.#settings = `-c search_path=${schema} ${settings ?? (name === 'reference' ? AS_IT_NEEDS : '')}`
    this.pool = this.newPool()
  }

  #settings

  /** @param {import('pg').PoolConfig} [options] */
  newPool(options) {
    const name = this.name === 'reference' ? { application_name: 'reference' } : {}
    return this.db.pool({ options: this.#settings, ...name, ...options })
  }

  get classes() {
    return /** @type {Record<string, new (pool: import('pg').Pool, options?: any) => any>} */ (
      /** @type {unknown} */ (IMPLEMENTATIONS[this.name])
    )
  }

  /** @param {any} [options] */
  adapter(options, pool = this.pool) {
    return new this.classes.PostgresAdapter(pool, options)
  }

  /** @param {any} [options] */
  results(options, pool = this.pool) {
    return new this.classes.PostgresIdempotencyAdapter(pool, options)
  }

  /** @param {any} [options] */
  cache(options, pool = this.pool) {
    return new this.classes.PostgresCacheAdapter(pool, options)
  }

  /**
   * @param {'adapter' | 'results' | 'cache'} kind
   * @param {string} keyPrefix
   */
  client(kind, keyPrefix) {
    const name = `${kind} ${keyPrefix}`
    let client = this.#clients.get(name)
    if (!client) this.#clients.set(name, (client = this.#inTransactions(this[kind]({ keyPrefix }))))
    return client
  }

  /** @type {Promise<import('pg').PoolClient> | undefined} */
  #connection
  /** How many calls ran in a transaction of their own. */
  transactions = 0

  /**
   * An adapter each call of which runs in a transaction of its own, if it can.
   *
   * @param {any} adapter
   */
  #inTransactions(adapter) {
    if (!this.isWithin) return adapter
    /** @type {any} */
    let within
    const transact = async (/** @type {string} */ method, /** @type {unknown[]} */ given) => {
      // A session of the application: its plans are not counted as an adapter's.
      this.#connection ??= this.newPool({ application_name: 'within' }).connect()
      const connection = await this.#connection
      within ??= adapter.within(connection)
      this.transactions++
      await connection.query('BEGIN')
      try {
        return await within[method](...given)
      } finally {
        // Of a transaction that has failed, this is a rollback.
        await connection.query('COMMIT')
      }
    }
    return new Proxy(adapter, {
      get: (target, method) => {
        if (typeof method !== 'string' || method in REFUSED || typeof target[method] !== 'function')
          return target[method]
        return (/** @type {unknown[]} */ ...given) => transact(method, given)
      },
    })
  }

  /** Forgets clients and handles; the pool stays. */
  startAnew() {
    this.#clients.clear()
    this.handles.clear()
  }

  /**
   * The reference runs as it must be run, with process and session in UTC; ours in whatever zones they are in.
   *
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async run(work) {
    if (this.name === 'ours') return await work()
    const zone = process.env.TZ
    process.env.TZ = 'UTC'
    try {
      return await work()
    } finally {
      if (zone === undefined) delete process.env.TZ
      else process.env.TZ = zone
    }
  }
}

module.exports = { Driver }
