// @ts-check
// What an adapter within a transaction cannot do: each such call is refused, with the reason.
'use strict'

const { coded } = require('../errors.js')
const { METHODS } = require('../lock-provider.js')

const LOCKS =
  'other processes would see the lock only when the transaction commits. Take it through the adapter itself, and call ' +
  'assertHeld(lease) here'
const WORK =
  'it holds a claim, which other processes would see only when the transaction commits. Call it on the adapter itself'
const RUN = `${WORK}; its option \`transaction\` stores the result together with your own writes`
const ADAPTER = 'it concerns the whole adapter. Call it on the adapter itself'
const SUBSCRIBE = 'a subscription needs a connection of its own. Call it on the adapter itself'

/** The reasons, by method. */
const REFUSED = {
  acquire: LOCKS,
  extend: LOCKS,
  release: LOCKS,
  forceRelease: LOCKS,
  lock: LOCKS,
  semaphore: LOCKS,
  holder: LOCKS,
  getOrSet: WORK,
  run: RUN,
  subscribe: SUBSCRIBE,
  breaker: SUBSCRIBE,
  within: 'it is within a transaction already',
  connect: ADAPTER,
  initialize: ADAPTER,
  disconnect: ADAPTER,
  close: ADAPTER,
  ping: ADAPTER,
  health: ADAPTER,
}

/** Those that return no promise. */
const SYNCHRONOUS = ['semaphore', 'subscribe', 'breaker', 'within']

/**
 * Makes an adapter refuse what it cannot do within a transaction.
 *
 * @template {object} T
 * @param {T} adapter
 * @returns {T}
 */
function refuseWithin(adapter) {
  for (const [method, reason] of Object.entries(REFUSED)) {
    if (!(method in adapter)) continue
    const refuse = () => {
      throw coded(new Error(`${method}() cannot be called within a transaction: ${reason}`), 'ERR_WITHIN_TRANSACTION')
    }
    const value = SYNCHRONOUS.includes(method) ? refuse : async () => refuse()
    // As a provider of locks, too: see lib/lock-provider.js.
    if (method === 'lock') for (const name of METHODS) Reflect.set(value, name, value)
    Object.defineProperty(adapter, method, { value, writable: true, configurable: true })
  }
  return adapter
}

module.exports = { REFUSED, refuseWithin }
