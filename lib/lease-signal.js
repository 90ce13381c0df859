// @ts-check
'use strict'

const { after } = require('./clock.js')

/** A longer wait is looked at again in between. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The signal of a lease, which aborts when its time is over, or when somebody says that it is lost. */
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

  /** Watches the time until the lease's end, as it is by now. */
  watch() {
    this.rest()
    if (this.signal.aborted) return
    const left = this.#left()
    if (left <= 0) return this.#over()
    // Rounded up: a timer must not go off while something is left, and be set again and again for that.
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
