// @ts-check
// An adapter behind a Proxy, as tracing and mocks make one: a method that is called on it has the Proxy as `this`, and that
// has none of the adapter's private fields. So each adapter has itself as a property, which is not enumerable.
'use strict'

const ITSELF = Symbol('the adapter itself')

/** @param {object} adapter */
function keepItself(adapter) {
  // Changeable: of a property that is not, the handler of a Proxy may return no other value.
  Object.defineProperty(adapter, ITSELF, { value: adapter, writable: true, configurable: true })
}

/**
 * The adapter on which a method is called, directly or through a Proxy.
 *
 * @template T
 * @param {T} receiver `this` in the method
 * @returns {T}
 */
const itself = (receiver) => /** @type {any} */ (receiver)?.[ITSELF] ?? receiver

module.exports = { itself, keepItself }
