// @ts-check
'use strict'

const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('../../index.js')
const { poolOf } = require('../connecting/pool-of.js')
const { optionsOf } = require('../options.js')

/** The adapters of a module, on one pool. Nest calls the two methods by their names. */
class Connections {
  #begin

  /** @param {unknown} options */
  constructor(options) {
    const given = optionsOf(options, 'GoscopePostgresModule')
    const { keyPrefix, createTables, defaultLockTTL, cacheDurability, cache, idempotency } = given
    const pool = poolOf(given.connection)
    this.adapter = new PostgresAdapter(pool, { keyPrefix, createTables, defaultLockTTL, cacheDurability })
    this.cache = new PostgresCacheAdapter(pool, { keyPrefix, createTables, ...cache })
    this.results = new PostgresIdempotencyAdapter(pool, { keyPrefix, createTables, ...idempotency })
    // The others make their tables at their first use, if the application uses them.
    this.#begin = [() => this.adapter.connect()]
    if (cache) this.#begin.push(() => this.cache.initialize())
    if (idempotency) this.#begin.push(() => this.results.connect())
  }

  async onModuleInit() {
    await Promise.all(this.#begin.map((begin) => begin()))
  }

  /** The last phase of Nest: before it, the application's own hooks have ended work and released leases. */
  async onApplicationShutdown() {
    await Promise.all([this.adapter.close(), this.cache.close(), this.results.close()])
  }
}

module.exports = { Connections }
