// @ts-check
// A lease in the form that the application gets: exactly the documented handle, an object of the application's realm
// with three methods of its own that work detached from it. Additional properties are inherited, so they are not
// enumerated, compared or printed. (As properties of its own that are not enumerable, they took four fifths of the
// time to make a handle.)
'use strict'

const { itself, keepItself } = require('./itself.js')

/** @typedef {import('./lease.js').Lease} Lease */

class LockHandle {
  #lease

  /** @param {Lease} lease */
  constructor(lease) {
    this.release = lease.release
    this.extend = lease.extend
    this.isValid = lease.isValid
    this.#lease = lease
    keepItself(this)
  }

  /** @param {object} object a handle, or a Proxy for one */
  static leaseIn(object) {
    const handle = itself(object)
    return #lease in handle ? handle.#lease : undefined
  }

  get key() {
    return itself(this).#lease.key
  }

  get owner() {
    return itself(this).#lease.owner
  }

  get expiresAt() {
    return itself(this).#lease.expiresAt
  }

  get fencingToken() {
    return itself(this).#lease.fencingToken
  }

  get signal() {
    return itself(this).#lease.signal
  }
}

/** Of a semaphore's permit alone. */
class PermitHandle extends LockHandle {
  get permit() {
    return LockHandle.leaseIn(this)?.permit
  }
}

// Like the three methods, it works detached from its handle. The first releases of Node 20 do not have the symbol.
if (Symbol.asyncDispose) {
  Object.defineProperty(LockHandle.prototype, Symbol.asyncDispose, {
    /** @this {LockHandle} */
    get() {
      const lease = LockHandle.leaseIn(this)
      return async () => lease?.dispose()
    },
    /** @this {LockHandle} @param {unknown} value of the application's own */
    set(value) {
      Object.defineProperty(this, Symbol.asyncDispose, { value, configurable: true, writable: true })
    },
    configurable: true,
  })
}

// What is compared with a handle is an object without a class.
for (const { prototype } of [LockHandle, PermitHandle]) Reflect.deleteProperty(prototype, 'constructor')

/** @param {Lease} lease */
const lockHandle = (lease) => (lease.permit === undefined ? new LockHandle(lease) : new PermitHandle(lease))

module.exports = { leaseIn: LockHandle.leaseIn, lockHandle }
