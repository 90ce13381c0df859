// @ts-check
// Every operation of the three adapters, as the fault tests call it: on rows of its own, once, with a prepared result.
'use strict'

const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')

/**
 * @typedef {object} Adapters
 * @property {PostgresAdapter} main
 * @property {PostgresIdempotencyAdapter} results
 * @property {PostgresCacheAdapter} entries
 * @property {(prefix: string) => { main: PostgresAdapter, entries: PostgresCacheAdapter }} prefixed
 *
 * @typedef {object} Operation
 * @property {string} name
 * @property {boolean} repeats whether it is retried when its outcome is unknown
 * @property {((on: Adapters, key: string) => Promise<unknown>) | undefined} seed makes the rows that it is to find
 * @property {(on: Adapters, key: string) => Promise<() => Promise<unknown>>} ready → the call itself
 */

/**
 * @param {import('pg').Pool} pool
 * @returns {Adapters}
 */
function adaptersOn(pool) {
  return {
    main: new PostgresAdapter(pool),
    results: new PostgresIdempotencyAdapter(pool),
    entries: new PostgresCacheAdapter(pool),
    prefixed: (keyPrefix) => ({
      main: new PostgresAdapter(pool, { keyPrefix }),
      entries: new PostgresCacheAdapter(pool, { keyPrefix }),
    }),
  }
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

/** A handle is independent of the connection that it was made over. Its methods go through the fault. */
const held = (/** @type {(handle: import('goscope-postgres').LockHandle) => Promise<unknown>} */ use) => {
  return async (/** @type {Adapters} */ on, /** @type {string} */ key) => {
    const handle = await on.main.acquire(key, TTL, 'me')
    if (!handle) throw new Error(`${key} is not free`)
    return () => use(handle)
  }
}

/**
 * @param {string} name
 * @param {boolean} repeats
 * @param {Operation['seed']} seed
 * @param {(on: Adapters, key: string) => Promise<unknown>} call
 * @returns {Operation}
 */
function operation(name, repeats, seed, call) {
  return { name, repeats, seed, ready: async (on, key) => () => call(on, key) }
}

/** Work under a key whose result is stored. */
const NOTHING_TO_DO = 'it was done once more'

const YES = true
const NO = false

/** @type {Operation[]} */
const OPERATIONS = [
  operation('acquire', YES, undefined, (on, key) => on.main.acquire(key, TTL)),
  operation('acquire by name', YES, undefined, (on, key) => on.main.acquire(key, TTL, 'me')),
  operation(
    'acquire of a busy lock',
    YES,
    (on, key) => on.main.acquire(key, TTL, 'holder'),
    (on, key) => on.main.acquire(key, TTL),
  ),
  // The lock that it takes is not kept: the rows are removed when the next operation is tested.
  operation('lock', YES, undefined, (on, key) => on.main.lock(key, { ttl: TTL, renew: false })),
  operation(
    'holder',
    YES,
    (on, key) => on.main.acquire(key, TTL, 'holder'),
    async (on, key) => (await on.main.holder(key))?.owner,
  ),
  operation(
    'extend',
    YES,
    (on, key) => on.main.acquire(key, TTL, 'me'),
    (on, key) => on.main.extend(key, TTL, 'me'),
  ),
  operation(
    "extend of another's lock",
    YES,
    (on, key) => on.main.acquire(key, TTL, 'holder'),
    (on, key) => on.main.extend(key, TTL, 'me'),
  ),
  operation(
    'forceRelease',
    NO,
    (on, key) => on.main.acquire(key, TTL, 'holder'),
    (on, key) => on.main.forceRelease(key),
  ),
  { name: 'handle.extend', repeats: YES, seed: undefined, ready: held((handle) => handle.extend(TTL)) },
  { name: 'handle.isValid', repeats: YES, seed: undefined, ready: held((handle) => handle.isValid()) },
  { name: 'handle.release', repeats: YES, seed: undefined, ready: held((handle) => handle.release()) },

  operation(
    'getState',
    YES,
    (on, key) => on.main.recordFailure(key, 9),
    async (on, key) => (await on.main.getState(key))?.failureCount,
  ),
  operation('setState', NO, undefined, (on, key) => on.main.setState(key, { state: 'open', failureCount: 4 })),
  operation(
    'recordFailure',
    NO,
    (on, key) => on.main.recordFailure(key, 2),
    (on, key) => on.main.recordFailure(key, 2),
  ),
  operation(
    'recordSuccess',
    NO,
    (on, key) => on.main.recordFailure(key, 1),
    (on, key) => on.main.recordSuccess(key),
  ),
  operation(
    'tryProbe',
    NO,
    (on, key) => on.main.setState(key, { state: 'open', failureCount: 1, lastFailureTime: 0 }),
    (on, key) => on.main.tryProbe(key, TTL),
  ),

  operation(
    'get',
    YES,
    (on, key) => on.main.set(key, { n: 1 }),
    (on, key) => on.main.get(key),
  ),
  operation(
    'set',
    NO,
    (on, key) => on.main.set(key, { n: 1 }),
    (on, key) => on.main.set(key, { n: 2 }, TTL),
  ),
  operation(
    'has',
    YES,
    (on, key) => on.main.set(key, null),
    (on, key) => on.main.has(key),
  ),
  operation(
    'delete',
    NO,
    (on, key) => on.main.set(key, 1),
    (on, key) => on.main.delete(key),
  ),
  operation(
    'getMany',
    YES,
    (on, key) => on.main.set(key, { n: 1 }),
    (on, key) => on.main.getMany([key, `${key}.2`]),
  ),
  operation(
    'setMany',
    NO,
    (on, key) => on.main.set(key, 1),
    (on, key) =>
      on.main.setMany([
        [key, 2],
        [`${key}.2`, 3, TTL],
      ]),
  ),
  operation(
    'deleteMany',
    NO,
    (on, key) =>
      on.main.setMany([
        [key, 1],
        [`${key}.2`, 2],
      ]),
    (on, key) => on.main.deleteMany([key, `${key}.2`]),
  ),
  operation(
    'increment',
    NO,
    (on, key) => on.main.set(key, 1),
    (on, key) => on.main.increment(key, 2),
  ),
  operation(
    'compareAndSet',
    NO,
    (on, key) => on.main.set(key, { n: 1 }),
    (on, key) => on.main.compareAndSet(key, { n: 1 }, { n: 2 }),
  ),
  operation('compareAndSet of nothing', NO, undefined, (on, key) => on.main.compareAndSet(key, undefined, 1)),
  operation(
    'getOrSet',
    YES,
    (on, key) => on.main.set(key, { n: 1 }),
    (on, key) => on.main.getOrSet(key, () => NOTHING_TO_DO),
  ),
  operation(
    'getOrSet with staleTtl',
    YES,
    (on, key) => on.main.set(key, { n: 1 }),
    (on, key) => on.main.getOrSet(key, () => NOTHING_TO_DO, { staleTtl: TTL }),
  ),
  operation('clear', NO, values, (on, key) => on.prefixed(`${key}:`).main.clear()),
  operation('keys', YES, values, async (on, key) => (await on.prefixed(`${key}:`).main.keys()).sort()),

  operation(
    'save',
    NO,
    (on, key) => on.main.save(checkpoint(key, key, 1)),
    (on, key) => on.main.save(checkpoint(key, key, 2)),
  ),
  operation(
    'load',
    YES,
    (on, key) => on.main.save(checkpoint(key, key, 1)),
    async (on, key) => (await on.main.load(key))?.data,
  ),
  operation('loadLatest', YES, task, async (on, key) => (await on.main.loadLatest(key))?.sequence),
  operation('list', YES, task, async (on, key) => (await on.main.list(key)).map(({ sequence }) => sequence)),
  operation('cleanup', NO, task, (on, key) => on.main.cleanup(key, 1)),
  operation('deleteAll', NO, task, (on, key) => on.main.deleteAll(key)),

  operation(
    'idempotency get',
    YES,
    (on, key) => on.results.set(key, { n: 1 }),
    (on, key) => on.results.get(key),
  ),
  operation('idempotency set', NO, undefined, (on, key) => on.results.set(key, { n: 1 }, TTL)),
  operation(
    'idempotency delete',
    NO,
    (on, key) => on.results.set(key, 1),
    (on, key) => on.results.delete(key),
  ),
  operation(
    'idempotency run',
    YES,
    (on, key) => on.results.set(key, { n: 1 }),
    (on, key) => on.results.run(key, () => NOTHING_TO_DO, { fingerprint: 'f' }),
  ),

  operation(
    'cache get',
    YES,
    (on, key) => on.entries.set(key, { n: 1 }),
    (on, key) => on.entries.get(key),
  ),
  operation('cache set', NO, undefined, (on, key) => on.entries.set(key, { n: 1 }, TTL)),
  operation(
    'cache has',
    YES,
    (on, key) => on.entries.set(key, null),
    (on, key) => on.entries.has(key),
  ),
  operation(
    'cache delete',
    NO,
    (on, key) => on.entries.set(key, 1),
    (on, key) => on.entries.delete(key),
  ),
  operation(
    'cache getMany',
    YES,
    (on, key) => on.entries.set(key, { n: 1 }),
    (on, key) => on.entries.getMany([key, `${key}.2`]),
  ),
  operation(
    'cache setMany',
    NO,
    (on, key) => on.entries.set(key, 1),
    (on, key) =>
      on.entries.setMany([
        [key, 2],
        [`${key}.2`, 3, TTL],
      ]),
  ),
  operation(
    'cache deleteMany',
    NO,
    (on, key) =>
      on.entries.setMany([
        [key, 1],
        [`${key}.2`, 2],
      ]),
    (on, key) => on.entries.deleteMany([key, `${key}.2`]),
  ),
  operation(
    'cache increment',
    NO,
    (on, key) => on.entries.set(key, 1),
    (on, key) => on.entries.increment(key, 2),
  ),
  operation(
    'cache compareAndSet',
    NO,
    (on, key) => on.entries.set(key, { n: 1 }),
    (on, key) => on.entries.compareAndSet(key, { n: 1 }, { n: 2 }),
  ),
  operation('cache compareAndSet of nothing', NO, undefined, (on, key) => on.entries.compareAndSet(key, undefined, 1)),
  operation(
    'cache getOrSet',
    YES,
    (on, key) => on.entries.set(key, { n: 1 }),
    (on, key) => on.entries.getOrSet(key, () => NOTHING_TO_DO),
  ),
  operation(
    'cache getOrSet with staleTtl',
    YES,
    (on, key) => on.entries.set(key, { n: 1 }),
    (on, key) => on.entries.getOrSet(key, () => NOTHING_TO_DO, { staleTtl: TTL }),
  ),
  operation('cache clear', NO, values, (on, key) => on.prefixed(`${key}:`).entries.clear()),
  operation('cache keys', YES, values, async (on, key) => (await on.prefixed(`${key}:`).entries.keys()).sort()),
  operation('cache stats', YES, values, (on, key) => on.prefixed(`${key}:`).entries.stats()),
  operation('cache prune', NO, values, (on, key) => on.prefixed(`${key}:`).entries.prune()),
]

/** The rows of a key in the tables, without the times. It shows whether a lease or a value is still valid. */
const STANDING = `
SELECT coalesce(json_agg(line ORDER BY line::text), '[]') AS lines FROM (
  SELECT json_build_array('lock', key, owner, expires_at > timezone('UTC', now())) AS line FROM go_goscope_locks
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

module.exports = { OPERATIONS, adaptersOn, alike, standing }
