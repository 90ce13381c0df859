// @ts-check
// The arguments that the public methods accept. Each function returns the argument in the form that native code
// takes, or throws with Node's codes, naming the argument and the value.
'use strict'

const { inspect } = require('node:util')
const { coded } = require('./errors.js')
const { JsonText } = require('./json-text.js')

/**
 * @param {string} name
 * @param {string} expected
 * @param {unknown} value
 */
const wrongType = (name, expected, value) =>
  coded(
    new TypeError(`The "${name}" argument must be ${expected}. Received ${received(value)}`),
    'ERR_INVALID_ARG_TYPE',
  )

/**
 * @param {string} name
 * @param {string} expected
 * @param {unknown} value
 */
const outOfRange = (name, expected, value) =>
  coded(
    new RangeError(`The value of "${name}" is out of range. It must be ${expected}. Received ${received(value)}`),
    'ERR_OUT_OF_RANGE',
  )

/**
 * @param {string} name
 * @param {string} reason
 * @param {unknown} value
 * @param {unknown} [cause]
 */
const invalid = (name, reason, value, cause) =>
  coded(
    new TypeError(
      `The argument '${name}' ${reason}. Received ${received(value)}`,
      cause === undefined ? undefined : { cause },
    ),
    'ERR_INVALID_ARG_VALUE',
  )

/**
 * Shows a value as Node's own errors do: an object only by its class, so that no secret in it gets out.
 *
 * @param {unknown} value
 */
function received(value) {
  if (typeof value === 'function') return value.name ? `function ${value.name}` : 'a function'
  if (typeof value === 'object' && value !== null) return `an instance of ${className(value)}`
  const text = inspect(value)
  return text.length > 128 ? `${text.slice(0, 128)}...` : text
}

/** @param {object} value */
function className(value) {
  try {
    return String(value.constructor?.name || 'Object')
  } catch {
    return 'an object that cannot be looked at'
  }
}

/**
 * Text that PostgreSQL can store.
 *
 * @param {string} name
 * @param {unknown} value
 * @returns {string}
 */
function text(name, value) {
  if (typeof value === 'number' && Number.isFinite(value)) return String(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'string') throw wrongType(name, 'of type string', value)
  if (value.includes('\0')) throw invalid(name, 'must not contain U+0000, which PostgreSQL cannot store', value)
  return value
}

/**
 * A key, as native code takes it. UTF-8 cannot hold lone surrogates. A key with some is passed as U+0000, the key
 * with U+FFFD in their place, U+0000, and the key's JSON literal, in which they are escaped. No other key holds a
 * U+0000.
 *
 * @param {string} name
 * @param {unknown} value
 */
function key(name, value) {
  const given = text(name, value)
  return isWellFormed(given) ? given : `\0${toWellFormed(given)}\0${JSON.stringify(given)}`
}

/**
 * The original key, from the form that native code takes.
 *
 * @param {string} taken
 * @returns {string}
 */
const givenKey = (taken) => (taken.startsWith('\0') ? JSON.parse(taken.slice(taken.lastIndexOf('\0') + 1)) : taken)

/**
 * @param {string} name
 * @param {unknown} value
 */
function wellFormed(name, value) {
  const given = text(name, value)
  if (!isWellFormed(given)) throw invalid(name, 'must be a well-formed string, without lone surrogates', value)
  return given
}

/**
 * A pattern for keys, with U+FFFD for lone surrogates, as native code shows such keys to it.
 *
 * @param {string} name
 * @param {unknown} value
 */
const pattern = (name, value) => toWellFormed(text(name, value))

// Node 20 has these methods; TypeScript's library for it does not know them yet.
/** @type {(value: string) => boolean} */
const isWellFormed = (value) => /** @type {any} */ (value).isWellFormed()
/** @type {(value: string) => string} */
const toWellFormed = (value) => /** @type {any} */ (value).toWellFormed()

