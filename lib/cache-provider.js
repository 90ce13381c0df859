// @ts-check
'use strict'

const { inspect } = require('node:util')
const args = require('./arguments.js')
const { settled } = require('./bridge.js')
const { ComputedEntries } = require('./computed-entries.js')
const { coded } = require('./errors.js')
const { itself } = require('./itself.js')
const { clearPages, isOptions, iterate, iterationOptions, pageOptions, prefixOf } = require('./key-pages.js')
const { LifeCycle } = require('./life-cycle.js')
const { optionsOf } = require('./options.js')
const { SingleFlight } = require('./single-flight.js')
const { tracingOf } = require('./tracing.js')

const KEYS = tracingOf('cache.keys')

/** The cache methods that `PostgresAdapter` and `PostgresCacheAdapter` share; see index.d.ts for what they promise. */
class CacheProvider extends LifeCycle {
  #share
  #cache
  #claims
  /** @type {import('./computed-entries.js').ComputedEntries | undefined} */
  #computed
  #durability

  /**
   * @param {import('./pool-share.js').PoolShare} share
   * @param {import('../native').Cache} cache
   * @param {import('./single-flight.js').Claims} claims
   * @param {string} durability
   */
  constructor(share, cache, claims, durability) {
    super(share)
    this.#share = share
    this.#cache = cache
    this.#claims = claims
    this.#durability = durability
  }

  /**
   * Warns if the table existed before and is slower than requested. To be called when the table exists.
   *
   * @protected
   */
  _checkDurability() {
    const table = this.#durability === 'unlogged' ? this.#cache.loggedTable() : null
    if (table !== null) warnOfLog(table)
  }

