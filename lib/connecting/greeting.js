// @ts-check
// The application's hooks for new connections (`onConnect`, `pool.on('connect')`, `verify`): they usually set up the
// session, so they run on native connections, too, before anybody uses them.
'use strict'

/**
 * Whether a pool has such hooks.
 *
 * @param {any} pool
 */
function isGreeted(pool) {
  const { onConnect, verify } = pool.options
  return Boolean(onConnect || verify || listeners(pool).length > 0)
}

/** Also those for `once`, which go when they are called. */
const listeners = (/** @type {any} */ pool) => pool.rawListeners?.('connect') ?? []

/**
 * Shows a new session to the hooks, in pg-pool's order, and waits until they are done with it.
 *
 * @param {any} pool
 * @param {(sql: string) => Promise<any>} converse runs SQL there
 * @param {import('./session.js').About} about
 */
async function greet(pool, converse, about) {
  // Read in only where there are hooks.
  const { Session } = require('./session.js')
  const session = new Session(converse, about)
  const { onConnect, verify } = pool.options
  try {
    if (onConnect) await onConnect(session)
    // pg does not wait for a listener's promise, so that its later statements come too late; nobody wants that.
    await Promise.all(listeners(pool).map((/** @type {Function} */ listener) => listener.call(pool, session)))
    if (verify) {
      await new Promise((resolve, reject) => {
        verify(session, (/** @type {unknown} */ error) => (error ? reject(error) : resolve(undefined)))
      })
    }
  } finally {
    await session.settled()
  }
}

module.exports = { greet, isGreeted }
