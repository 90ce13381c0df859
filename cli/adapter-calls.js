// @ts-check
// What the command changes: by the adapters' own calls, which keep to what their tables promise.
'use strict'

const { key: keyOf, tableName } = require('../lib/arguments.js')

/**
 * @typedef {import('./session.js').Session} Session
 * @typedef {{ key: string, keyPrefix: string }} Name as an application gives them
 */

/**
 * Frees a lock that is still this owner's, and returns whether it was.
 *
 * @param {Session} session
 * @param {Name & { owner: string, namespace?: string }} lock the namespace is that of claims; absent for locks
 * @returns {Promise<boolean>}
 */
function release(session, { key, keyPrefix, owner, namespace }) {
  const name = keyOf('key', key)
  return session.write((native, pool) => {
    const locks = new native.Locks(pool, keyPrefix, false, namespace)
    return (slot) => locks.releaseOne(slot, name, owner)
  })
}

/**
 * Closes a circuit breaker, with no failures. The times of its last failure and success stay.
 *
 * @param {Session} session
 * @param {Name} circuit
 * @returns {Promise<void>}
 */
async function close(session, { key, keyPrefix }) {
  const name = keyOf('key', key)
  const of = (/** @type {any} */ native, /** @type {any} */ pool) => new native.Circuits(pool, keyPrefix, false)
  const found = await session.write((native, pool) => {
    const circuits = of(native, pool)
    return (slot) => circuits.getState(slot, name)
  })
  const { lastFailureTime, lastSuccessTime } = found ?? {}
  await session.write((native, pool) => {
    const circuits = of(native, pool)
    return (slot) => circuits.setState(slot, name, 'closed', 0, lastFailureTime, lastSuccessTime)
  })
}

/**
 * Deletes a cached value.
 *
 * @param {Session} session
 * @param {Name & { table?: string }} entry the table is that of a PostgresCacheAdapter
 * @returns {Promise<void>}
 */
function deleteCached(session, { key, keyPrefix, table }) {
  const name = keyOf('key', key)
  const parts = table === undefined ? undefined : tableName(table)
  return session.write((native, pool) => {
    const cache = new native.Cache(pool, keyPrefix, false, 'full', parts)
    return (slot) => cache.delete(slot, name)
  })
}

/**
 * Deletes the result of an idempotent run: the next run with this key does the work again.
 *
 * @param {Session} session
 * @param {Name} result
 * @returns {Promise<void>}
 */
function deleteResult(session, { key, keyPrefix }) {
  const name = keyOf('key', key)
  return session.write((native, pool) => {
    const results = new native.Idempotency(pool, keyPrefix, false)
    return (slot) => results.delete(slot, name)
  })
}

module.exports = { close, deleteCached, deleteResult, release }
