// @ts-check
// A lease in the form that the application gets: exactly the documented handle, an object of the application's realm
// with three methods of its own that work detached from it. Additional properties exist, but are not enumerated,
// compared or printed.
'use strict'

const { itself, keepItself } = require('./itself.js')

/** @typedef {import('./lease.js').Lease} Lease */

/** Keeps a lease in its handle, as a private field; no other way is as cheap. */
class Kept extends class {
  /** @param {object} handle */
  constructor(handle) {
    // biome-ignore lint/correctness/noConstructorReturn: that is the way to put a private field into it
    return handle
  }
} {
  #lease

  /**
   * @param {object} handle
   * @param {Lease} lease
   */
  constructor(handle, lease) {
    super(handle)
    this.#lease = lease
  }

  /** @param {any} handle */
  static in(handle) {
    return /** @type {Kept} */ (handle).#lease
  }

  /** @param {any} object */
  static isIn(object) {
    return #lease in object
  }
}

/** @param {(lease: Lease) => unknown} get */
const accessor = (get) => ({
  /** @this {object} */
  get() {
    return get(Kept.in(itself(this)))
  },
  configurable: true,
})

const BEYOND = {
  key: accessor((lease) => lease.key),
  owner: accessor((lease) => lease.owner),
  expiresAt: accessor((lease) => lease.expiresAt),
  fencingToken: accessor((lease) => lease.fencingToken),
  signal: accessor((lease) => lease.signal),
}

/** Of a semaphore's permit alone. */
const OF_PERMITS = { permit: accessor((lease) => lease.permit) }

/**
 * Like the three methods, a function of this handle alone: it works detached from it, and behind a Proxy.
 *
 * @param {object} handle
 * @param {Lease} lease
 */
function makeDisposable(handle, lease) {
  // The first releases of Node 20 do not have the symbol.
  if (!Symbol.asyncDispose) return
  const value = async () => lease.dispose()
  Object.defineProperty(handle, Symbol.asyncDispose, { value, configurable: true, writable: true })
}

/** @param {Lease} lease */
function lockHandle(lease) {
  const { release, extend, isValid } = lease
  const handle = { release, extend, isValid }
  new Kept(handle, lease)
  keepItself(handle)
  makeDisposable(handle, lease)
  Object.defineProperties(handle, BEYOND)
  return lease.permit === undefined ? handle : Object.defineProperties(handle, OF_PERMITS)
}

/**
 * The lease in a handle; undefined for any other object.
 *
 * @param {object} object
 */
function leaseIn(object) {
  const handle = itself(object)
  return Kept.isIn(handle) ? Kept.in(handle) : undefined
}

module.exports = { leaseIn, lockHandle }
