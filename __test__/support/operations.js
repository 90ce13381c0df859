// @ts-check
// Every public method, as the tests call it: on rows of its own, with a known result. Whatever tests each method takes
// the calls from here.
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { HANDLE, METHODS, SEMAPHORE } = require('../../lib/operations.js')

/**
 * @typedef {object} Adapters
 * @property {PostgresAdapter} main
 * @property {PostgresIdempotencyAdapter} results
 * @property {PostgresCacheAdapter} entries
 * @property {(prefix: string) => { main: PostgresAdapter, entries: PostgresCacheAdapter }} prefixed
 *
 * @typedef {'main' | 'results' | 'entries' | 'handle' | 'semaphore'} Target an adapter, the handle of a lock, or a semaphore of two
 *
 * @typedef {object} Operation one way to call a method
 * @property {string} name
 * @property {Target} on
 * @property {string} method
 * @property {string} operation its name in metrics and traces
 * @property {string} table
 * @property {boolean} repeats whether it is retried when its outcome is unknown
 * @property {(key: string) => Record<string, any>} args by the names in error messages, in order
 * @property {((on: Adapters, key: string) => Promise<unknown>) | undefined} seed makes the rows that it is to find
 * @property {(on: Adapters, key: string) => Promise<() => Promise<unknown>>} ready → the call itself
 */

/**
 * @param {import('pg').Pool} pool
 * @param {{ createTables?: boolean, keyPrefix?: string }} [options]
 * @returns {Adapters}
 */
function adaptersOn(pool, options = {}) {
  return {
    main: new PostgresAdapter(pool, options),
    results: new PostgresIdempotencyAdapter(pool, options),
    entries: new PostgresCacheAdapter(pool, options),
    prefixed: (prefix) => {
      const more = { ...options, keyPrefix: `${options.keyPrefix ?? ''}${prefix}` }
      return { main: new PostgresAdapter(pool, more), entries: new PostgresCacheAdapter(pool, more) }
    },
  }
}

/** Makes the tables. @param {Adapters} on */
async function connectAll({ main, results, entries }) {
  await Promise.all([main.connect(), results.connect(), entries.initialize()])
}

/** The public methods of each target that are operations on rows, and their names in metrics and traces. */
const NAMES = /** @type {Record<Target, Record<string, string>>} */ ({
  main: withoutConnecting({ ...METHODS.CacheProvider, ...METHODS.PostgresAdapter }),
  entries: withoutConnecting({ ...METHODS.CacheProvider, ...METHODS.PostgresCacheAdapter }),
  results: withoutConnecting(METHODS.PostgresIdempotencyAdapter),
  handle: HANDLE,
  semaphore: SEMAPHORE,
})

/** @param {Record<string, string>} methods */
function withoutConnecting(methods) {
  return Object.fromEntries(Object.entries(methods).filter(([, name]) => name !== 'connect'))
}

/** @param {Target} on @param {string} operation */
function tableOf(on, operation) {
  const [subject = ''] = operation.split('.')
  if (on === 'entries') return 'cache'
  if (on === 'semaphore') return 'go_goscope_locks'
  return subject === 'circuits' ? 'go_goscope_circuit' : `go_goscope_${subject}`
}

const TTL = 600_000

const checkpoint = (/** @type {string} */ id, /** @type {string} */ taskId, /** @type {number} */ n) => ({
  id,
  taskId,
  sequence: n,
  timestamp: n,
  progress: n,
  data: { n },
})

/** Three checkpoints of a task. */
const task = async (/** @type {Adapters} */ on, /** @type {string} */ key) => {
  for (const n of [1, 2, 3]) await on.main.save(checkpoint(`${key}.${n}`, key, n))
}

/** Two values under a prefix, in both caches. */
const values = async (/** @type {Adapters} */ on, /** @type {string} */ key) => {
  const { main, entries } = on.prefixed(`${key}:`)
  for (const n of [1, 2]) await Promise.all([main.set(`v${n}`, n), entries.set(`v${n}`, n)])
}

const heldBy = (/** @type {string} */ owner) => (/** @type {Adapters} */ on, /** @type {string} */ key) =>
  on.main.acquire(key, TTL, owner)

const permitsOf = (/** @type {string} */ owner) => (/** @type {Adapters} */ on, /** @type {string} */ key) =>
  on.main.semaphore(key, 2).acquire({ ttl: TTL, owner, renew: false })

/**
 * @typedef {object} Given
 * @property {string} [as] what is special about this call
 * @property {boolean} [repeats]
 * @property {Operation['args']} [args]
 * @property {Operation['seed']} [seed]
 * @property {(result: any) => unknown} [shown] what of the result does not differ from call to call
 * @property {boolean} [isOfAll] whether it is about all keys of an adapter: its prefix is the key
 */

