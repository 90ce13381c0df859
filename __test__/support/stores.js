// @ts-check
// Every kind of name that the package stores a value under, with one interface to store and look up.
'use strict'

const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')

/**
 * @typedef {object} Store
 * @property {string} title
 * @property {string} table
 * @property {string} column that stores the name
 * @property {string} namespace the part between keyPrefix and name there
 * @property {(name: any, n: number) => Promise<unknown>} put stores a number under a name
 * @property {(name: any, n: number) => Promise<boolean>} holds whether that number is there
 * @property {(name: any) => Promise<unknown>} remove
 * @property {((pattern?: string) => Promise<string[]>) | undefined} keys
 */

const TITLES = ['locks', 'circuits', 'cache', 'checkpoint ids', 'task ids', 'idempotency', 'PostgresCacheAdapter']

/**
 * In the order of `TITLES`.
 *
 * @param {import('pg').Pool} pool
 * @param {any} [keyPrefix]
 * @returns {Store[]}
 */
function storesOf(pool, keyPrefix) {
  const adapter = new PostgresAdapter(pool, { keyPrefix })
  const results = new PostgresIdempotencyAdapter(pool, { keyPrefix })
  const entries = new PostgresCacheAdapter(pool, { keyPrefix })
  const checkpoint = (/** @type {any} */ id, /** @type {any} */ taskId, /** @type {number} */ n) => ({
    id,
    taskId,
    sequence: n,
    timestamp: n,
    progress: n,
    data: n,
  })
  return [
    {
      title: 'locks',
      table: 'go_goscope_locks',
      column: 'key',
      namespace: 'lock:',
      put: (name, n) => adapter.acquire(name, 600_000, `owner ${n}`),
      holds: (name, n) => adapter.extend(name, 600_000, `owner ${n}`),
      remove: (name) => adapter.forceRelease(name),
      keys: undefined,
    },
    {
      title: 'circuits',
      table: 'go_goscope_circuit',
      column: 'key',
      namespace: 'circuit:',
      put: (name, n) => adapter.setState(name, { state: 'half-open', failureCount: n }),
      holds: async (name, n) => (await adapter.getState(name))?.failureCount === n,
      remove: (name) => adapter.recordSuccess(name), // a circuit is never deleted
      keys: undefined,
    },
    {
      title: 'cache',
      table: 'go_goscope_cache',
      column: 'key',
      namespace: 'cache:',
      put: (name, n) => adapter.set(name, n),
      holds: (name, n) => cacheHolds(adapter, name, n),
      remove: (name) => adapter.delete(name),
      keys: (pattern) => adapter.keys(pattern),
    },
    {
      title: 'checkpoint ids',
      table: 'go_goscope_checkpoints',
      column: 'id',
      namespace: '',
      put: (name, n) => adapter.save(checkpoint(name, 'ids', n)),
      holds: async (name, n) => {
        const found = await adapter.load(name)
        return found?.data === n && found.id === String(name) && found.taskId === 'ids'
      },
      remove: () => adapter.deleteAll('ids'),
      keys: undefined,
    },
    {
      title: 'task ids',
      table: 'go_goscope_checkpoints',
      column: 'task_id',
      namespace: '',
      put: (name, n) => adapter.save(checkpoint(`task ids:${n}`, name, n)),
      holds: async (name, n) => {
        const found = await adapter.list(name)
        return found.length === 1 && found[0].data === n && found[0].taskId === String(name)
      },
      remove: (name) => adapter.deleteAll(name),
      keys: undefined,
    },
    {
      title: 'idempotency',
      table: 'go_goscope_idempotency',
      column: 'key',
      namespace: '',
      put: (name, n) => results.set(name, n),
      holds: async (name, n) => (await results.get(name))?.value === n,
      remove: (name) => results.delete(name),
      keys: undefined,
    },
    {
      title: 'PostgresCacheAdapter',
      table: 'cache',
      column: 'key',
      namespace: '',
      put: (name, n) => entries.set(name, n),
      holds: (name, n) => cacheHolds(entries, name, n),
      remove: (name) => entries.delete(name),
      keys: (pattern) => entries.keys(pattern),
    },
  ]
}

/**
 * @param {import('goscope-postgres').CacheProvider} cache
 * @param {any} name
 * @param {number} n
 */
async function cacheHolds(cache, name, n) {
  const [has, value] = await Promise.all([cache.has(name), cache.get(name)])
  return has && value === n
}

module.exports = { TITLES, storesOf }
