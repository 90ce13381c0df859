// @ts-check
// Where an integration keeps its entries: in an adapter of the application, or in a table of its own.
'use strict'

const { PostgresAdapter, PostgresCacheAdapter } = require('../../index.js')
const args = require('../arguments.js')
const { JsonText } = require('../json-text.js')

/** Options of a table. An adapter has decided about them. */
const OF_TABLES = ['tableName', 'createTables', 'durability']

/**
 * @typedef {import('../../index.js').CacheOperations} Cache
 *
 * @typedef {object} Opened
 * @property {Cache} cache
 * @property {() => Promise<void>} close ends what was opened here, and nothing that was given
 */

/**
 * @param {any} source an adapter, or what an adapter is made from
 * @param {Record<string, any>} options
 * @param {string} tableName of a table of its own, unless the options name one
 * @returns {Opened}
 */
function cacheOf(source, options, tableName) {
  if (!isCache(source)) {
    const { createTables, durability } = options
    const adapter = new PostgresCacheAdapter(source, {
      tableName: options.tableName ?? tableName,
      createTables,
      durability,
    })
    return { cache: adapter, close: () => adapter.close() }
  }
  const name = OF_TABLES.find((each) => options[each] != null)
  if (name) throw args.invalid(`options.${name}`, 'is for a table of its own, and an adapter was given', options[name])
  return { cache: source, close: async () => {} }
}

/**
 * What `cache` takes for a value whose JSON is made already. A cache that is not this package's own, or does more than that, gets
 * the value: it may keep it, or copy it.
 *
 * @param {any} cache
 * @param {unknown} value
 * @param {string} json
 */
const madeFor = (cache, value, json) =>
  OWN.some((one) => cache instanceof one && cache.set === one.prototype.set) ? new JsonText(json) : value

const OWN = [PostgresAdapter, PostgresCacheAdapter]

/** @param {any} source @returns {source is Cache} */
const isCache = (source) => typeof source?.getEntry === 'function'

/**
 * @param {Record<string, any>} options
 * @param {string} byDefault
 * @returns {string} the text before each key
 */
const prefixOf = (options, byDefault) =>
  options.keyPrefix == null ? byDefault : args.wellFormed('options.keyPrefix', options.keyPrefix)

module.exports = { cacheOf, madeFor, prefixOf }
