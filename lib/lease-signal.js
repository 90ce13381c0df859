// @ts-check
'use strict'

const { after } = require('./clock.js')

/** A longer wait is split, with a check in between. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The signal of a lease, which aborts when the lease's time is over, or when the lease is reported lost. */
class LeaseSignal {
  #controller = new AbortController()
  #left
  #over
  /** Cancels the timer. */
  #cancel = () => {}

  /**
   * @param {() => number} left how many milliseconds are left of the lease
   * @param {() => void} over called when none are; to abort it
   */
  constructor(left, over) {
    this.#left = left
    this.#over = over
  }

  get signal() {
    return this.#controller.signal
  }

  /** Watches the time until the lease's present end. */
  watch() {
    this.rest()
    if (this.signal.aborted) return
    const left = this.#left()
    if (left <= 0) return this.#over()
    // Rounded up: otherwise a timer could fire while some time is left, and be set again and again.
    this.#cancel = after(Math.min(Math.ceil(left), LONGEST_TIMER_MS), () => this.watch())
  }

  rest() {
    this.#cancel()
  }

  /** @param {Error} reason */
  abort(reason) {
    this.rest()
    this.#controller.abort(reason)
  }
}

module.exports = { LeaseSignal }
