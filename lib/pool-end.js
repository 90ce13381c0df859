// @ts-check
// The application may end its pool by itself. pg-pool sends no notification, so its `end` is wrapped: the wrapper
// also ends our connections, and its promise (or callback) waits for that.
'use strict'

/** @typedef {import('./pool-handle.js').PoolHandle} PoolHandle */

/**
 * @typedef {object} Wrapper of the `end` of one pool. There is never a second one: a connection may be made while the
 * last one is still closing, and wrappers around each other would grow without end.
 * @property {Set<PoolHandle>} connections
 * @property {() => boolean} remove takes it off again, if no other code has wrapped it once more
 */

/** @type {WeakMap<object, Wrapper>} */
const wrappers = new WeakMap()

/**
 * Makes the end of a pool end a connection, too.
 *
 * @param {any} pool
 * @param {PoolHandle} connection
 * @returns {() => void} undoes that, so that a pool that lives on does not keep the connection
 */
function noticeEnd(pool, connection) {
  const wrapper = wrappers.get(pool) ?? wrapEnd(pool)
  wrappers.set(pool, wrapper)
  wrapper.connections.add(connection)
  return () => {
    wrapper.connections.delete(connection)
    if (wrapper.connections.size === 0 && wrapper.remove()) wrappers.delete(pool)
  }
}

/**
 * @param {any} pool
 * @returns {Wrapper}
 */
function wrapEnd(pool) {
  const { end } = pool
  const own = Object.getOwnPropertyDescriptor(pool, 'end')
  /** @type {Set<PoolHandle>} */
  const connections = new Set()
  const wrapped = (/** @type {Function} */ callback) => {
    const open = [...connections].filter((connection) => !connection.isEnded)
    if (pool.ending || open.length === 0) return end.call(pool, callback)
    // A pool that was wrapped by hand may not report this itself.
    for (const connection of open) if (connection.pool !== pool) connection.pool.ending = true
    const endOpen = () => Promise.all(open.map((connection) => connection.end()))
    // First the pool itself, so that `pool.ending` is true when this returns, as before.
    if (typeof callback !== 'function') return Promise.all([end.call(pool), endOpen()]).then(([ended]) => ended)
    return end.call(pool, (/** @type {unknown[]} */ ...given) => endOpen().then(() => callback(...given)))
  }
  try {
    const enumerable = own?.enumerable ?? false
    Object.defineProperty(pool, 'end', { value: wrapped, writable: true, configurable: true, enumerable })
  } catch {
    // The end of a frozen pool is noticed at the next call.
  }
  const remove = () => {
    if (pool.end !== wrapped) return false
    delete pool.end
    if (own) Object.defineProperty(pool, 'end', own)
    return true
  }
  return { connections, remove }
}

module.exports = { noticeEnd }
