// @ts-check
'use strict'

const native = require('./native.js')
const args = require('./arguments.js')
const { settled } = require('./bridge.js')
const { CacheProvider } = require('./cache-provider.js')
const { PoolShare } = require('./pool-share.js')
const { itself } = require('./itself.js')
const { adapterOptions } = require('./options.js')
const { Parts } = require('./within/parts.js')
const { refuseWithin } = require('./within/refusals.js')

/** See index.d.ts for what each method promises. */
class PostgresCacheAdapter extends CacheProvider {
  #parts
  #share
  #cache
  #hits = 0
  #misses = 0

  /**
   * @param {unknown} pool
   * @param {unknown} [options]
   */
  constructor(pool, options) {
    const parts = pool instanceof Parts ? pool : partsOf(pool, options)
    const { share, providers, settings } = parts
    super(share, providers.cache, settings.claims, settings.durability)
    this.#parts = parts
    this.#share = share
    this.#cache = providers.cache
    if (parts.isWithin) refuseWithin(this)
  }

  /** @param {unknown} client */
  within(client) {
    return new PostgresCacheAdapter(itself(this).#parts.within(client))
  }

  async initialize() {
    settled(await this.#share.send((slot) => this.#share.native.connect(slot, null, null, this.#cache)))
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
    const size = settled(await this.#share.send((slot) => this.#cache.size(slot)))
    const lookups = this.#hits + this.#misses
    return { hits: this.#hits, misses: this.#misses, size, hitRatio: lookups === 0 ? 0 : this.#hits / lookups }
  }

  async prune() {
    return settled(await this.#share.send((slot) => this.#cache.prune(slot)))
  }
}

/**
 * The name under which callers find each other. An existing table may be found under its name in lower case, as
 * PostgreSQL folds names without quotes. So spellings that differ in letter case only may mean one table.
 *
 * @param {string[]} table in its parts
 */
const folded = (table) =>
  table.every((part) => /^[a-z0-9_$]+$/i.test(part)) ? table.map((part) => part.toLowerCase()) : table

/**
 * @param {unknown} pool
 * @param {unknown} options
 */
function partsOf(pool, options) {
  const { given, keyPrefix, createTables } = adapterOptions(options, 'PostgresCacheAdapter')
  const table = args.tableName(given.tableName)
  const durability = args.durability('options.durability', given.durability)
  const share = new PoolShare(pool)
  const cache = new native.Cache(share.native, keyPrefix, createTables, durability, table)
  // Quoted, so that the end of the name is visible.
  const namespace = `compute:${folded(table)
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.')}:`
  return new Parts(share, { cache }, { claims: { keyPrefix, namespace, createTables }, durability })
}

module.exports = { PostgresCacheAdapter }
