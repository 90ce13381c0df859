// @ts-check
// The application's hooks for new connections (`onConnect`, `pool.on('connect')`, `verify`). They usually set up the
// session, so they run on native connections, too, before any call uses them.
'use strict'

const { coded } = require('../errors.js')

/**
 * Whether a pool has such hooks.
 *
 * @param {any} pool
 */
function hasConnectHooks(pool) {
  const { onConnect, verify } = pool.options
  return Boolean(onConnect || verify || listeners(pool).length > 0)
}

/** Including those for `once`, which are removed when they are called. */
const listeners = (/** @type {any} */ pool) => pool.rawListeners?.('connect') ?? []

/** How long a listener's promise may be pending while the session has nothing to do. */
const LONGEST_IDLE_MS = 10_000

/**
 * Passes a new session to the hooks, in pg-pool's order, and waits until they are done with it.
 *
 * @param {any} pool
 * @param {(sql: string) => Promise<any>} runQuery runs SQL there
 * @param {import('./session.js').About} about
 */
async function runConnectHooks(pool, runQuery, about) {
  // Loaded only if there are hooks.
  const { Session } = require('./session.js')
  const session = new Session(runQuery, about)
  const { onConnect, verify } = pool.options
  try {
    if (onConnect) await named('onConnect', () => onConnect(session))
    await named("the listener of 'connect'", () =>
      untilDone(callEach(pool, session), session, longestIdle(pool.options)),
    )
    if (verify) {
      await named(
        'verify',
        () =>
          new Promise((resolve, reject) => {
            verify(session, (/** @type {unknown} */ error) => (error ? reject(error) : resolve(undefined)))
          }),
      )
    }
  } catch (error) {
    // Its connection is given up at once, also while a query of its own is under way.
    session.abandon()
    throw error
  }
  await session.settled()
}

/**
 * Runs a hook. If it fails without a reason (`throw undefined`), the failure is an error that names the hook.
 *
 * @param {string} hook
 * @param {() => unknown} run
 */
async function named(hook, run) {
  try {
    await run()
  } catch (error) {
    if (error !== undefined && error !== null) throw error
    const message = `the connect hook ${hook} failed with ${error} in place of an error. Have it throw, or reject with, an Error`
    throw coded(new Error(message), 'ERR_GOSCOPE_HOOK')
  }
}

/**
 * @param {any} pool
 * @param {import('./session.js').Session} session
 * @returns {unknown[]} what the listeners return
 */
function callEach(pool, session) {
  /** @type {unknown[]} */
  const results = []
  try {
    for (const listener of listeners(pool)) results.push(listener.call(pool, session))
    return results
  } catch (error) {
    // The listeners before this one fail with the connection, and no code waits for their promises any more.
    for (const result of results) Promise.resolve(result).catch(() => {})
    throw error
  }
}

/**
 * Less than the time that the application gives the whole connection, which would otherwise end first.
 *
 * @param {{ connectionTimeoutMillis?: unknown }} options
 */
function longestIdle({ connectionTimeoutMillis }) {
  const limit = Number(connectionTimeoutMillis)
  return limit > 0 ? Math.min(limit / 2, LONGEST_IDLE_MS) : LONGEST_IDLE_MS
}

/**
 * pg does not wait for a listener's promise, so its later statements come too late. Here the promise is awaited,
 * except one that never settles.
 *
 * @param {unknown[]} results of the listeners
 * @param {import('./session.js').Session} session
 * @param {number} ms how long the session may be idle
 */
async function untilDone(results, session, ms) {
  if (!results.some((/** @type {any} */ result) => typeof result?.then === 'function')) return
  let stop = () => {}
  const abandoned = new Promise((/** @type {(nothing: void) => void} */ resolve) => {
    stop = session.whenIdle(ms, () => {
      warnOfPendingHook(ms)
      resolve()
    })
  })
  try {
    await Promise.race([Promise.all(results), abandoned])
  } finally {
    stop()
  }
}

let hasWarned = false

/** @param {number} ms */
function warnOfPendingHook(ms) {
  if (hasWarned) return
  hasWarned = true
  process.emitWarning(
    `The promise of a 'connect' listener is still pending, and its client has been idle for ${ms} ms: the connection is used now`,
    {
      code: 'GOSCOPE_CONNECT_HOOK',
      detail: 'A query that the listener makes later is refused. Let its promise settle when the session is set up.',
    },
  )
}

module.exports = { runConnectHooks, hasConnectHooks }
