// @ts-check
// An adapter or a lock's handle behind a Proxy, as made for tracing and mocks. A method or getter that is called on
// the Proxy has the Proxy as `this`, and the Proxy has none of the private fields. So each object has itself as a
// property, which is not enumerable.
'use strict'

const ITSELF = Symbol('the object itself')

/** @param {object} object */
function keepItself(object) {
  // Changeable: for a property that is not, the handler of a Proxy may return no other value.
  Object.defineProperty(object, ITSELF, { value: object, writable: true, configurable: true })
}

/**
 * The adapter or handle on which a method is called, directly or through a Proxy.
 *
 * @template T
 * @param {T} receiver `this` in the method
 * @returns {T}
 */
const itself = (receiver) => /** @type {any} */ (receiver)?.[ITSELF] ?? receiver

module.exports = { itself, keepItself }
