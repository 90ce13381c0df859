// @ts-check
// A driver of unstorage.
'use strict'

const args = require('../arguments.js')
const { wallClock } = require('../clock.js')
const { optionsOf } = require('../options.js')
const { cacheOf } = require('./cache-of.js')
const { decoded, encoded, encodedRaw, textOf } = require('./storage-values.js')

const TABLE = 'go_goscope_storage'
const BASE = 'unstorage'

/** @typedef {{ ttl?: number | undefined }} ItemOptions with a time to live in seconds, as other drivers take it */

/** @param {unknown} [options] */
function storageDriver(options) {
  const given = optionsOf(options, 'storageDriver')
  const { cache, close } = cacheOf(given.source, given, TABLE)
  const base = args.wellFormed('options.base', given.base ?? BASE)
  const prefix = base === '' || base.endsWith(':') ? base : `${base}:`
  const ttlByDefault = msOf('options.ttl', given.ttl)

  const name = (/** @type {string} */ key) => prefix + key
  const ttlOf = (/** @type {ItemOptions[]} */ ...each) => {
    const own = each.find((item) => item?.ttl != null)
    return own ? msOf('ttl', own.ttl) : ttlByDefault
  }

  return {
    name: 'goscope-postgres',
    flags: { ttl: true },
    options: given,
    getInstance: () => cache,

    /** @param {string} key */
    async hasItem(key) {
      return await cache.has(name(key))
    },

    /** @param {string} key */
    async getItem(key) {
      return textOf(await cache.get(name(key)))
    },

    /** @param {{ key: string }[]} items */
    async getItems(items) {
      const values = await cache.getMany(items.map(({ key }) => name(key)))
      return items.map(({ key }, index) => ({ key, value: textOf(values[index]) }))
    },

    /** @param {string} key */
    async getItemRaw(key) {
      return decoded(await cache.get(name(key)))
    },

    /** @param {string} key @param {string} value @param {ItemOptions} [own] */
    async setItem(key, value, own = {}) {
      await cache.set(name(key), encoded(value), ttlOf(own))
    },

    /** @param {{ key: string, value: string, options?: ItemOptions }[]} items @param {ItemOptions} [common] */
    async setItems(items, common = {}) {
      await cache.setMany(
        items.map(({ key, value, options = {} }) => [name(key), encoded(value), ttlOf(options, common)]),
      )
    },

    /** @param {string} key @param {unknown} value @param {ItemOptions} [own] */
    async setItemRaw(key, value, own = {}) {
      await cache.set(name(key), encodedRaw(value), ttlOf(own))
    },

    /** @param {string} key */
    async removeItem(key) {
      await cache.delete(name(key))
    },

    /** @param {string} key */
    async getMeta(key) {
      const entry = await cache.getEntry(name(key))
      if (entry === null) return null
      const { expiresAt } = entry
      return expiresAt === undefined ? {} : { ttl: Math.max((expiresAt - wallClock()) / 1_000, 0) }
    },

    /** @param {string} [within] */
    async getKeys(within = '') {
      const keys = []
      for await (const each of cache.iterateKeys({ prefix: name(within) })) keys.push(each.slice(prefix.length))
      return keys
    },

    /** @param {string} [within] */
    async clear(within = '') {
      await cache.clear({ prefix: name(within) })
    },

    dispose: close,
  }
}

/**
 * @param {string} argument
 * @param {unknown} seconds
 * @returns {number | undefined} undefined: without end
 */
function msOf(argument, seconds) {
  const ttl = args.entryTtl(seconds, argument)
  return ttl === null ? undefined : ttl * 1_000
}

module.exports = { storageDriver }