/**
 * @param {Target} on
 * @param {string} method
 * @param {Given} given
 * @returns {Operation}
 */
function operation(on, method, { as, repeats = false, args = () => ({}), seed, shown = (result) => result, isOfAll }) {
  const operation = NAMES[on][method]
  if (!operation) throw new Error(`lib/operations.js has no ${method} of ${on}`)
  /** @param {Adapters} adapters @param {string} key @returns {Promise<any>} */
  const target = async (adapters, key) => {
    // A handle is independent of the connection that it was made over. Its methods go through the fault.
    if (on === 'handle') return (await adapters.main.acquire(key, TTL, 'me')) ?? assert.fail(`${key} is not free`)
    if (on === 'semaphore') return adapters.main.semaphore(key, 2)
    if (!isOfAll) return adapters[on]
    const { main, entries } = adapters.prefixed(`${key}:`)
    // A new adapter examines its table at its first call.
    await Promise.all([main.has('x'), entries.has('x')])
    return on === 'main' ? main : entries
  }
  return {
    name: `${on === 'main' ? '' : `${on}.`}${method}${as ? ` ${as}` : ''}`,
    on,
    method,
    operation,
    table: tableOf(on, operation),
    repeats,
    args,
    seed,
    async ready(adapters, key) {
      const object = await target(adapters, key)
      return () => object[method](...Object.values(args(key))).then(shown)
    },
  }
}

/** The result of work, if it is done although a result is stored. */
const NOTHING_TO_DO = 'it was done once more'
const work = () => NOTHING_TO_DO

const YES = { repeats: true }

/**
 * The methods of both caches.
 *
 * @param {'main' | 'entries'} on
 * @returns {Operation[]}
 */
function ofCache(on) {
  const set = (/** @type {any} */ value) => (/** @type {Adapters} */ adapters, /** @type {string} */ key) =>
    adapters[on].set(key, value)
  const two = (/** @type {Adapters} */ adapters, /** @type {string} */ key) =>
    adapters[on].setMany([
      [key, 1],
      [`${key}.2`, 2],
    ])
  const keys = (/** @type {string} */ key) => ({ keys: [key, `${key}.2`] })
  const options = { ttl: TTL, staleTtl: undefined, claimTtl: undefined }
  // biome-ignore format: a table
  return [
    operation(on, 'get', { ...YES, seed: set({ n: 1 }), args: (key) => ({ key }) }),
    operation(on, 'set', { seed: set({ n: 1 }), args: (key) => ({ key, value: { n: 2 }, ttl: TTL }) }),
    operation(on, 'has', { ...YES, seed: set(null), args: (key) => ({ key }) }),
    operation(on, 'delete', { seed: set(1), args: (key) => ({ key }) }),
    operation(on, 'getEntry', { ...YES, seed: set({ n: 1 }), args: (key) => ({ key }) }),
    operation(on, 'touch', { seed: set({ n: 1 }), args: (key) => ({ key, ttl: TTL }) }),
    operation(on, 'touch', { as: 'of nothing', args: (key) => ({ key, ttl: TTL }) }),
    operation(on, 'getMany', { ...YES, seed: set({ n: 1 }), args: keys }),
    operation(on, 'setMany', { seed: set(1), args: (key) => ({ entries: [[key, 2], [`${key}.2`, 3, TTL]], ttl: undefined }) }),
    operation(on, 'deleteMany', { seed: two, args: keys }),
    operation(on, 'take', { seed: set({ n: 1 }), args: (key) => ({ key }) }),
    operation(on, 'increment', { seed: set(1), args: (key) => ({ key, by: 2, ttl: undefined }) }),
    operation(on, 'incrementEntry', { seed: set(1), args: (key) => ({ key, by: 2, ttl: undefined }) }),
    operation(on, 'compareAndSet', { seed: set({ n: 1 }), args: (key) => ({ key, expected: { n: 1 }, value: { n: 2 }, ttl: undefined }) }),
    operation(on, 'compareAndSet', { as: 'of nothing', args: (key) => ({ key, expected: undefined, value: 1 }) }),
    operation(on, 'compareAndSet', { as: 'of another value', seed: set({ n: 3 }), args: (key) => ({ key, expected: { n: 1 }, value: { n: 2 } }) }),
    operation(on, 'getOrSet', { ...YES, seed: set({ n: 1 }), args: (key) => ({ key, compute: work, options }) }),
    operation(on, 'getOrSet', { as: 'with staleTtl', ...YES, seed: set({ n: 1 }), args: (key) => ({ key, compute: work, options: { staleTtl: TTL } }) }),
    operation(on, 'clear', { seed: values, isOfAll: true, args: () => ({ options: { prefix: undefined } }) }),
    operation(on, 'clear', { as: 'by prefix', seed: values, isOfAll: true, args: () => ({ options: { prefix: 'v' } }) }),
    operation(on, 'keys', { ...YES, seed: values, isOfAll: true, args: () => ({ pattern: undefined }), shown: (keys) => keys.sort() }),
    operation(on, 'keys', { as: 'by prefix', ...YES, seed: values, isOfAll: true, args: () => ({ options: { prefix: 'v', limit: 1, after: 'v1' } }) }),
  ]
}

