// @ts-check
'use strict'

const native = require('./native.js')
const args = require('./arguments.js')
const { settled } = require('./bridge.js')
const { CacheProvider } = require('./cache-provider.js')
const { AdapterConnection } = require('./adapter-connection.js')
const { adapterOptions } = require('./options.js')

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
    const { given, keyPrefix, createTables } = adapterOptions(options, 'PostgresCacheAdapter')
    const table = args.tableName(given.tableName)
    const durability = args.durability('options.durability', given.durability)
    const connection = new AdapterConnection(pool)
    const cache = new native.Cache(connection.native, keyPrefix, createTables, durability, table)
    // Quoted, so that the end of the name is visible.
    const namespace = `compute:${table.map((part) => `"${part.replaceAll('"', '""')}"`).join('.')}:`
    super(connection, cache, { keyPrefix, namespace, createTables }, durability)
    this.#connection = connection
    this.#cache = cache
  }

  async initialize() {
    settled(await this.#connection.send((slot) => this.#connection.native.connect(slot, null, null, this.#cache)))
    this._checkDurability()
  }

  /**
   * @override
   * @protected
   * @param {boolean} isHit
   */
  _count(isHit) {
    if (isHit) this.#hits++
    else this.#misses++
  }

  /**
   * @override
   * @protected
   * @param {unknown} pattern with `*` for any text
   */
  _like(pattern) {
    return args
      .wellFormed('pattern', pattern)
      .replace(/[\\%_]/g, '\\$&')
      .replaceAll('*', '%')
  }

  async stats() {
    const size = settled(await this.#connection.send((slot) => this.#cache.size(slot)))
    const lookups = this.#hits + this.#misses
    return { hits: this.#hits, misses: this.#misses, size, hitRatio: lookups === 0 ? 0 : this.#hits / lookups }
  }

  async prune() {
    return settled(await this.#connection.send((slot) => this.#cache.prune(slot)))
  }
}

module.exports = { PostgresCacheAdapter }
