// @ts-check
// A store of Keyv. Keyv 5 and Keyv 6 differ in three points:
//
// |                    | Keyv 5 (and 4)            | Keyv 6                                    |
// | ------------------ | ------------------------- | ----------------------------------------- |
// | the namespace      | before each key           | in the property `namespace` alone         |
// | the third argument | the time to live          | the end, in ms since the epoch            |
// | `deleteMany`       | true or false             | for each key                              |
//
// Keyv 6 reads `capabilities` before it uses a store, and Keyv 5 does not know that property: so the store knows which of
// them it serves. Both store a key under the same name, so that the one reads what the other has written.
'use strict'

const { EventEmitter } = require('node:events')
const { wallClock } = require('../clock.js')
const { optionsOf } = require('../options.js')
const { cacheOf, prefixOf } = require('./cache-of.js')

const TABLE = 'go_goscope_keyv'
const PREFIX = 'keyv:'

const PAGE_SIZE = 500

/** The shortest time to live, in ms: of an entry that has expired when Keyv stores it. */
const ELAPSED = 0.001

const METHODS = ['get', 'getMany', 'has', 'hasMany', 'set', 'setMany', 'delete', 'deleteMany', 'clear', 'disconnect']

class KeyvStore extends EventEmitter {
  /** Keyv 5 iterates over the stores of databases that it knows, by these fields. */
  opts = { dialect: 'postgres', url: '' }
  /** @type {string | undefined} Keyv sets it */
  namespace = undefined
  #cache
  #close
  #prefix
  #isOfKeyv6 = false

  /**
   * @param {unknown} [source]
   * @param {unknown} [options]
   */
  constructor(source, options) {
    super()
    const given = optionsOf(options, 'KeyvStore')
    const { cache, close } = cacheOf(source, given, TABLE)
    this.#cache = cache
    this.#close = close
    this.#prefix = prefixOf(given, PREFIX)
  }

  get capabilities() {
    this.#isOfKeyv6 = true
    const methods = METHODS.map((name) => [name, { exists: true, methodType: 'async' }])
    return {
      compatible: true,
      store: 'keyvStorage',
      methods: { ...Object.fromEntries(methods), iterator: { exists: true, methodType: 'sync' } },
      expires: true,
    }
  }

  /** @param {string | undefined} [namespace] the text before the names of its entries */
  #scope(namespace = this.namespace) {
    return namespace ? `${this.#prefix}${namespace}:` : this.#prefix
  }

  /** @returns {string} the text before a key as Keyv gives it */
  #before() {
    return this.#isOfKeyv6 ? this.#scope() : this.#prefix
  }

  /** @param {string} key */
  #name(key) {
    return this.#before() + key
  }

  /** @param {number | undefined} given the third argument of `set` */
  #ttl(given) {
    if (given == null || (given === 0 && !this.#isOfKeyv6)) return undefined
    return Math.max(this.#isOfKeyv6 ? given - wallClock() : given, ELAPSED)
  }

  /** @param {string} key */
  async get(key) {
    try {
      return (await this.#cache.get(this.#name(key))) ?? undefined
    } catch (error) {
      // Keyv 5 reports the failures of all methods but this one.
      if (!this.#isOfKeyv6 && this.listenerCount('error') > 0) this.emit('error', error)
      throw error
    }
  }

  /** @param {string[]} keys */
  async getMany(keys) {
    const values = await this.#cache.getMany(keys.map((key) => this.#name(key)))
    return values.map((value) => value ?? undefined)
  }

  /**
   * @param {string} key
   * @param {unknown} value
   * @param {number} [until] see the head of this file
   */
  async set(key, value, until) {
    await this.#cache.set(this.#name(key), value, this.#ttl(until))
    return true
  }

  /** @param {{ key: string, value: unknown, ttl?: number, expires?: number }[]} entries */
  async setMany(entries) {
    await this.#cache.setMany(
      entries.map(({ key, value, ttl, expires }) => [
        this.#name(key),
        value,
        this.#ttl(this.#isOfKeyv6 ? expires : ttl),
      ]),
    )
    return entries.map(() => true)
  }

  /** @param {string} key */
  async delete(key) {
    const [isDeleted = false] = await this.#cache.deleteMany([this.#name(key)])
    return isDeleted
  }

  /** @param {string[]} keys */
  async deleteMany(keys) {
    const deleted = await this.#cache.deleteMany(keys.map((key) => this.#name(key)))
    return this.#isOfKeyv6 ? deleted : deleted.every(Boolean)
  }

  /** @param {string} key */
  async has(key) {
    return await this.#cache.has(this.#name(key))
  }

  /** @param {string[]} keys */
  async hasMany(keys) {
    return await Promise.all(keys.map((key) => this.#cache.has(this.#name(key))))
  }

  async clear() {
    await this.#cache.clear({ prefix: this.#scope() })
  }

  /**
   * One page of entries is held in memory at a time.
   *
   * @param {string} [namespace] Keyv 5 gives it
   */
  async *iterator(namespace) {
    const [prefix, before] = [this.#scope(namespace), this.#before()]
    /** @type {string | undefined} */
    let after
    for (;;) {
      const names = await this.#cache.keys({ prefix, limit: PAGE_SIZE, after })
      const values = await this.#cache.getMany(names)
      for (const [index, name] of names.entries()) {
        // Deleted or expired since its key was read.
        if (values[index] == null) continue
        yield [name.slice(before.length), values[index]]
      }
      if (names.length < PAGE_SIZE) return
      after = names.at(-1)
    }
  }

  async disconnect() {
    await this.#close()
  }
}

module.exports = { KeyvStore }