/** Every method, in each way that makes a difference. The first call of a method has all of its arguments. */
// biome-ignore format: a table
const OPERATIONS = [
  operation('main', 'acquire', { as: 'by name', ...YES, args: (key) => ({ key, ttl: TTL, owner: 'me', options: { reentrant: undefined } }) }),
  operation('main', 'acquire', { as: 'without re-entry', ...YES, args: (key) => ({ key, ttl: TTL, owner: 'me', options: { reentrant: false } }) }),
  operation('main', 'acquire', { as: 'without re-entry of the own lock', ...YES, seed: heldBy('me'), args: (key) => ({ key, ttl: TTL, owner: 'me', options: { reentrant: false } }) }),
  operation('main', 'acquire', { ...YES, args: (key) => ({ key, ttl: TTL }) }),
  operation('main', 'acquire', { as: 'of a busy lock', ...YES, seed: heldBy('holder'), args: (key) => ({ key, ttl: TTL }) }),
  operation('main', 'acquire', { as: 'of an expired lock', ...YES, seed: expired, args: (key) => ({ key, ttl: TTL }) }),
  // The lock that it takes is not kept: the rows are removed when the next operation is tested.
  operation('main', 'lock', { ...YES, args: (key) => ({ key, options: { ttl: TTL, renew: false, wait: undefined, signal: undefined, owner: undefined } }) }),
  operation('main', 'holder', { ...YES, seed: heldBy('holder'), args: (key) => ({ key }), shown: (holder) => holder?.owner }),
  operation('main', 'extend', { ...YES, seed: heldBy('me'), args: (key) => ({ key, ttl: TTL, owner: 'me' }) }),
  operation('main', 'extend', { as: "of another's lock", ...YES, seed: heldBy('holder'), args: (key) => ({ key, ttl: TTL, owner: 'me' }) }),
  operation('main', 'release', { seed: heldBy('me'), args: (key) => ({ key, owner: 'me' }) }),
  operation('main', 'release', { as: "of another's lock", seed: heldBy('holder'), args: (key) => ({ key, owner: 'me' }) }),
  operation('main', 'forceRelease', { seed: heldBy('holder'), args: (key) => ({ key }) }),
  operation('handle', 'extend', { ...YES, args: () => ({ ttl: TTL }) }),
  operation('handle', 'isValid', YES),
  operation('handle', 'release', YES),

  // Nor is the permit.
  operation('semaphore', 'acquire', { ...YES, args: () => ({ options: { ttl: TTL, renew: false, wait: undefined, signal: undefined, owner: undefined } }) }),
  operation('semaphore', 'holders', { ...YES, seed: permitsOf('holder'), args: () => ({}), shown: (holders) => holders.map((/** @type {any} */ { owner }) => owner) }),

  operation('main', 'getState', { ...YES, seed: (on, key) => on.main.recordFailure(key, 9), args: (key) => ({ key }), shown: (state) => state?.failureCount }),
  operation('main', 'setState', { args: (key) => ({ key, state: { state: 'open', failureCount: 4, lastFailureTime: undefined, lastSuccessTime: undefined } }) }),
  operation('main', 'recordFailure', { seed: (on, key) => on.main.recordFailure(key, 2), args: (key) => ({ key, maxFailures: 2 }) }),
  operation('main', 'recordSuccess', { seed: (on, key) => on.main.recordFailure(key, 1), args: (key) => ({ key }) }),
  operation('main', 'tryProbe', { seed: openSince(0), args: (key) => ({ key, resetTimeout: TTL }) }),
  operation('main', 'tryProbe', { as: 'before it is due', seed: openSince(), args: (key) => ({ key, resetTimeout: 10 * TTL }) }),

  ...ofCache('main'),

  operation('main', 'save', { seed: saved(1), args: (key) => ({ checkpoint: { ...checkpoint(key, key, 2), estimatedTimeRemaining: undefined } }) }),
  operation('main', 'saveMany', { seed: saved(1), args: (key) => ({ checkpoints: [checkpoint(key, key, 2), { ...checkpoint(`${key}.2`, key, 3), estimatedTimeRemaining: undefined }] }) }),
  operation('main', 'load', { ...YES, seed: saved(1), args: (id) => ({ id }), shown: (found) => found?.data }),
  operation('main', 'loadLatest', { ...YES, seed: task, args: (taskId) => ({ taskId }), shown: (found) => found?.sequence }),
  operation('main', 'list', { ...YES, seed: task, args: (taskId) => ({ taskId, options: { limit: undefined, before: undefined, order: undefined } }), shown: (all) => all.map((/** @type {any} */ { sequence }) => sequence) }),
  operation('main', 'list', { as: 'in part', ...YES, seed: task, args: (taskId) => ({ taskId, options: { limit: 1, before: 3, order: 'desc' } }), shown: (all) => all.map((/** @type {any} */ { sequence }) => sequence) }),
  operation('main', 'listTasks', { ...YES, seed: task, args: (key) => ({ options: { prefix: key, limit: 1, after: undefined } }) }),
  operation('main', 'cleanup', { seed: task, args: (taskId) => ({ taskId, keepCount: 1 }) }),
  operation('main', 'deleteAll', { seed: task, args: (taskId) => ({ taskId }) }),

  operation('results', 'get', { ...YES, seed: remembered, args: (key) => ({ key }) }),
  operation('results', 'set', { args: (key) => ({ key, value: { n: 1 }, ttl: TTL }) }),
  operation('results', 'delete', { seed: remembered, args: (key) => ({ key }) }),
  operation('results', 'run', { ...YES, seed: remembered, args: (key) => ({ key, work, options: { fingerprint: 'f', ttl: undefined, claimTtl: undefined } }) }),

  ...ofCache('entries'),
  operation('entries', 'stats', { ...YES, seed: values, isOfAll: true }),
  operation('entries', 'prune', { seed: values, isOfAll: true }),
]

