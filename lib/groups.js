// @ts-check
// The methods of an adapter by subject, with the names of metrics and traces: `adapter.cache.get` is the operation
// `cache.get`. A group has no code of its own: it calls the adapter's methods.
'use strict'

const { METHODS } = require('./operations.js')

/** The methods of each group. */
const GROUPS = {
  // What returns no promise is no operation, and is named here.
  locks: [...methodsOf('locks'), 'semaphore'],
  circuits: [...methodsOf('circuits'), 'subscribe', 'breaker'],
  cache: [...methodsOf('cache'), 'iterateKeys'],
  checkpoints: [...methodsOf('checkpoints'), 'iterateTasks'],
}

/** @typedef {keyof typeof GROUPS} Group */

/** @type {WeakMap<object, Partial<Record<Group, object>>>} */
const made = new WeakMap()

/** @param {string} group */
function methodsOf(group) {
  const operations = Object.entries({ ...METHODS.CacheProvider, ...METHODS.PostgresAdapter })
  return operations.filter(([, operation]) => operation.startsWith(`${group}.`)).map(([method]) => method)
}

/**
 * Gives a class a getter for each group. An application's subclass may have a property of the same name: a value that is
 * assigned replaces the group on that adapter.
 *
 * @param {object} prototype
 */
function provideGroups(prototype) {
  for (const group of /** @type {Group[]} */ (Object.keys(GROUPS))) {
    Object.defineProperty(prototype, group, {
      /** @this {object} */
      get() {
        return groupOf(this, group)
      },
      /** @this {object} @param {unknown} value */
      set(value) {
        Object.defineProperty(this, group, { value, writable: true, enumerable: true, configurable: true })
      },
      configurable: true,
    })
  }
}

/**
 * The same object each time. Its methods may be called detached from it.
 *
 * @param {any} adapter
 * @param {Group} group
 */
function groupOf(adapter, group) {
  let groups = made.get(adapter)
  if (!groups) made.set(adapter, (groups = {}))
  // Methods are looked up at each call: a subclass or a test may have replaced them.
  groups[group] ??= Object.assign(
    {},
    ...GROUPS[group].map((name) => ({ [name]: (/** @type {unknown[]} */ ...given) => adapter[name](...given) })),
  )
  return groups[group]
}

module.exports = { GROUPS, provideGroups }
