// @ts-check
// What this process knows of a circuit breaker: its state, from the first read and from notifications. So a call through a
// closed breaker needs no round trip, and neither does one that an open breaker refuses.
'use strict'

const { EventEmitter } = require('node:events')
const { after, now, wallClock } = require('../clock.js')
const { Patience } = require('./patience.js')

/**
 * When the state is read again after this process has learned of it without the subscription, in ms. The subscription reports a
 * state only if it differs from the last one that it has read. It may have missed the state that this process has made, or read.
 * By this time it has read what came after that.
 */
const CONFIRM_AFTER = 1_000

/** How often at most the state of a breaker that refuses calls is read again, in ms: the subscription may have missed that it was closed. */
const CONFIRM_REFUSALS = 5_000

/** After a probe that was refused, the next one is asked for after a tenth of the reset timeout, within these bounds in ms. */
const ASK_AGAIN = { part: 0.1, least: 20, most: 1_000 }

/**
 * @typedef {import('../../index.js').CircuitBreakerPersistedState} Circuit
 */

class KnownCircuit {
  events = new EventEmitter()
  #circuits
  #key
  #unsubscribe
  /** @type {Circuit['state']} closed until something else is known */
  #state = 'closed'
  /** When it left the closed state, or failed once more, by this process's clock, as far as is known. */
  #changedAt = 0
  /** The server's time of the last failure, as far as it is known. @type {number | undefined} */
  #lastFailureTime
  /** Before this time no probe is asked for. */
  #askAt = 0
  /** When the last probe of this process was granted. The server may grant another one a reset timeout later, as if it had died. */
  #probedAt = -Infinity
  /** A probe that was granted after its caller had given up. @type {{ probe: string, until: number } | undefined} */
  #spareProbe
  #isAsking = false
  /** Whether failures have been reported since the last success. */
  #hasFailures = false
  #isForgotten = false
  #isConfirming = false
  #confirmedAt = 0
  /** Of the first read. */
  #known

  /**
   * @param {import('./shared-circuits.js').SharedCircuits} circuits
   * @param {string} key
   */
  constructor(circuits, key) {
    this.#circuits = circuits
    this.#key = key
    // Before the read, so that no change comes between the two.
    this.#unsubscribe = circuits.subscribe(key, (circuit) => void this.#learn(circuit, 0))
    this.#known = new Patience().waitFor(this.#read())
  }

  get state() {
    return this.#state
  }

  /** Resolves when the state is known, or has not become known in time: then it counts as closed. */
  get known() {
    return this.#known
  }

  get hasListeners() {
    return this.events.eventNames().length > 0
  }

  forget() {
    this.#isForgotten = true
    this.#unsubscribe()
  }

  /**
   * A listener that throws harms no call: that is an unhandled rejection, as with a subscription.
   *
   * @param {string} event
   * @param {unknown} news
   */
  emit(event, news) {
    // An event `error` without a listener would throw.
    if (this.events.listenerCount(event) === 0) return
    try {
      this.events.emit(event, news)
    } catch (error) {
      Promise.reject(error)
    }
  }

