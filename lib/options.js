// @ts-check
// Options, of adapters and of calls. An unknown name is ignored, unless it is a misspelling of a known one: without
// the intended option, the call would do something else. With `keyprefix` in place of `keyPrefix`, `clear()` would
// remove the cached values of every application.
'use strict'

const args = require('./arguments.js')

const ADAPTER = ['keyPrefix', 'createTables']
const PAGE = ['prefix', 'limit', 'after']
const ITERATION = ['prefix', 'pageSize']

/** Of a table of an integration's own. */
const TABLE = ['tableName', 'createTables', 'durability']

/** By the class or function that takes the options. */
const NAMES = {
  PostgresAdapter: [...ADAPTER, 'defaultLockTTL', 'cacheDurability'],
  PostgresCacheAdapter: [...ADAPTER, 'tableName', 'durability'],
  PostgresIdempotencyAdapter: ADAPTER,
  health: ['timeout'],
  acquire: ['reentrant'],
  lock: ['ttl', 'wait', 'signal', 'renew', 'owner', 'onReleaseError'],
  run: ['ttl', 'claimTtl', 'fingerprint', 'wait', 'signal', 'transaction'],
  keys: PAGE,
  iterateKeys: ITERATION,
  clear: ['prefix'],
  list: ['limit', 'before', 'order'],
  listTasks: PAGE,
  iterateTasks: ITERATION,
  traceCalls: ['tracer', 'keys'],
  observePool: ['meter', 'name'],
  LatencyProducer: ['name'],
  toPrometheus: ['prefix', 'buckets', 'latencyBy', 'format'],
  breaker: ['maxFailures', 'resetTimeout', 'timeout', 'isFailure'],
  runGuarded: ['fallback'],
  getOrSet: ['ttl', 'staleTtl', 'claimTtl', 'onError', 'wait', 'signal'],
  KeyvStore: [...TABLE, 'keyPrefix'],
  // `cache` before the name that begins with it.
  GoscopePostgresModule: ['connection', 'cache', 'idempotency', ...ADAPTER, 'defaultLockTTL', 'cacheDurability'],
  PostgresCheckpointSaver: [...ADAPTER, 'writesTable', 'serde'],
  SessionStore: [...TABLE, 'keyPrefix', 'ttl'],
  storageDriver: [...TABLE, 'source', 'base', 'ttl'],
  PostgresRateLimiter: [
    ...TABLE,
    'storeClient',
    'keyPrefix',
    'points',
    'duration',
    'blockDuration',
    'blockOnConsumed',
    'execEvenly',
    'execEvenlyMinDelayMs',
    'inMemoryBlockOnConsumed',
    'inMemoryBlockDuration',
    'insuranceLimiter',
  ],
}

/** Those of the adapters' constructors. */
const ADAPTER_OPTIONS = [
  ...new Set([...NAMES.PostgresAdapter, ...NAMES.PostgresCacheAdapter, ...NAMES.PostgresIdempotencyAdapter]),
]

/** @typedef {keyof typeof NAMES} Taker what takes options */

/** The maximum number of wrong letters in a name of this length. */
const mostMistakes = (/** @type {number} */ letters) => (letters < 8 ? 1 : 2)

/** `key_prefix` and `KeyPrefix` are the same name in another style. */
const withoutStyle = (/** @type {string} */ name) => name.toLowerCase().replace(/[^a-z0-9]/g, '')

/** `prefix` in place of `keyPrefix`, `table` of `tableName`. */
const isPart = (/** @type {string} */ part, /** @type {string} */ name) =>
  part.length >= 5 && (name.startsWith(part) || name.endsWith(part))

/**
 * The option that an unknown name means, if it is a misspelling of one.
 *
 * @param {string} name
 * @param {string[]} known
 */
function meant(name, known) {
  const { editDistance } = require('./edit-distance.js')
  const given = withoutStyle(name)
  const distances = known.map((each) => ({ name: each, distance: editDistance(given, withoutStyle(each)) }))
  const [nearest] = distances.sort((a, b) => a.distance - b.distance)
  if (nearest && nearest.distance <= mostMistakes(nearest.name.length)) return nearest.name
  return known.find((each) => isPart(given, withoutStyle(each)))
}

/**
 * @param {Record<string, any>} options
 * @param {Taker} taker
 */
function assertSpelt(options, taker) {
  const known = NAMES[taker]
  for (const name in options) {
    if (known.includes(name) || options[name] == null) continue
    const option = meant(name, known)
    if (option !== undefined) throw args.invalid(`options.${name}`, `is unknown; '${option}' is meant`, options[name])
  }
}

/**
 * The last argument of a function that has options.
 *
 * @param {unknown} options
 * @param {Taker} taker
 * @returns {Record<string, any>}
 */
function optionsOf(options, taker) {
  if (options == null) return {}
  const given = args.object('options', options)
  assertSpelt(given, taker)
  return given
}

/**
 * The options that all adapters share.
 *
 * @param {unknown} options
 * @param {Taker} taker
 */
function adapterOptions(options, taker) {
  const given = optionsOf(options, taker)
  return {
    given,
    keyPrefix: given.keyPrefix == null ? '' : args.key('options.keyPrefix', given.keyPrefix),
    createTables: args.optionalBoolean('options.createTables', given.createTables) ?? true,
  }
}

module.exports = { ADAPTER_OPTIONS, NAMES, adapterOptions, optionsOf }
