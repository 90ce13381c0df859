// @ts-check
// What both sides of the comparison that counts do: the same calls, on a PostgresAdapter.
'use strict'

const { HOLDER, KEYS, TTL, VALUE, checkpoint, checkpoints, keyName } = require('../operations.js')

/**
 * @param {any} adapter
 * @returns {Record<string, (key: number) => Promise<unknown>>}
 */
function calls(adapter) {
  return {
    get: (key) => adapter.get(keyName(key)),
    has: (key) => adapter.has(keyName(key)),
    loadLatest: (key) => adapter.loadLatest(keyName(key)),
    set: (key) => adapter.set(keyName(key), VALUE, TTL),
    delete: async (key) => {
      await adapter.set(`deleted:${keyName(key)}`, VALUE, TTL)
      await adapter.delete(`deleted:${keyName(key)}`)
    },
    save: (key) => adapter.save(checkpoint(key)),
    lock: async (key) => (await adapter.acquire(keyName(key), TTL)).release(),
    recordFailure: (key) => adapter.recordFailure(keyName(key), 1e9),
    poll: (key) => adapter.acquire(`busy:${keyName(key)}`, TTL),
  }
}

/**
 * What only ours has.
 *
 * @param {import('goscope-postgres').PostgresAdapter} adapter
 * @returns {Record<string, (key: number) => Promise<unknown>>}
 */
const ownCalls = (adapter) => ({ increment: (key) => adapter.increment(`count:${keyName(key)}`) })

/**
 * What the calls find there.
 *
 * @param {any} adapter
 */
async function fill(adapter) {
  const keys = Array.from({ length: KEYS }, (_, key) => keyName(key))
  await Promise.all(keys.map((key) => adapter.set(key, VALUE, TTL)))
  await Promise.all(keys.map((key) => adapter.acquire(`busy:${key}`, TTL, HOLDER)))
  await Promise.all(Array.from(checkpoints(), (each) => adapter.save(each)))
}

module.exports = { calls, ownCalls, fill }
