// @ts-check
// Waits for a lock: until it is free, the time is up, or the caller's signal aborts.
'use strict'

const { onAbort, throwIfAborted } = require('./abort.js')
const args = require('./arguments.js')
const { settled } = require('./bridge.js')
const { now } = require('./clock.js')
const { coded } = require('./errors.js')
const { Lease } = require('./lease.js')
const { optionsOf } = require('./options.js')

/**
 * @typedef {object} Wanted
 * @property {string} name the lock's, as native code takes it
 * @property {string} key as the caller knows it
 * @property {number | null} permits how many the semaphore has whose name this is; null for a lock
 * @property {number} ttl
 * @property {string | null} owner
 * @property {number | null} wait null: for ever
 * @property {boolean} renew
 * @property {AbortSignal | undefined} signal
 * @property {number | undefined} defaultTtl
 * @property {boolean} throwsOnDisposal
 */

/**
 * @param {unknown} options of `lock()`, or of a semaphore's `acquire()`
 * @param {number | undefined} defaultTtl
 * @returns {Omit<Wanted, 'name' | 'key' | 'permits'>}
 */
function wantedBy(options, defaultTtl) {
  const given = optionsOf(options, 'lock')
  return {
    ttl: args.lastingTtl('options.ttl', given.ttl, defaultTtl),
    owner: given.owner == null ? null : args.wellFormed('options.owner', given.owner),
    wait: args.wait('options.wait', given.wait),
    renew: args.optionalBoolean('options.renew', given.renew) ?? true,
    signal: args.signal('options.signal', given.signal),
    defaultTtl,
    throwsOnDisposal: args.word('options.onReleaseError', given.onReleaseError, ['ignore', 'throw']) === 'throw',
  }
}

/**
 * @param {import('./pool-share.js').PoolShare} share
 * @param {import('../native').Locks} locks
 * @param {Wanted} wanted
 * @returns {Promise<Lease>}
 */
async function lockWhenFree(share, locks, wanted) {
  throwIfAborted(wanted.signal)
  // A wait that was given up may still have a lock to release.
  return share.during(() => wait(share, locks, wanted))
}

/** @type {typeof lockWhenFree} */
async function wait(share, locks, wanted) {
  const { name, key, permits, ttl, owner, wait, renew, signal, defaultTtl, throwsOnDisposal } = wanted
  const lease = new NativeLease(share, locks)
  const giveUp = () => locks.giveUp(lease.number)
  const unlisten = onAbort(signal, giveUp)
  const isOver = share.onEnd(giveUp)
  let outcome
  try {
    outcome = settled(
      await share.send((slot) => locks.lock(slot, lease.number, name, ttl, owner, wait, renew, permits)),
    )
  } catch (error) {
    lease.stop()
    throw error
  } finally {
    isOver()
    unlisten()
  }
  const isRefused = share.isRefusing
  const granted = permits === null ? outcome : outcome?.granted
  if (typeof granted === 'string') {
    const permit = permits === null ? undefined : outcome.permit
    // The key of a permit, as native code has it.
    const rowName = permit === undefined ? name : `${permit}:${name}`
    const disposal = { isOwnDrawn: owner === null, throws: throwsOnDisposal }
    const handle = lease.handle(rowName, key, granted, renew, defaultTtl, { ...disposal, permit })
    if (!signal?.aborted && !isRefused) return handle
    // The lock was granted, and the wait for it given up, at the same moment.
    handle.giveBack()
  }
  lease.stop()
  throwIfAborted(signal)
  if (isRefused) throw share.refusal()
  const holder = outcome?.holder == null ? '' : ` It is held by "${outcome.holder}".`
  const what = permits === null ? `The lock "${key}" did not become` : `No permit of the semaphore "${key}" became`
  const message = `${what} free within ${wait} ms.${holder}`
  throw Object.assign(coded(new Error(message), 'ERR_LOCK_WAIT_TIMEOUT'), { holder: outcome?.holder ?? null })
}

/** A wait, and the lease that results from it, as native code knows them: by a number. */
class NativeLease {
  #locks
  #stop
  #isKnown = true
  #isLost = false
  /** @type {Lease | undefined} */
  #handle
  /**
   * The earliest end of the lease, by the clock of lib/clock.js, once it is not renewed any more.
   *
   * @type {number | undefined}
   */
  #end

  /**
   * @param {import('./pool-share.js').PoolShare} share
   * @param {import('../native').Locks} locks
   */
  constructor(share, locks) {
    this.share = share
    this.#locks = locks
    this.number = 0
    // It is notified when the lease is lost, and stopped when the pool ends. Until then the pool keeps it, even if
    // the application drops the handle.
    const native = {
      subscribe: (/** @type {number} */ number) => (this.number = number),
      unsubscribe: (/** @type {number} */ number) => {
        const left = locks.left(number)
        if (left !== null) this.#end = now() + left
        this.#isKnown = false
        locks.forget(number)
      },
    }
    this.#stop = share.subscribe(() => this.#lose(), native, { isLease: true })
  }

  /**
   * @param {string} name
   * @param {string} key
   * @param {string} granted
   * @param {boolean} renew
   * @param {number | undefined} defaultTtl
   * @param {import('./lease.js').Disposal} disposal
   */
  handle(name, key, granted, renew, defaultTtl, disposal) {
    const end = now() + (this.#locks.left(this.number) ?? 0)
    const renewal = renew ? this : undefined
    const handle = new Lease(this.share, this.#locks, name, key, granted, end, defaultTtl, disposal, renewal)
    // It was granted while the pool was being ended, so nothing else stops it.
    if (!this.#isKnown) this.#locks.forget(this.number)
    else if (!renew) this.stop()
    this.#handle = handle
    if (this.#isLost) this.#lose()
    return handle
  }

  left() {
    if (this.#isKnown) return this.#locks.left(this.number) ?? undefined
    return this.#end === undefined ? undefined : this.#end - now()
  }

  stop() {
    if (this.#isKnown) this.#stop()
  }

  #lose() {
    this.#isLost = true
    this.#handle?.lose('it could not be renewed in time, or another process has freed or taken it')
  }
}

module.exports = { lockWhenFree, wantedBy }
