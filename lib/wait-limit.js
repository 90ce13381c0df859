// @ts-check
'use strict'

const { onAbort } = require('./abort.js')
const { bridge, sendWait } = require('./bridge.js')
const { coded } = require('./errors.js')

/**
 * How long a caller of `run` or `getOrSet` waits for other callers: for at most `wait`, from the beginning of its
 * wait, and until its `signal` aborts. The limit ends when the caller's own work begins.
 *
 * It uses no timer of JavaScript, since test runners replace those.
 */
class WaitLimit {
  #key
  #wait
  /** Aborts when the limit is reached. Absent if there is none. @type {AbortController | undefined} */
  #controller
  /** @type {(() => void) | undefined} stops the time, which is set when it runs */
  #stopTime
  #forgetSignal = () => {}

  /**
   * @param {string} key as the caller knows it
   * @param {{ wait: number | null, signal: AbortSignal | undefined }} limit `wait` in milliseconds; null without limit
   */
  constructor(key, { wait, signal }) {
    this.#key = key
    this.#wait = wait
    if (wait === null && !signal) return
    this.#controller = new AbortController()
    if (signal) this.#follow(signal)
  }

  /** @param {AbortSignal} signal */
  #follow(signal) {
    const abort = () => this.#reach(signal.reason)
    if (signal.aborted) return abort()
    this.#forgetSignal = onAbort(signal, abort)
  }

  /** To be called when the caller has to wait for another. */
  beforeWaiting() {
    this.throwIfReached()
    if (this.#wait === null || this.#stopTime) return
    if (this.#wait === 0) this.#reach(this.#timeout())
    else this.#startTime(this.#wait)
    this.throwIfReached()
  }

  /** @param {number} wait */
  #startTime(wait) {
    const time = sendWait((slot) => bridge.wait(slot, wait))
    let isStopped = false
    time.outcome.then(() => isStopped || this.#reach(this.#timeout()))
    this.#stopTime = () => {
      isStopped = true
      time.giveUp()
    }
  }

  /** @param {unknown} reason */
  #reach(reason) {
    this.end()
    this.#controller?.abort(reason)
  }

  #timeout() {
    const message = `The work under the key "${this.#key}" was not done within ${this.#wait} ms: another caller is at it`
    return coded(new Error(message), 'ERR_WORK_WAIT_TIMEOUT')
  }

  /** Aborts when the limit is reached, with the error for the caller. */
  get signal() {
    return this.#controller?.signal
  }

  get isReached() {
    return this.signal?.aborted === true
  }

  throwIfReached() {
    this.signal?.throwIfAborted()
  }

  /** Removes the limit: the caller's own work begins, or its call is over. */
  end() {
    this.#forgetSignal()
    this.#stopTime?.()
  }

  /**
   * The outcome of a promise, unless the limit is reached before.
   *
   * @template T
   * @param {Promise<T>} promise
   * @returns {Promise<T>}
   */
  race(promise) {
    const { signal } = this
    if (!signal) return promise
    return new Promise((resolve, reject) => {
      const isReached = () => reject(signal.reason)
      if (signal.aborted) isReached()
      signal.addEventListener('abort', isReached, { once: true })
      const isOver = () => signal.removeEventListener('abort', isReached)
      promise.then(resolve, reject).finally(isOver)
    })
  }
}

module.exports = { WaitLimit }