/** @param {Adapters} on @param {string} key */
async function expired({ main }, key) {
  await main.acquire(key, 1, 'holder')
  await sleep(5)
}

/** @param {number} [time] now, if not given @returns {Operation['seed']} */
function openSince(time) {
  return (on, key) => on.main.setState(key, { state: 'open', failureCount: 1, lastFailureTime: time ?? Date.now() })
}

/** @param {number} n @returns {Operation['seed']} */
function saved(n) {
  return (on, key) => on.main.save(checkpoint(key, key, n))
}

/** @param {Adapters} on @param {string} key */
function remembered(on, key) {
  return on.results.set(key, { n: 1 })
}

/** Methods of `lib/operations.js` that have no call here. A new method is missing until it has one. */
function missing() {
  const called = new Set(OPERATIONS.map(({ on, method }) => `${on}.${method}`))
  const methods = Object.entries(NAMES).flatMap(([on, names]) => Object.keys(names).map((name) => `${on}.${name}`))
  return methods.filter((name) => !called.has(name))
}

/**
 * Makes the rows that a call is to find, and the call.
 *
 * @param {Operation} operation
 * @param {Adapters} on
 * @param {string} key that no other call has
 */
async function perform(operation, on, key) {
  await operation.seed?.(on, key)
  const call = await operation.ready(on, key)
  return await call()
}

/** The rows of a key in the tables, without the times. Any write may remove an expired lock, so it does not count. */
const STANDING = `
SELECT coalesce(json_agg(line ORDER BY line::text), '[]') AS lines FROM (
  SELECT json_build_array('lock', key, owner) AS line FROM go_goscope_locks WHERE expires_at > timezone('UTC', now())
  UNION ALL SELECT json_build_array('circuit', key, state, failure_count, last_success_time IS NULL)
    FROM go_goscope_circuit
  UNION ALL SELECT json_build_array('value', key, value, expires_at IS NULL) FROM go_goscope_cache
  UNION ALL SELECT json_build_array('checkpoint', id, task_id, sequence, timestamp, progress, data)
    FROM go_goscope_checkpoints
  UNION ALL SELECT json_build_array('result', key, value, expires_at IS NULL) FROM go_goscope_idempotency
  UNION ALL SELECT json_build_array('entry', key, value, expires_at IS NULL) FROM cache
) AS lines (line) WHERE strpos(line::text, $1) > 0`

/**
 * @param {{ query: (sql: string, params: unknown[]) => Promise<any[]> }} db
 * @param {string} key
 */
async function standing(db, key) {
  const [{ lines }] = await db.query(STANDING, [key])
  return alike(lines, key)
}

const DRAWN = /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g

/**
 * A result or rows as text that does not depend on the key, the generated owner or the moment.
 *
 * @param {unknown} value
 * @param {string} key
 */
function alike(value, key) {
  const plain = typeof (/** @type {any} */ (value)?.release) === 'function' ? 'a handle' : value
  return String(JSON.stringify(plain)).replaceAll(key, 'KEY').replace(DRAWN, 'DRAWN')
}

module.exports = { NAMES, OPERATIONS, adaptersOn, alike, connectAll, missing, perform, standing }
