// @ts-check
'use strict'

const { givenKey, leaseTtl } = require('./arguments.js')
const { settled } = require('./bridge.js')
const { now, wallClock } = require('./clock.js')
const { coded } = require('./errors.js')
const { LeaseSignal } = require('./lease-signal.js')
const { HANDLE } = require('./operations.js')
const { tracingOf } = require('./tracing.js')

const RELEASE = tracingOf(HANDLE.release)
const EXTEND = tracingOf(HANDLE.extend)
const IS_VALID = tracingOf(HANDLE.isValid)

const NO_TOKEN =
  'has no fencing token: when it was taken, go_goscope_locks had no column and sequence for them, or this role may not ' +
  'use them. Call connect() once as the owner of the table, or run what `npx goscope-postgres schema --missing` prints; ' +
  'sql/role.sql has the rights'

/**
 * How `await using` releases the lease.
 *
 * @typedef {object} Disposal
 * @property {boolean} isOwnDrawn whether the owner is one that was drawn, so that no other lease can be its
 * @property {boolean} throws whether a release that fails is the caller's to see
 * @property {number} [permit] the number of the permit, if it is a semaphore's
 */

/** If a lease is not renewed automatically, it is as long as was last requested. */
const NO_RENEWAL = { left: () => undefined, stop: () => {}, number: null }

/**
 * The lease of a lock that was taken. The documented methods are closures, so that they work detached from the
 * object; the rest costs nothing until it is used. The application gets the lease as its handle.
 *
 * @typedef {object} Renewal what native code knows of a lease that it renews
 * @property {() => number | undefined} left how many milliseconds are left of it; undefined if it is not renewed
 * @property {() => void} stop
 * @property {number | null} number
 */
class Lease {
  #share
  #locks
  #name
  #key
  #owner
  #token
  #defaultTtl
  /** @type {Renewal} */
  #renewal
  /** The earliest end of the lease, by the clock of lib/clock.js, if it is not renewed. */
  #end
  /** @type {import('./lease-signal.js').LeaseSignal | undefined} */
  #signal
  /** @type {Error | undefined} */
  #loss
  #isReleased = false
  #disposal

  /**
   * @param {import('./pool-share.js').PoolShare} share
   * @param {import('../native').Locks} locks
   * @param {string} name the key as native code takes it
   * @param {string} key as the caller knows it
   * @param {string} granted `token,owner`, as native code says it
   * @param {number} end
   * @param {number | undefined} defaultTtl
   * @param {Disposal} disposal
   * @param {Renewal} [renewal]
   */
  constructor(share, locks, name, key, granted, end, defaultTtl, disposal, renewal = NO_RENEWAL) {
    const comma = granted.indexOf(',')
    this.#share = share
    this.#locks = locks
    this.#name = name
    this.#token = granted.slice(0, comma)
    this.#defaultTtl = defaultTtl
    this.#disposal = disposal
    this.#renewal = renewal
    this.#end = end
    this.#key = key
    this.#owner = granted.slice(comma + 1)
  }

  // Not through `run`, which would have a closure made for each release, traced or not.
  release = () =>
    RELEASE.hasSubscribers ? RELEASE.trace(this.#share, givenKey(this.#name), () => this.#release()) : this.#release()

  /** @param {number} ttl */
  extend = (ttl) => EXTEND.run(this.#share, this.#name, () => this.#extend(ttl))

  isValid = () => IS_VALID.run(this.#share, this.#name, () => this.#isValid())

  async #release() {
    this.#finish()
    settled(await this.#share.send((slot) => this.#locks.release(slot, this.#name, this.#owner, this.#token)))
  }

  /**
   * Releases it at the end of `await using`. A release that fails does not fail the finished work before it. The lock
   * is then released in the background, or its lease runs out. Not part of the public types.
   */
  async dispose() {
    try {
      await this.release()
    } catch (error) {
      if (this.#disposal.throws) throw error
      // If the application has named the owner, it may have acquired the lock again.
      if (this.#disposal.isOwnDrawn && this.#left() > 0) this.giveBack()
    }
  }

  /** @param {number} ttl */
  async #extend(ttl) {
    const length = leaseTtl('ttl', ttl, this.#defaultTtl)
    // While the lease lasts, a failure is no reason to give it up; when it is over, another try is of no use.
    const retryTime = Math.max(this.#left(), 0)
    const called = now()
    const isExtended = settled(
      await this.#share.send((slot) =>
        this.#locks.extend(slot, this.#name, length, this.#owner, retryTime, this.#renewal.number, this.#token),
      ),
    )
    if (isExtended) {
      this.#end = called + length
      this.#signal?.watch()
    } else this.lose('the server says that it is not held')
    return isExtended
  }

  async #isValid() {
    const isHeld = settled(await this.#share.send((slot) => this.#locks.isValid(slot, this.#name, this.#owner)))
    if (!isHeld) this.lose('the server says that it is not held')
    return isHeld
  }

  get key() {
    return this.#key
  }

  /** The number of the permit that it is the lease of; undefined for a lock. */
  get permit() {
    return this.#disposal.permit
  }

  /** The key as native code takes it. */
  get name() {
    return this.#name
  }

  get owner() {
    return this.#owner
  }

  get expiresAt() {
    return Math.floor(wallClock() + this.#left())
  }

  get fencingToken() {
    if (this.#token === '') throw coded(new Error(`The lock "${this.#key}" ${NO_TOKEN}`), 'ERR_FENCING_UNAVAILABLE')
    return BigInt(this.#token)
  }

  get signal() {
    if (!this.#signal) {
      this.#signal = new LeaseSignal(
        () => this.#left(),
        () => this.lose('its time was over before it was extended'),
      )
      if (this.#loss) this.#signal.abort(this.#loss)
      else if (!this.#isReleased) this.#signal.watch()
    }
    return this.#signal.signal
  }

  #left() {
    return this.#renewal.left() ?? this.#end - now()
  }

  /**
   * Releases it without a request of the application, also while the pool is being ended. If the first attempt fails,
   * further ones follow; nothing is reported. Not part of the public types.
   */
  giveBack() {
    const left = Math.max(this.#left(), 0)
    this.#finish()
    const start = (/** @type {number} */ slot) => this.#locks.giveBack(slot, this.#name, this.#owner, left)
    this.#share.sendDuringTask(start).catch(() => {})
  }

  /** Its holder has finished with it. */
  #finish() {
    this.#isReleased = true
    this.#signal?.rest()
    this.#stopRenewal()
  }

  /**
   * Not part of the public types.
   *
   * @param {string} how
   */
  lose(how) {
    // A holder that has released it cannot lose it.
    if (this.#isReleased || this.#loss) return
    const message = `The lease of the lock "${this.#key}" is lost, or must be taken to be: ${how}`
    this.#loss = coded(new Error(message), 'ERR_LEASE_LOST')
    this.#signal?.abort(this.#loss)
    this.#stopRenewal()
  }

  #stopRenewal() {
    this.#end = now() + this.#left()
    this.#renewal.stop()
    this.#renewal = NO_RENEWAL
  }
}

module.exports = { Lease }
