// @ts-check
// What both sides of the comparison that counts do: the same calls, on a PostgresAdapter.
'use strict'

const { KEYS, TTL, VALUE, checkpoint, checkpoints, keyName } = require('../operations.js')

const HOLDER = 'somebody else'

/**
 * @param {any} adapter
 * @returns {Record<string, (key: number) => Promise<unknown>>}
 */
function calls(adapter) {
  return {
    get: (key) => adapter.get(keyName(key)),
    loadLatest: (key) => adapter.loadLatest(keyName(key)),
    set: (key) => adapter.set(keyName(key), VALUE, TTL),
    save: (key) => adapter.save(checkpoint(key)),
    lock: async (key) => (await adapter.acquire(keyName(key), TTL)).release(),
    recordFailure: (key) => adapter.recordFailure(keyName(key), 1e9),
    poll: (key) => adapter.acquire(`busy:${keyName(key)}`, TTL),
  }
}

/**
 * What the calls find there.
 *
 * @param {any} adapter
 */
async function fill(adapter) {
  const keys = Array.from({ length: KEYS }, (_, key) => keyName(key))
  await Promise.all(keys.map((key) => adapter.set(key, VALUE)))
  await Promise.all(keys.map((key) => adapter.acquire(`busy:${key}`, 24 * 3600_000, HOLDER)))
  const saves = []
  for (const each of checkpoints()) saves.push(adapter.save(each))
  await Promise.all(saves)
}

module.exports = { calls, fill }
