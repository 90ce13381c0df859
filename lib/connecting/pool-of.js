// @ts-check
// The first argument of every adapter, in all its forms.
'use strict'

const { invalid, wrongType } = require('../arguments.js')
const { coded } = require('../errors.js')
const { ADAPTER_OPTIONS } = require('../options.js')

/**
 * Returns a `pg.Pool` as it is. Anything else becomes a pool of our own: a pool that the application has wrapped, a
 * client, a connection string, a configuration or nothing (DATABASE_URL, or else the PG* environment).
 *
 * @param {any} given
 */
function poolOf(given) {
  if (given != null && typeof given !== 'string' && isPool(given)) return given
  // Loaded only if there is no pool of pg's.
  const { OwnPool } = require('./own-pool.js')
  // Made here before, for several adapters.
  if (given instanceof OwnPool) return given
  const { isWrapped, wrappedPool } = require('./wrapped-pool.js')
  if (given != null && isWrapped(given)) return wrappedPool(given)
  if (given == null) {
    const { DATABASE_URL } = process.env
    return new OwnPool(DATABASE_URL ? { connectionString: connectionString(DATABASE_URL) } : {})
  }
  if (typeof given === 'string') return new OwnPool({ connectionString: connectionString(given) })
  if (!isConfiguration(given)) {
    throw wrongType('pool', 'a pg.Pool, a pg.Client, a connection string or a configuration for one', given)
  }
  if (given.connectionString != null) connectionString(given.connectionString)
  // Ignored here, it would have the adapter share its rows with every other application.
  const misplaced = ADAPTER_OPTIONS.find((name) => given[name] != null)
  if (misplaced) {
    const where = 'is an option of the adapter, and belongs into its second argument'
    throw invalid(`pool.${misplaced}`, where, given[misplaced])
  }
  // A copy, as pg-pool makes one; `password` may be hidden from enumeration.
  return new OwnPool({ ...given, password: given.password })
}

const isPool = (/** @type {any} */ given) =>
  typeof given === 'object' &&
  ['end', 'Client'].every((name) => typeof given[name] === 'function') &&
  typeof given.options === 'object'

/**
 * Not any object: it must name at least one thing to configure, or be empty. Otherwise a mistaken argument would
 * become a connection to the server of the environment.
 *
 * @param {any} given
 */
function isConfiguration(given) {
  // An object with `options` in it is what remains of a pool.
  if (typeof given !== 'object' || typeof given.options === 'object' || isClient(given)) return false
  return KEYS.some((name) => given[name] !== undefined) || (isPlain(given) && Reflect.ownKeys(given).length === 0)
}

/** Of any realm. */
const isPlain = (/** @type {object} */ given) => {
  const prototype = Object.getPrototypeOf(given)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

const isClient = (/** @type {any} */ given) => ['end', 'query', 'connect'].some((name) => name in given)

const KEYS = [
  ...['connectionString', 'host', 'port', 'user', 'database', 'password', 'ssl', 'application_name', 'options'],
  ...['statement_timeout', 'lock_timeout', 'query_timeout', 'connectionTimeoutMillis', 'idleTimeoutMillis', 'max'],
  ...['target_session_attrs', 'keepAlive', 'onConnect'],
]

/** @param {unknown} text */
function connectionString(text) {
  if (typeof text !== 'string') throw wrongType('connectionString', 'of type string', text)
  if (/^(\/|[a-z][a-z0-9+.-]*:\/\/|socket:)/i.test(text)) return text
  // It may hold a password, which no message should show.
  const message = 'The connection string must begin with postgres:// or postgresql:// (or / for a Unix socket)'
  throw coded(new TypeError(message), 'ERR_INVALID_ARG_VALUE')
}

module.exports = { poolOf }
