// @ts-check
'use strict'

const args = require('./arguments.js')
const { settled } = require('./bridge.js')
const { servedBy } = require('./tracing.js')

/** The cache methods that `PostgresAdapter` and `PostgresCacheAdapter` share; see index.d.ts for what they promise. */
class CacheProvider {
  #connection
  #cache

  /**
   * @param {import('./connection.js').Connection} connection
   * @param {import('../native').Cache} cache
   */
  constructor(connection, cache) {
    this.#connection = connection
    this.#cache = cache
    servedBy(this, connection)
  }

  /** @param {unknown} key */
  async get(key) {
    const name = args.key('key', key)
    const found = settled(await this.#connection.send((slot) => this.#cache.get(slot, name)))
    this._count(found !== undefined)
    return found ?? null
  }

  /**
   * Told of each lookup that the server has answered.
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
    settled(await this.#connection.send((slot) => this.#cache.set(slot, name, json, length)))
  }

  /** @param {unknown} key */
  async delete(key) {
    const name = args.key('key', key)
    settled(await this.#connection.send((slot) => this.#cache.delete(slot, name)))
  }

  /** @param {unknown} key */
  async has(key) {
    const name = args.key('key', key)
    return settled(await this.#connection.send((slot) => this.#cache.has(slot, name)))
  }

  async clear() {
    settled(await this.#connection.send((slot) => this.#cache.clear(slot)))
  }

  /** @param {unknown} [pattern] which keys; absent or empty, every key */
  async keys(pattern) {
    const like = pattern == null || pattern === '' ? null : this._like(pattern)
    return settled(await this.#connection.send((slot) => this.#cache.keys(slot, like)))
  }

  /**
   * A pattern as SQL's LIKE has it.
   *
   * @protected
   * @param {unknown} pattern
   */
  _like(pattern) {
    return args.pattern('pattern', pattern)
  }

  /** See index.d.ts; of all adapters that share the connection. */
  metrics() {
    return this.#connection.metrics()
  }
}

module.exports = { CacheProvider }
