// @ts-check
// Keys and tasks in pages, as the methods with `prefix`, `limit` and `after` give them.
'use strict'

const { types } = require('node:util')
const args = require('./arguments.js')
const { settled } = require('./bridge.js')
const { optionsOf } = require('./options.js')

const PAGE_SIZE = 1_000

/** How many rows one statement deletes: few enough for a short transaction. */
const DELETED_AT_ONCE = 5_000

/**
 * Whether an argument is options, and not a pattern: text in some other form is an invalid pattern.
 *
 * @param {unknown} given
 */
const isOptions = (given) =>
  typeof given === 'object' &&
  given !== null &&
  !Array.isArray(given) &&
  !types.isDate(given) &&
  !types.isBoxedPrimitive(given)

/**
 * @param {unknown} options
 * @param {import('./options.js').Taker} taker
 * @returns {{ prefix: string, limit: number | null, after: string | null }}
 */
function pageOptions(options, taker) {
  const given = optionsOf(options, taker)
  return {
    prefix: prefixOf(given.prefix),
    limit: args.optionalNumber('options.limit', given.limit, { integer: true, min: 1 }),
    after: given.after == null ? null : args.key('options.after', given.after),
  }
}

/** @param {unknown} prefix */
const prefixOf = (prefix) => (prefix == null ? '' : args.key('options.prefix', prefix))

/**
 * @param {unknown} options
 * @param {import('./options.js').Taker} taker
 * @returns {{ prefix: string, pageSize: number }}
 */
function iterationOptions(options, taker) {
  const given = optionsOf(options, taker)
  const range = { integer: true, min: 1 }
  return {
    prefix: prefixOf(given.prefix),
    pageSize: args.optionalNumber('options.pageSize', given.pageSize, range) ?? PAGE_SIZE,
  }
}

/**
 * The keys one by one. It holds the keys of one page at a time. Each page is a call of its own.
 *
 * @param {import('./pool-share.js').PoolShare} share
 * @param {ReturnType<import('./tracing.js').tracingOf>} tracing of each page
 * @param {number} pageSize
 * @param {(slot: number, end: string | null) => void} read starts the read of a page, after the end of the one before
 * @returns {AsyncGenerator<string, void, undefined>}
 */
async function* iterate(share, tracing, pageSize, read) {
  /** @type {string | null} */
  let end = null
  for (;;) {
    const start = (/** @type {number} */ slot) => read(slot, end)
    const call = async () => settled(await share.send(start))
    const page = await (tracing.hasSubscribers ? tracing.trace(share, undefined, call) : call())
    yield* page.keys
    if (page.keys.length < pageSize) return
    end = page.end
  }
}

/**
 * Deletes the entries whose keys begin with a prefix, by one bounded statement after the other.
 *
 * @param {import('./pool-share.js').PoolShare} share
 * @param {import('../native').Cache} cache
 * @param {string} prefix
 */
async function clearPages(share, cache, prefix) {
  /** @type {string | null | undefined} */
  let end
  for (;;) {
    const start = (/** @type {number} */ slot) => cache.clearPage(slot, prefix, DELETED_AT_ONCE, end)
    end = settled(await share.send(start))
    if (end === undefined) return
  }
}

module.exports = { clearPages, isOptions, iterate, iterationOptions, pageOptions, prefixOf }