/**
 * A lease's length in milliseconds. 0 is a lease that has run out already, as in the pg-based adapter: go-go-scope's
 * scheduler requests that by `timeout: 0`.
 *
 * @param {string} name
 * @param {unknown} value
 * @param {number | undefined} byDefault
 */
function leaseTtl(name, value, byDefault) {
  const ttl = value ?? byDefault
  if (ttl === 0) return 0
  if (typeof ttl === 'number' && ttl < 0) throw outOfRange(name, 'a finite number of milliseconds, 0 or more', ttl)
  return lastingTtl(name, value, byDefault)
}

/**
 * The length in milliseconds of a lease that can be renewed, or is a default.
 *
 * @param {string} name
 * @param {unknown} value
 * @param {number | undefined} byDefault
 */
function lastingTtl(name, value, byDefault) {
  const ttl = value ?? byDefault
  if (typeof ttl !== 'number') {
    const unless = value == null ? ', unless the adapter has a defaultLockTTL' : ''
    throw wrongType(name, `of type number, in milliseconds${unless}`, value)
  }
  if (ttl === Infinity) throw outOfRange(name, FINITE_LEASE, ttl)
  return positiveTime(name, ttl)
}

const FINITE_LEASE =
  'a finite number of milliseconds: a lease needs an end, so that the lock of a holder that has crashed becomes free. lock() ' +
  'renews a lease until it is released, and extend() moves its end'

/**
 * A time in milliseconds.
 *
 * @param {string} name
 * @param {unknown} value
 */
function positiveTime(name, value) {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value)
  if (!(value > 0 && value < Infinity)) throw outOfRange(name, 'a positive, finite number of milliseconds', value)
  return value
}

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {(...args: any[]) => unknown}
 */
function callback(name, value) {
  if (typeof value !== 'function') throw wrongType(name, 'of type function', value)
  return /** @type {any} */ (value)
}

/**
 * How long to wait, in milliseconds; null for ever.
 *
 * @param {string} name
 * @param {unknown} value
 */
function wait(name, value) {
  return value == null || value === Infinity ? null : number(name, value, { min: 0 })
}

/**
 * An AbortSignal of any realm.
 *
 * @param {string} name
 * @param {any} value
 * @returns {AbortSignal | undefined}
 */
function signal(name, value) {
  if (value == null) return undefined
  const isSignal = typeof value === 'object' && typeof value.aborted === 'boolean' && 'addEventListener' in value
  if (!isSignal) throw wrongType(name, 'an instance of AbortSignal', value)
  return value
}

/**
 * How long to wait for another caller, as `WaitLimit` takes it.
 *
 * @param {Record<string, any>} options
 */
const limit = (options) => ({
  wait: wait('options.wait', options.wait),
  signal: signal('options.signal', options.signal),
})

/**
 * An entry's time to live in milliseconds; null if it does not expire.
 *
 * @param {unknown} value
 * @param {string} [name]
 */
function entryTtl(value, name = 'ttl') {
  if (value == null || value === 0 || value === Infinity) return null
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value)
  if (!(value > 0)) throw outOfRange(name, 'a positive number of milliseconds, or 0 or Infinity for no expiry', value)
  return value
}

/**
 * A value as JSON text.
 *
 * @param {string} name
 * @param {unknown} value
 */
function json(name, value) {
  const made = JsonText.textOf(value)
  if (made !== undefined) return made
  let encoded
  try {
    encoded = JSON.stringify(value)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n', 1)[0] : 'it threw'
    throw invalid(name, `must be serializable as JSON: ${reason}`, value, cause)
  }
  if (encoded === undefined) throw wrongType(name, 'serializable as JSON', value)
  return encoded
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {{ integer?: boolean, min?: number, max?: number }} [range]
 * @returns {number}
 */
function number(name, value, { integer = false, min = -Infinity, max = Infinity } = {}) {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value)
  if (integer && !Number.isSafeInteger(value)) throw outOfRange(name, 'a safe integer', value)
  if (!(value >= min && value <= max)) throw outOfRange(name, rangeText(min, max), value)
  return value
}

