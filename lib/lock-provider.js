// @ts-check
// go-go-scope's documentation takes the provider of a scope's locks from a property `lock` of the adapter
// (`provider: s.persistence?.lock`), which is a method here. So the method also has the methods of a provider.
'use strict'

const METHODS = ['acquire', 'extend', 'release', 'forceRelease']

/**
 * Gives an adapter a `lock` of its own, not enumerable, that calls the method of its class and is a lock provider.
 * Methods are looked up at each call: a subclass or a test may have replaced them.
 *
 * @param {any} adapter
 */
function provideLocks(adapter) {
  const { lock } = {
    lock: (/** @type {unknown[]} */ ...given) => Object.getPrototypeOf(adapter).lock.apply(adapter, given),
  }
  for (const name of METHODS) {
    Reflect.set(lock, name, (/** @type {unknown[]} */ ...given) => adapter[name](...given))
  }
  Object.defineProperty(adapter, 'lock', { value: lock, writable: true, configurable: true })
}

module.exports = { METHODS, provideLocks }
