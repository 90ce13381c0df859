// @ts-check
// The options on the command line.
'use strict'

const { parseArgs } = require('node:util')
const { misuse } = require('./problem.js')

/**
 * @typedef {object} Option
 * @property {'string' | 'boolean'} type
 * @property {string} [short]
 * @property {boolean} [multiple] may be given several times, which gives an array
 * @property {string} [value] what stands for the value in the help
 * @property {string} help
 * @typedef {Record<string, Option>} Options
 *
 * @typedef {Record<string, any>} Given by the option's name
 */

/** @type {Options} */
const COMMON = {
  help: { type: 'boolean', short: 'h', help: 'this text' },
  verbose: { type: 'boolean', help: 'with an error, its stack' },
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

/** @type {Options} */
const LISTING = {
  match: { type: 'string', short: 'm', value: 'PATTERN', help: 'only keys like this, in which * is any text' },
  limit: { type: 'string', short: 'n', value: 'ROWS', help: 'at most so many (100)' },
}

const DEFAULT_INTERVAL = '2'

/**
 * @param {string[]} args
 * @param {Options} options
 * @returns {{ given: Given, positionals: string[] }}
 */
function parse(args, options) {
  const plain = Object.fromEntries(
    Object.entries(options).map(([name, { type, short, multiple = false }]) => [
      name,
      { type, multiple, ...(short && { short }) },
    ]),
  )
  try {
    const { values, positionals } = parseArgs({
      args: withIntervals(args),
      options: plain,
      allowPositionals: true,
      strict: true,
    })
    return { given: values, positionals }
  } catch (error) {
    // Node's own message, without its unrequested advice.
    throw misuse(/** @type {Error} */ (error).message.split('. ')[0])
  }
}

/**
 * `--watch` alone, and `--watch 5`, as `--watch=SECONDS`: parseArgs knows no optional values.
 *
 * @param {string[]} args
 */
function withIntervals(args) {
  /** @type {string[]} */
  const result = []
  const end = args.indexOf('--')
  for (let at = 0; at < args.length; at++) {
    const isWatch = args[at] === '--watch' || args[at] === '-w'
    if (!isWatch || (end >= 0 && at > end)) {
      result.push(args[at])
    } else {
      const hasValue = /^[\d.]+$/.test(args[at + 1] ?? '')
      result.push(`--watch=${hasValue ? args[++at] : DEFAULT_INTERVAL}`)
    }
  }
  return result
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

/**
 * As SQL's LIKE.
 *
 * @param {string | undefined} pattern in which only `*` has a meaning
 */
const likeOf = (pattern) => pattern?.replace(/[\\%_]/g, '\\$&').replaceAll('*', '%')

module.exports = { COMMON, CONNECTING, LISTING, PREFIX, SHOWING, WATCHING, likeOf, limitOf, number, parse }
