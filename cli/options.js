// @ts-check
// The options of the commands, and what their values mean.
'use strict'

const { nearest } = require('./nearest.js')
const { misuse } = require('./problem.js')

/**
 * @typedef {object} Option
 * @property {'string' | 'boolean'} type
 * @property {string} [short]
 * @property {boolean} [multiple] may be given several times, which gives an array
 * @property {string} [value] what stands for the value in the help
 * @property {string[]} [values] those that there are, for completion
 * @property {Keys} [keys] those that there are on the server, for completion
 * @property {string} help
 * @typedef {Record<string, Option>} Options
 *
 * @typedef {(session: import('./session.js').Session, wanted: { match: string, limit: number, given: Given }) =>
 *   Promise<(string | null)[]>} Keys that match a LIKE pattern
 *
 * @typedef {Record<string, any>} Given by the option's name
 */

/** @type {Options} */
const COMMON = {
  help: { type: 'boolean', short: 'h', help: 'this text' },
  verbose: { type: 'boolean', help: 'with an error, its stack' },
  version: { type: 'boolean', short: 'v', help: 'the version of this package' },
}

/** @type {Options} */
const CONNECTING = {
  url: {
    type: 'string',
    short: 'u',
    value: 'URL',
    help: 'where the tables are; else DATABASE_URL, or else the PG* variables',
  },
  'connect-timeout': { type: 'string', value: 'SECONDS', help: 'how long opening a connection may take (10)' },
}

/** @type {Options} */
const SHOWING = { json: { type: 'boolean', help: 'for programs; with --watch a document per line' } }

/** @type {Options} */
const WATCHING = {
  watch: {
    type: 'string',
    short: 'w',
    value: '[SECONDS]',
    help: 'again and again, every 2 seconds or as many as said',
  },
}

/** @type {Options} */
const PREFIX = {
  'key-prefix': { type: 'string', short: 'p', value: 'PREFIX', help: 'only what adapters with this keyPrefix stored' },
}

/** Of a command that is given a key. @type {Options} */
const PREFIX_OF_KEY = {
  'key-prefix': { type: 'string', short: 'p', value: 'PREFIX', help: 'the keyPrefix of the adapters (none)' },
}

/** @type {Options} */
const LISTING = {
  match: { type: 'string', short: 'm', value: 'PATTERN', help: 'only keys like this, in which * is any text' },
  limit: { type: 'string', short: 'n', value: 'ROWS', help: 'at most so many (100)' },
}

/** @type {Options} */
const EXPIRED = {
  all: { type: 'boolean', short: 'a', help: 'those that have expired, too: later calls remove them' },
}

/** @type {Options} */
const CACHE = {
  table: { type: 'string', value: 'NAME', help: 'the table of a PostgresCacheAdapter: name or schema.name' },
}

/**
 * The options of a list that can be sorted. The first column is the order without `--sort`.
 *
 * @param {Record<string, unknown>} columns
 * @returns {Options}
 */
const sorting = (columns) => ({
  sort: {
    type: 'string',
    value: 'COLUMN',
    values: Object.keys(columns).flatMap((name) => [name, `-${name}`]),
    help: `${Object.keys(columns).join(', ')}; -COLUMN descends`,
  },
  reverse: { type: 'boolean', short: 'r', help: 'the other way round' },
})

/**
 * The order that is wanted, if it is not the usual one.
 *
 * @param {Given} given
 * @param {Record<string, unknown>} columns
 * @param {import('./queries/rows.js').Sort} [usual]
 * @returns {import('./queries/rows.js').Sort | undefined}
 */
function sortOf({ sort, reverse = false }, columns, usual = { column: Object.keys(columns)[0], isDescending: false }) {
  if (sort === undefined) return reverse ? { ...usual, isDescending: !usual.isDescending } : undefined
  const isDescending = sort.startsWith('-')
  const column = isDescending ? sort.slice(1) : sort
  if (Object.hasOwn(columns, column)) return { column, isDescending: isDescending !== reverse }
  const names = Object.keys(columns)
  const close = nearest(column, names)
  const hint = close === undefined ? undefined : `Did you mean '${close}'?`
  throw misuse(`--sort must be one of ${names.join(', ')}, perhaps with a - before it, and is '${sort}'`, hint)
}

/**
 * @param {Given} given
 * @param {string} name
 * @param {number} byDefault
 * @param {{ min: number, max: number, whole?: boolean }} range
 */
function number(given, name, byDefault, { min, max, whole = false }) {
  const text = given[name]
  if (text === undefined) return byDefault
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (value >= min && value <= max && (!whole || Number.isInteger(value))) return value
  throw misuse(`--${name} must be ${whole ? 'a whole number' : 'a number'} from ${min} to ${max}, and is '${text}'`)
}

/** @param {Given} given */
const limitOf = (given) => number(given, 'limit', 100, { min: 1, max: 1_000_000, whole: true })

/** A LIKE pattern that only this text matches. @param {string} text */
const likeExactly = (text) => text.replace(/[\\%_]/g, '\\$&')

/**
 * As SQL's LIKE.
 *
 * @param {string | undefined} pattern in which only `*` has a meaning
 */
const likeOf = (pattern) => pattern && likeExactly(pattern).replaceAll('*', '%')

module.exports = {
  CACHE,
  COMMON,
  CONNECTING,
  EXPIRED,
  LISTING,
  PREFIX,
  PREFIX_OF_KEY,
  SHOWING,
  WATCHING,
  likeExactly,
  likeOf,
  limitOf,
  number,
  sortOf,
  sorting,
}
