// @ts-check
// The application's own `pg`, if it can be found: errors should be instances of its class.
'use strict'

/** @typedef {new (message: string, length: number, name: string) => Error} DatabaseErrorClass */

/** @type {WeakMap<object, DatabaseErrorClass | null>} */
const found = new WeakMap()

/**
 * The `DatabaseError` class of the `pg` that a pool was made with.
 *
 * @param {any} pool
 * @returns {DatabaseErrorClass | null}
 */
function databaseErrorOf(pool) {
  const Client = pool.Client
  if (typeof Client !== 'function') return null
  let DatabaseError = found.get(Client)
  if (DatabaseError === undefined) {
    const copy = candidates().find((pg) => pg?.Client === Client && pg.DatabaseError)
    DatabaseError = /** @type {DatabaseErrorClass | null} */ (copy?.DatabaseError ?? null)
    found.set(Client, DatabaseError)
  }
  return DatabaseError
}

/** The copies of `pg` that may be the pool's: the one beside this package, and those that are loaded. */
function candidates() {
  const copies = []
  try {
    copies.push(require('pg'))
  } catch {
    // Not resolvable from here, for example because a package manager isolates packages; it may still be loaded.
  }
  for (const [file, module] of Object.entries(require.cache ?? {})) {
    if (/[\\/]pg[\\/]lib[\\/]index\.js$/.test(file)) copies.push(module?.exports)
  }
  return copies
}

module.exports = { databaseErrorOf }
