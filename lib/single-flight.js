// @ts-check
'use strict'

const native = require('./native.js')
const { sendWait, settled } = require('./bridge.js')
const { pause } = require('./clock.js')
const { coded } = require('./errors.js')
const { isUnreachable } = require('./unreachable.js')
const { lockWhenFree } = require('./waiting-lock.js')

/** From the second round after these there is a pause, doubled each time up to the longest. */
const ROUNDS_AT_ONCE = 3
const LONGEST_PAUSE_MS = 250

/**
 * @template F
 * @typedef {object} Work
 * @property {string} name its key, as native code takes it
 * @property {string} key as the caller knows it
 * @property {number} claimTtl how long the claim of a process that crashes lasts
 * @property {import('./wait-limit.js').WaitLimit} limit how long its caller waits for others
 * @property {OutageTolerance} [tolerance] of its wait for others; absent: it retries transient failures
 * @property {() => Promise<F | undefined>} find what has come of the work already
 * @property {() => Promise<F | undefined>} [begin] in place of `find`, by the process that has the claim
 * @property {(signal: AbortSignal) => Promise<F>} work it must leave behind what `find` finds; not begun any more once the
 * pool is being ended
 */

/**
 * Whether a wait for others continues while the database cannot be reached, or fails at once. The
 * tolerance can end in the middle of the wait, which then begins again.
 */
class OutageTolerance {
  #hasEnded = false
  #lookAgain = () => {}

  get isTolerant() {
    return !this.#hasEnded
  }

  end() {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#lookAgain()
  }

  /** @param {() => void} lookAgain ends the wait without a failure; called if the tolerance ends in the middle of it */
  whenEnded(lookAgain) {
    this.#lookAgain = lookAgain
  }
}

/** @typedef {{ keyPrefix: string, namespace: string, createTables: boolean }} Claims the locks that are claims */

/**
 * Work that one process at a time does, under a claim, while the others wait for its outcome. The claim is a lock of
 * a namespace of its own.
 */
class SingleFlight {
  #share
  #claims
  /** The text before a key in the name of its claim. */
  #namespace

  /**
   * @param {import('./pool-share.js').PoolShare} share
   * @param {Claims} claims
   */
  constructor(share, { keyPrefix, namespace, createTables }) {
    this.#share = share
    this.#claims = new native.Locks(share.native, keyPrefix, createTables, namespace)
    this.#namespace = keyPrefix + namespace
  }

  /**
   * Throws if this is called within the work under this key: that would wait for itself, without end.
   *
   * @param {string} name the key, as native code takes it
   * @param {string} key as the caller knows it
   */
  assertNotWithin(name, key) {
    if (!this.#share.isWithin(this.#claimOn(name))) return
    const message = `The work under the key "${key}" asks for its own key, and would wait for itself without end`
    throw coded(new Error(message), 'ERR_WORK_WAITS_FOR_ITSELF')
  }

  /** @param {string} name */
  #claimOn(name) {
    return this.#namespace + name
  }

  /**
   * Runs work as if it had the claim.
   *
   * @template T
   * @param {string} name
   * @param {() => T | Promise<T>} work
   * @returns {Promise<T>}
   */
  withoutClaim(name, work) {
    return this.#share.work(this.#claimOn(name), work)
  }

  /**
   * The process that has the claim looks once more before it works: another process may have finished all the work
   * before. A process without the claim waits until the claim is free, and looks before it requests the claim. So no
   * process takes a claim only to learn the outcome of another.
   *
   * If the claim is taken and not visible (a row-level policy hides it), that wait is over at once, so there are
   * pauses. The wait ends with the claim, or at the caller's limit.
   *
   * @template F
   * @param {Work<F>} work
   * @returns {Promise<F>}
   */
  async do(work) {
    for (let round = 0; ; round++) {
      if (round > ROUNDS_AT_ONCE) await pause(Math.min(2 ** round, LONGEST_PAUSE_MS))
      const done = await this.tryTo(work)
      if (done !== undefined) return done
      await this.#untilFree(work)
      const found = await work.find()
      if (found !== undefined) return found
    }
  }

  /** @param {Work<any>} work */
  async #untilFree(work) {
    work.limit.beforeWaiting()
    if (work.tolerance?.isTolerant === false) {
      try {
        return await this.#waitForClaim(work, false)
      } catch (error) {
        if (isUnreachable(error)) throw error
        // The server answers: the failure may be transient, such as a deadlock, and is retried as in any wait.
      }
    }
    await this.#waitForClaim(work, true)
  }

  /**
   * @param {Work<any>} work
   * @param {boolean} retries
   */
  async #waitForClaim({ name, limit, tolerance }, retries) {
    const start = (/** @type {number} */ slot) => this.#claims.untilFree(slot, name, retries)
    const free = sendWait(start, (start) => this.#share.send(start))
    tolerance?.whenEnded(free.giveUp)
    try {
      settled(await this.#share.unlessEnded(limit.race(free.outcome)))
    } finally {
      free.giveUp()
    }
  }

  /**
   * The end of the pool waits for it, from the claim to the claim's release.
   *
   * @template F
   * @param {Work<F>} work
   * @returns {Promise<F | undefined>} undefined if another process, or another caller, has the claim
   */
  tryTo(work) {
    return this.#share.during(() => this.#tryTo(work))
  }

  /**
   * @template F
   * @param {Work<F>} work
   * @returns {Promise<F | undefined>}
   */
  async #tryTo({ name, key, claimTtl, limit, find, begin = find, work }) {
    const claim = await this.#claim(name, key, claimTtl, limit.signal)
    if (!claim) return undefined
    try {
      const found = await begin()
      if (found !== undefined) return found
      limit.throwIfReached()
      limit.end()
      return await this.#share.work(this.#claimOn(name), () => work(claim.signal))
    } finally {
      claim.giveBack()
    }
  }

  /**
   * @param {string} name
   * @param {string} key
   * @param {number} ttl
   * @param {AbortSignal | undefined} signal
   */
  async #claim(name, key, ttl, signal) {
    try {
      return await lockWhenFree(this.#share, this.#claims, {
        name,
        key,
        ttl,
        owner: null,
        wait: 0,
        renew: true,
        signal,
        defaultTtl: undefined,
        permits: null,
        throwsOnDisposal: false,
      })
    } catch (error) {
      if (/** @type {any} */ (error).code === 'ERR_LOCK_WAIT_TIMEOUT') return undefined
      throw error
    }
  }
}

module.exports = { SingleFlight, OutageTolerance }
