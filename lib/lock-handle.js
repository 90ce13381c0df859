// @ts-check
// A lease as the application has it: the documented handle, to the letter, an object of its realm with three methods of
// its own that work detached from it. What goes beyond that is there for those who ask, and is not enumerated, compared or
// printed.
'use strict'

/** @typedef {import('./lease.js').Lease} Lease */

/** Keeps a lease in its handle, as a private field, which no other way is as cheap as. */
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
}

/** @param {(lease: Lease) => unknown} get */
const accessor = (get) => ({
  /** @this {object} */
  get() {
    return get(Kept.in(this))
  },
  configurable: true,
})

const BEYOND = {
  key: accessor((lease) => lease.key),
  owner: accessor((lease) => lease.owner),
  expiresAt: accessor((lease) => lease.expiresAt),
  fencingToken: accessor((lease) => lease.fencingToken),
  signal: accessor((lease) => lease.signal),
  // The first releases of Node 20 do not have the symbol.
  ...(Symbol.asyncDispose && {
    [Symbol.asyncDispose]: {
      /** @this {object} */
      async value() {
        await Kept.in(this).dispose()
      },
      configurable: true,
      writable: true,
    },
  }),
}

/** @param {Lease} lease */
function lockHandle(lease) {
  const { release, extend, isValid } = lease
  const handle = { release, extend, isValid }
  new Kept(handle, lease)
  return Object.defineProperties(handle, BEYOND)
}

module.exports = { lockHandle }
