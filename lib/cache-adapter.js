// @ts-check
'use strict'

const native = require('./native.js')
const args = require('./arguments.js')
const { CacheProvider } = require('./cache-provider.js')
const { Connection } = require('./connection.js')

/** See index.d.ts for what each method promises. */
class PostgresCacheAdapter extends CacheProvider {
  #connection
  #cache
  #hits = 0
  #misses = 0

  /**
   * @param {unknown} pool
   * @param {unknown} [options]
   */
  constructor(pool, options) {
    const { given, keyPrefix, createTables } = args.adapterOptions(options)
    const table = args.tableName(given.tableName)
    const connection = Connection.of(pool)
    const cache = new native.Cache(connection.native, keyPrefix, createTables, table)
    super(connection, cache)
    this.#connection = connection
    this.#cache = cache
  }

  async initialize() {
    await this.#connection.call((slot) => this.#connection.native.connect(slot, null, null, this.#cache))
  }

  /**
   * @override
   * @protected
   * @param {unknown} key
   */
  async _find(key) {
    const found = await super._find(key)
    if (found === undefined) this.#misses++
    else this.#hits++
    return found
  }

  /**
   * @override
   * @param {unknown} [pattern] with `*` for any text; absent or empty, every key
   */
  async keys(pattern) {
    if (pattern == null || pattern === '') return await super.keys()
    const like = args
      .wellFormed('pattern', pattern)
      .replace(/[\\%_]/g, '\\$&')
      .replaceAll('*', '%')
    return await super.keys(like)
  }

  async stats() {
    const size = await this.#connection.call((slot) => this.#cache.size(slot))
    const lookups = this.#hits + this.#misses
    return { hits: this.#hits, misses: this.#misses, size, hitRatio: lookups === 0 ? 0 : this.#hits / lookups }
  }

  async prune() {
    return await this.#connection.call((slot) => this.#cache.prune(slot))
  }
}

module.exports = { PostgresCacheAdapter }