/** The range of the numbers that JSON can hold. */
const FINITE = { min: -Number.MAX_VALUE, max: Number.MAX_VALUE }

/**
 * A number, or null if it is absent.
 *
 * @param {string} name
 * @param {unknown} value
 * @param {{ integer?: boolean, min?: number, max?: number }} [range]
 */
const optionalNumber = (name, value, range) => (value == null ? null : number(name, value, range))

/**
 * @param {number} min
 * @param {number} max
 */
function rangeText(min, max) {
  if (max === Infinity) return min === -Infinity ? 'a number' : `>= ${min}`
  if (max === Number.MAX_VALUE) return 'a finite number'
  return `>= ${min} and <= ${max}`
}

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {Record<string, any>}
 */
function object(name, value) {
  if (typeof value !== 'object' || value === null) throw wrongType(name, 'of type object', value)
  return value
}

/**
 * The items of an iterable, each as `item` returns it. `item` also gets the item's position in the argument.
 *
 * @template T
 * @param {string} name
 * @param {unknown} value
 * @param {(name: string, value: unknown) => T} item
 */
function list(name, value, item) {
  // A string is iterable, and a single key is easily passed instead of a list of one.
  if (typeof value !== 'object' || typeof (/** @type {any} */ (value)?.[Symbol.iterator]) !== 'function') {
    throw wrongType(name, 'an iterable object', value)
  }
  const items = /** @type {Iterable<unknown>} */ (value)
  return Array.from(items, (each, index) => item(`${name}[${index}]`, each))
}

/**
 * One of some words, or the first of them if it is absent.
 *
 * @param {string} name
 * @param {unknown} value
 * @param {string[]} words
 */
function word(name, value, words) {
  return value == null ? words[0] : oneOf(name, value, words)
}

/**
 * @param {string} name
 * @param {any} value
 * @param {string[]} words
 * @returns {string}
 */
function oneOf(name, value, words) {
  if (words.includes(value)) return value
  throw invalid(name, `must be one of ${words.map((each) => `'${each}'`).join(', ')}`, value)
}

/**
 * What a crash of the server may destroy of a cache.
 *
 * @param {string} name
 * @param {unknown} value
 */
const durability = (name, value) => word(name, value, ['full', 'async', 'unlogged'])

/**
 * @param {string} name
 * @param {unknown} value
 */
function optionalBoolean(name, value) {
  if (value != null && typeof value !== 'boolean') throw wrongType(name, 'of type boolean', value)
  return value ?? undefined
}

/**
 * `table` or `schema.table`, in its parts.
 *
 * @param {unknown} value
 */
function tableName(value) {
  if (value == null) return ['cache']
  if (typeof value !== 'string') throw wrongType('options.tableName', 'of type string', value)
  const parts = value.split('.')
  const fits = (/** @type {string} */ part) =>
    part !== '' && Buffer.byteLength(part) <= MAX_IDENTIFIER_BYTES && !part.includes('\0') && isWellFormed(part)
  if (parts.length > 2 || !parts.every(fits)) {
    const form = `must be an identifier or schema.identifier, each of 1 to ${MAX_IDENTIFIER_BYTES} bytes`
    throw invalid('options.tableName', form, value)
  }
  return parts
}

// PostgreSQL truncates longer identifiers, so two long names could mean one table.
const MAX_IDENTIFIER_BYTES = 63

module.exports = {
  FINITE,
  wrongType,
  callback,
  durability,
  entryTtl,
  givenKey,
  invalid,
  json,
  key,
  lastingTtl,
  leaseTtl,
  limit,
  list,
  number,
  object,
  oneOf,
  optionalBoolean,
  optionalNumber,
  outOfRange,
  pattern,
  positiveTime,
  signal,
  tableName,
  text,
  wait,
  wellFormed,
  word,
}
