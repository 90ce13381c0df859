// @ts-check
// An adapter or a lock's handle behind a Proxy, as tracing and mocks make one: a method or getter that is called on it has the
// Proxy as `this`, and that has none of the private fields. So each has itself as a property, which is not enumerable.
'use strict'

const ITSELF = Symbol('the object itself')

/** @param {object} object */
function keepItself(object) {
  // Changeable: of a property that is not, the handler of a Proxy may return no other value.
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
