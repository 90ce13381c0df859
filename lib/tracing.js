// @ts-check
// Reports calls through `node:diagnostics_channel`: the five channels of a TracingChannel for each operation. If a
// channel has no subscriber, a call costs one check of the channels, about eight nanoseconds.
'use strict'

const { channel } = require('node:diagnostics_channel')
const { givenKey } = require('./arguments.js')
const { itself } = require('./itself.js')
const { METHODS, keyOf, operations } = require('./operations.js')

/** @typedef {import('./pool-share.js').PoolShare} PoolShare */

/** Which share an adapter uses. No property of the adapter, where an application could see it. @type {WeakMap<object, PoolShare>} */
const shares = new WeakMap()

/** The channels of one operation. */
class Tracing {
  /** @param {string} operation */
  constructor(operation) {
    const of = (/** @type {string} */ event) => channel(`tracing:goscope-postgres:${operation}:${event}`)
    this.operation = operation
    // Held for good: Node forgets a channel to which no code holds a reference, with its subscribers.
    this.start = of('start')
    this.end = of('end')
    this.asyncStart = of('asyncStart')
    this.asyncEnd = of('asyncEnd')
    this.error = of('error')
  }

  /** Node's own `TracingChannel` knows this since 22 only. */
  get hasSubscribers() {
    return (
      this.start.hasSubscribers ||
      this.end.hasSubscribers ||
      this.asyncStart.hasSubscribers ||
      this.asyncEnd.hasSubscribers ||
      this.error.hasSubscribers
    )
  }

  /**
   * Makes a call, and reports it if there is a subscriber.
   *
   * @template T
   * @param {PoolShare} share
   * @param {string} key as native code takes it
   * @param {() => Promise<T>} call
   * @returns {Promise<T>}
   */
  run(share, key, call) {
    return this.hasSubscribers ? this.trace(share, givenKey(key), call) : call()
  }

  /**
   * Node's `tracePromise`, with two differences: the result is not reported, since it may be secret, and the promise
   * is of this realm.
   *
   * @template T
   * @param {PoolShare | undefined} share
   * @param {string | undefined} key
   * @param {() => Promise<T>} call
   * @returns {Promise<T>}
   */
  async trace(share, key, call) {
    /** @type {{ operation: string, key?: string, host?: string, port?: number, database?: string, error?: unknown }} */
    const context = { operation: this.operation, ...(key !== undefined && { key }), ...share?.target }
    const begin = () => {
      try {
        return call()
      } finally {
        this.end.publish(context)
      }
    }
    try {
      return await this.start.runStores(context, begin)
    } catch (error) {
      context.error = error
      this.error.publish(context)
      throw error
    } finally {
      this.asyncStart.publish(context)
      this.asyncEnd.publish(context)
    }
  }
}

const tracings = new Map(operations.map((operation) => [operation, new Tracing(operation)]))

/**
 * @param {string} operation
 * @returns {Tracing}
 */
function tracingOf(operation) {
  const tracing = tracings.get(operation)
  if (!tracing) throw new Error(`lib/operations.js does not know ${operation}`)
  return tracing
}

/**
 * Makes calls of an adapter report where they go.
 *
 * @param {object} adapter
 * @param {PoolShare} share
 */
function servedBy(adapter, share) {
  shares.set(adapter, share)
}

/**
 * Makes the methods of these classes report their calls, if they are operations.
 *
 * @param {Record<string, { prototype: any }>} classes by the names that they have in `lib/operations.js`
 */
function traceMethods(classes) {
  for (const [name, methods] of Object.entries(METHODS)) {
    const { prototype } = /** @type {{ prototype: any }} */ (classes[name])
    for (const [method, operation] of Object.entries(methods)) {
      const value = traced(prototype[method], tracingOf(operation))
      Object.defineProperty(prototype, method, { value, writable: true, enumerable: false, configurable: true })
    }
  }
}

/**
 * @param {Function} method
 * @param {Tracing} tracing
 * @returns {Function} what looks like the method
 */
function traced(method, tracing) {
  // A method is no constructor, and an async function is none either.
  const { call } = {
    /** @param {unknown[]} args */
    call(...args) {
      const adapter = itself(this)
      return tracing.hasSubscribers ? trace(adapter, method, tracing, args) : method.apply(adapter, args)
    },
  }
  return Object.defineProperties(call, {
    name: { value: method.name, configurable: true },
    length: { value: method.length, configurable: true },
  })
}

/**
 * @param {any} adapter
 * @param {Function} method
 * @param {Tracing} tracing
 * @param {unknown[]} args
 */
function trace(adapter, method, tracing, args) {
  const share = shares.get(adapter)
  return tracing.trace(share, keyOf(tracing.operation, args[0]), () => method.apply(adapter, args))
}

module.exports = { servedBy, traceMethods, tracingOf }
