// @ts-check
// Which calls belong to work of the application that is under way in run() or getOrSet(). A pool that is being ended
// waits for the work, and still accepts these calls, and no others.
'use strict'

const { AsyncLocalStorage } = require('node:async_hooks')

/**
 * @typedef {object} Context of one piece of work
 * @property {{ handle: object }} scope the share of the adapter that waits for it. The handle of the pool waits, too
 * @property {string} claim under which it is done
 * @property {Context | undefined} outer of the work that this work is part of
 * @property {boolean} isOver
 * @property {object} [pool] the application's pool of which the work holds a client
 */

/** @type {AsyncLocalStorage<Context | undefined>} */
const storage = new AsyncLocalStorage()
let underWay = 0

/**
 * @template T
 * @param {{ handle: object }} scope
 * @param {string} claim
 * @param {() => T | Promise<T>} work
 * @returns {Promise<T>}
 */
async function runWork(scope, claim, work) {
  /** @type {Context} */
  const context = { scope, claim, outer: storage.getStore(), isOver: false }
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
 * @param {object} scope an adapter's share of a pool, or the pool's handle
 * @param {Context} context
 */
const isOf = (scope, context) => context.scope === scope || context.scope.handle === scope

/**
 * Whether the context is that of work under way in this scope, or of a part of it.
 *
 * @param {object} scope
 * @param {Context | undefined} [context]
 */
function isInWork(scope, context = currentContext()) {
  for (let each = context; each; each = each.outer) if (isOf(scope, each) && !each.isOver) return true
  return false
}

/**
 * Whether this is called within the work under a claim, which then waits for the call.
 *
 * @param {object} scope
 * @param {string} claim
 */
function isWithin(scope, claim) {
  for (let each = currentContext(); each; each = each.outer) {
    if (isOf(scope, each) && each.claim === claim && !each.isOver) return true
  }
  return false
}

/**
 * Notes that the work in which this is called holds a client of a pool.
 *
 * @param {object} pool
 * @returns {number} how many clients of it are held by the work that this work is part of
 */
function holdClientOf(pool) {
  const context = currentContext()
  if (!context) return 0
  context.pool = pool
  let held = 0
  for (let each = context.outer; each; each = each.outer) if (each.pool === pool && !each.isOver) held++
  return held
}

/** @type {Set<{ scope: object, context: Context }>} work that waits for the end of another scope */
const endWaits = new Set()

/**
 * Whether the end of a scope waits for the work of this context. It does if it is work in that scope, or if
 * work there waits for an end that waits for it, and so on.
 *
 * @param {object} scope
 * @param {Context} context
 */
function endWaitsFor(scope, context) {
  const ends = new Set([scope])
  for (const end of ends) {
    if (isInWork(end, context)) return true
    for (const wait of endWaits) if (isInWork(end, wait.context)) ends.add(wait.scope)
  }
  return false
}

/**
 * Waits for the end of a scope. It does not wait within work that this end waits for; otherwise neither would
 * end.
 *
 * @param {object} scope an adapter's share of a pool, or the pool's handle
 * @param {Promise<void>} end
 * @returns {Promise<void>}
 */
function waitForEnd(scope, end) {
  const context = currentContext()
  if (!context) return end
  if (endWaitsFor(scope, context)) {
    end.catch(() => {})
    return Promise.resolve()
  }
  const wait = { scope, context }
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

module.exports = { holdClientOf, currentContext, isInWork, isWithin, outsideWork, runWork, waitForEnd }