  /** The time from now until a probe may be asked for, in ms; 0 if it may be now. @param {number} resetTimeout */
  remaining(resetTimeout) {
    const least = this.#isAsking ? ASK_AGAIN.least : 0
    return Math.max(Math.max(this.#changedAt, this.#probedAt) + resetTimeout - now(), this.#askAt - now(), least)
  }

  /**
   * The probe with which the caller may try the breaker, which is not closed. Of all processes, one may. The server decides;
   * this process does not ask before the time has passed, and not twice at once. A probe that never ends does not keep the
   * breaker open.
   *
   * @param {number} resetTimeout
   * @param {Patience} patience
   * @returns {Promise<string | undefined>} none if it may not
   */
  async probe(resetTimeout, patience) {
    const spare = this.#spareProbe
    this.#spareProbe = undefined
    if (spare && now() < spare.until) return spare.probe
    if (this.remaining(resetTimeout) > 0) {
      if (now() >= this.#confirmedAt + CONFIRM_REFUSALS) this.#confirm(0)
      return undefined
    }
    this.#isAsking = true
    const until = now() + resetTimeout
    /** @type {string | undefined} */
    let granted
    let hasGivenUp = false
    const asked = this.#ask(resetTimeout).then((probe) => {
      this.#isAsking = false
      if (probe === undefined || !hasGivenUp) granted = probe
      else this.#spareProbe = { probe, until }
    })
    await patience.waitFor(asked)
    hasGivenUp = true
    // It may be closed, or open for longer: then no probe is granted either.
    if (granted === undefined && !this.#isAsking) await patience.waitFor(this.#read())
    return granted
  }

  /** @param {number} resetTimeout */
  async #ask(resetTimeout) {
    /** @type {string | undefined} */
    let probe
    try {
      probe = await this.#circuits.grantProbe(this.#key, resetTimeout)
    } catch (error) {
      // Whether it was granted is not known, so it was not. It is free again after the reset timeout.
      this.emit('error', error)
    }
    if (probe !== undefined) {
      this.#probedAt = now()
    } else {
      this.#askAt = now() + Math.min(Math.max(resetTimeout * ASK_AGAIN.part, ASK_AGAIN.least), ASK_AGAIN.most)
    }
    return probe
  }

  /**
   * A call has succeeded. A closed breaker without failures of this process has nothing to record. A call that began before the
   * breaker opened says nothing about the service now: this process may not know yet that it has, so the server decides.
   *
   * @param {string | undefined} probe
   * @param {Patience} patience
   */
  async succeeded(probe, patience) {
    if (probe !== undefined) return await this.#ended(probe, true, patience)
    if (!this.#hasFailures || this.#state !== 'closed') return
    this.#hasFailures = false
    await this.#report(patience, async () => {
      try {
        if (!(await this.#circuits.recordSuccessWhileClosed(this.#key))) await this.#read()
      } catch (error) {
        this.#hasFailures = true
        throw error
      }
    })
  }

  /**
   * A call has failed. If it began before the breaker opened, its failure would only put off the next probe.
   *
   * @param {string | undefined} probe
   * @param {number} maxFailures
   * @param {Patience} patience
   */
  async failed(probe, maxFailures, patience) {
    if (probe !== undefined) return await this.#ended(probe, false, patience)
    if (this.#state !== 'closed') return
    this.#hasFailures = true
    await this.#report(patience, async () => {
      const failureCount = await this.#circuits.recordFailureWhileClosed(this.#key, maxFailures)
      if (failureCount >= maxFailures) this.#learnHere({ state: 'open', failureCount }, 0)
      else if (failureCount === 0) await this.#read()
    })
  }

  /**
   * A probe has ended. If another was granted meanwhile, that one decides.
   *
   * @param {string} probe
   * @param {boolean} hasSucceeded
   * @param {Patience} patience
   */
  async #ended(probe, hasSucceeded, patience) {
    await this.#report(patience, async () => {
      const failureCount = await this.#circuits.endProbe(this.#key, probe, hasSucceeded)
      if (failureCount === undefined) return await this.#read()
      if (hasSucceeded) this.#hasFailures = false
      this.#learnHere({ state: hasSucceeded ? 'closed' : 'open', failureCount }, 0)
    })
  }

  /**
   * @param {Patience} patience
   * @param {() => Promise<void>} record
   */
  async #report(patience, record) {
    await patience.waitFor(record().catch((error) => this.emit('error', error)))
  }

  async #read() {
    try {
      const circuit = await this.#circuits.getState(this.#key)
      // How long ago it has failed is an estimate: the time is the server's. If it is too long, the server refuses the probe.
      const age = circuit?.lastFailureTime === undefined ? 0 : Math.max(wallClock() - circuit.lastFailureTime, 0)
      this.#learnHere(circuit ?? { state: 'closed', failureCount: 0 }, age)
    } catch (error) {
      this.emit('error', error)
      // The subscription reports changes of the state that it finds itself, which may be another one.
      this.#confirm(CONFIRM_AFTER)
    }
  }

  /**
   * Reads the state after this time, unless that is to be done already.
   *
   * @param {number} ms
   */
  #confirm(ms) {
    if (this.#isConfirming) return
    this.#isConfirming = true
    this.#confirmedAt = now()
    after(ms, () => {
      this.#isConfirming = false
      if (!this.#isForgotten && !this.#circuits.isEnded) void this.#read()
    })
  }

  /**
   * Learns what the subscription has not reported.
   *
   * @param {Circuit} circuit
   * @param {number} age
   */
  #learnHere(circuit, age) {
    if (this.#learn(circuit, age)) this.#confirm(CONFIRM_AFTER)
  }

  /**
   * @param {Circuit} circuit
   * @param {number} age how long ago it came to this state, in ms
   * @returns whether it is another one than before
   */
  #learn(circuit, age) {
    const { lastFailureTime = this.#lastFailureTime } = circuit
    const hasFailedAgain = this.#lastFailureTime !== undefined && lastFailureTime !== this.#lastFailureTime
    this.#lastFailureTime = lastFailureTime
    if (circuit.state === this.#state) {
      if (hasFailedAgain) this.#changedAt = now() - age
      return false
    }
    this.#state = circuit.state
    if (circuit.state === 'closed') this.#spareProbe = undefined
    this.#changedAt = now() - age
    this.#askAt = 0
    this.emit('change', circuit)
    return true
  }
}

module.exports = { KnownCircuit }
