// @ts-check
// Which calls belong to work of the application that is under way in run() or getOrSet(). A pool that is being ended
// waits for the work, and still accepts these calls, and no others.
'use strict'

const { AsyncLocalStorage } = require('node:async_hooks')

/**
 * @typedef {object} Context of one piece of work
 * @property {{ shared: object }} connection of the adapter that waits for it, and so does what it shares with others
 * @property {string} claim under which it is done
 * @property {Context | undefined} outer of the work that this work is part of
 * @property {boolean} isOver
 */

/** @type {AsyncLocalStorage<Context | undefined>} */
const storage = new AsyncLocalStorage()
let underWay = 0

/**
 * @template T
 * @param {{ shared: object }} connection
 * @param {string} claim
 * @param {() => T | Promise<T>} work
 * @returns {Promise<T>}
 */
async function runWork(connection, claim, work) {
  /** @type {Context} */
  const context = { connection, claim, outer: storage.getStore(), isOver: false }
  underWay++
  try {
    return await storage.run(context, work)
  } finally {
    context.isOver = true
    // Before Node 24, a storage that is in use slows down every promise of the process.
    if (--underWay === 0) storage.disable()
  }
}

const currentContext = () => storage.getStore()

/**
 * @param {object} connection an adapter's, or what adapters share
 * @param {Context} context
 */
const isOf = (connection, context) => context.connection === connection || context.connection.shared === connection

/**
 * Whether the context is that of work under way on this connection, or of a part of it.
 *
 * @param {object} connection
 * @param {Context | undefined} [context]
 */
function isInWork(connection, context = currentContext()) {
  for (let each = context; each; each = each.outer) if (isOf(connection, each) && !each.isOver) return true
  return false
}

/**
 * Whether this is called within the work under a claim, which then waits for the call.
 *
 * @param {object} connection
 * @param {string} claim
 */
function isWithin(connection, claim) {
  for (let each = currentContext(); each; each = each.outer) {
    if (isOf(connection, each) && each.claim === claim && !each.isOver) return true
  }
  return false
}

/** @type {Set<{ connection: object, context: Context }>} work that waits for the end of another connection */
const endWaits = new Set()

/**
 * Whether the end of a connection waits for the work of this context. It does if it is work on that connection, or if
 * work there waits for an end that waits for it, and so on.
 *
 * @param {object} connection
 * @param {Context} context
 */
function endWaitsFor(connection, context) {
  const ends = new Set([connection])
  for (const end of ends) {
    if (isInWork(end, context)) return true
    for (const wait of endWaits) if (isInWork(end, wait.context)) ends.add(wait.connection)
  }
  return false
}

/**
 * Waits for the end of a connection. It does not wait within work that this end waits for; otherwise neither would
 * end.
 *
 * @param {object} connection an adapter's, or what adapters share
 * @param {Promise<void>} end
 * @returns {Promise<void>}
 */
function waitForEnd(connection, end) {
  const context = currentContext()
  if (!context) return end
  if (endWaitsFor(connection, context)) {
    end.catch(() => {})
    return Promise.resolve()
  }
  const wait = { connection, context }
  endWaits.add(wait)
  return end.finally(() => endWaits.delete(wait))
}

/**
 * Calls a function for which the work under way, if this is called within it, does not wait.
 *
 * @template T
 * @param {() => T} call
 * @returns {T}
 */
const outsideWork = (call) => (currentContext() ? storage.run(undefined, call) : call())

module.exports = { currentContext, isInWork, isWithin, outsideWork, runWork, waitForEnd }