  /** @param {unknown} key */
  async get(key) {
    const name = args.key('key', key)
    const found = settled(await this.#share.send((slot) => this.#cache.get(slot, name)))
    this._count(found !== undefined)
    return found ?? null
  }

  /**
   * Called for each lookup that the server has answered.
   *
   * @protected
   * @param {boolean} _isHit
   */
  _count(_isHit) {}

  /**
   * @param {unknown} key
   * @param {unknown} value
   * @param {unknown} [ttl]
   */
  async set(key, value, ttl) {
    const name = args.key('key', key)
    const json = args.json('value', value)
    const length = args.entryTtl(ttl)
    settled(await this.#share.send((slot) => this.#cache.set(slot, name, json, length)))
  }

  /** @param {unknown} key */
  async delete(key) {
    const name = args.key('key', key)
    settled(await this.#share.send((slot) => this.#cache.delete(slot, name)))
  }

  /** @param {unknown} keys */
  async getMany(keys) {
    const names = args.list('keys', keys, args.key)
    const found = settled(await this.#share.send((slot) => this.#cache.getMany(slot, names)))
    return found.map((/** @type {0 | [unknown]} */ each) => {
      this._count(each !== 0)
      return each === 0 ? null : each[0]
    })
  }

  /**
   * @param {unknown} entries
   * @param {unknown} [ttl] of those that have none of their own
   */
  async setMany(entries, ttl) {
    const length = args.entryTtl(ttl)
    const given = args.list('entries', entries, (name, entry) => {
      if (!Array.isArray(entry)) throw args.wrongType(name, 'an array of key and value', entry)
      const [key, value, own] = entry
      return [
        args.key(`${name}[0]`, key),
        args.json(`${name}[1]`, value),
        own == null ? length : args.entryTtl(own, `${name}[2]`),
      ]
    })
    const column = (/** @type {number} */ index) => given.map((entry) => entry[index])
    settled(
      await this.#share.send((slot) =>
        this.#cache.setMany(
          slot,
          /** @type {string[]} */ (column(0)),
          /** @type {string[]} */ (column(1)),
          /** @type {(number | null)[]} */ (column(2)),
        ),
      ),
    )
  }

  /** @param {unknown} key */
  async take(key) {
    const name = args.key('key', key)
    const found = settled(await this.#share.send((slot) => this.#cache.take(slot, name)))
    this._count(found !== undefined)
    return found ?? null
  }

  /** @param {unknown} keys */
  async deleteMany(keys) {
    const names = args.list('keys', keys, args.key)
    return settled(await this.#share.send((slot) => this.#cache.deleteMany(slot, names)))
  }

  /**
   * @param {unknown} key
   * @param {unknown} compute
   * @param {unknown} [options]
   */
  async getOrSet(key, compute, options) {
    this.#computed ??= this.#compute()
    return await this.#computed.getOrSet(key, compute, options, (isHit) => this._count(isHit))
  }

  #compute() {
    return new ComputedEntries(this.#share, this.#cache, new SingleFlight(this.#share, this.#claims))
  }

  /**
   * @param {unknown} key
   * @param {unknown} [by]
   * @param {unknown} [ttl] where it starts
   */
  async increment(key, by, ttl) {
    const { name, added, length } = addition(key, by, ttl)
    const sum = settled(await this.#share.send((slot) => this.#cache.increment(slot, name, added, length)))
    if (sum === undefined) throw notANumber(key, added)
    return sum
  }

  /**
   * @param {unknown} key
   * @param {unknown} [by]
   * @param {unknown} [ttl] where it starts
   */
  async incrementEntry(key, by, ttl) {
    const { name, added, length } = addition(key, by, ttl)
    const entry = settled(await this.#share.send((slot) => this.#cache.incrementEntry(slot, name, added, length)))
    if (entry === undefined) throw notANumber(key, added)
    return entry
  }

  /**
   * @param {unknown} key
   * @param {unknown} expected undefined for an entry that is absent or expired
   * @param {unknown} value
   * @param {unknown} [ttl]
   */
  async compareAndSet(key, expected, value, ttl) {
    const name = args.key('key', key)
    const before = expected === undefined ? null : args.json('expected', expected)
    const json = args.json('value', value)
    const length = args.entryTtl(ttl)
    return settled(await this.#share.send((slot) => this.#cache.compareAndSet(slot, name, before, json, length)))
  }

  /** @param {unknown} key */
  async getEntry(key) {
    const name = args.key('key', key)
    const found = settled(await this.#share.send((slot) => this.#cache.getEntry(slot, name)))
    this._count(found !== undefined)
    return found ?? null
  }

  /**
   * @param {unknown} key
   * @param {unknown} [ttl]
   */
  async touch(key, ttl) {
    const name = args.key('key', key)
    const length = args.entryTtl(ttl)
    return settled(await this.#share.send((slot) => this.#cache.touch(slot, name, length)))
  }

  /** @param {unknown} key */
  async has(key) {
    const name = args.key('key', key)
    return settled(await this.#share.send((slot) => this.#cache.has(slot, name)))
  }

  /** @param {unknown} [options] which entries; without a prefix, every entry */
  async clear(options) {
    const { prefix } = optionsOf(options, 'clear')
    if (prefix != null) await clearPages(this.#share, this.#cache, prefixOf(prefix))
    else settled(await this.#share.send((slot) => this.#cache.clear(slot)))
  }

  /** @param {unknown} [pattern] which keys, or options; absent or empty, every key */
  async keys(pattern) {
    if (isOptions(pattern)) {
      const { prefix, limit, after } = pageOptions(pattern, 'keys')
      const start = (/** @type {number} */ slot) => this.#cache.keysPage(slot, prefix, limit, after)
      return settled(await this.#share.send(start)).keys
    }
    const like = pattern == null || pattern === '' ? null : this._like(pattern)
    return settled(await this.#share.send((slot) => this.#cache.keys(slot, like)))
  }

  /** @param {unknown} [options] */
  iterateKeys(options) {
    const { prefix, pageSize } = iterationOptions(options, 'iterateKeys')
    const self = itself(this)
    const cache = self.#cache
    return iterate(self.#share, KEYS, pageSize, (slot, end) => cache.keysPage(slot, prefix, pageSize, null, end))
  }

  /**
   * A pattern in the form of SQL's LIKE.
   *
   * @protected
   * @param {unknown} pattern
   */
  _like(pattern) {
    return args.pattern('pattern', pattern)
  }
}

/**
 * @param {unknown} key
 * @param {unknown} by
 * @param {unknown} ttl
 */
function addition(key, by, ttl) {
  const name = args.key('key', key)
  const added = args.json('by', args.number('by', by ?? 1, args.FINITE))
  return { name, added, length: args.entryTtl(ttl) }
}

/**
 * @param {unknown} key
 * @param {string} added
 */
function notANumber(key, added) {
  const message = `The cache entry ${inspect(key)} holds no number to which ${added} can be added; set() replaces it`
  return coded(new TypeError(message), 'ERR_CACHE_NOT_A_NUMBER')
}

/** @type {Set<string>} */
const toldOf = new Set()

/** @param {string} table its name, as in SQL */
function warnOfLog(table) {
  if (toldOf.has(table)) return
  toldOf.add(table)
  process.emitWarning(`The table ${table} was to be unlogged, and exists as a logged one, which is used as it is`, {
    code: 'GOSCOPE_CACHE_IS_LOGGED',
    detail: `ALTER TABLE ${table} SET UNLOGGED changes it. Until then its writes cost what logged ones do.`,
  })
}

module.exports = { CacheProvider }
