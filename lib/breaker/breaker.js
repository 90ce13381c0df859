// @ts-check
// A circuit breaker that guards calls to a service; see index.d.ts.
'use strict'

const args = require('../arguments.js')
const { after, keepAlive } = require('../clock.js')
const { coded } = require('../errors.js')
const { optionsOf } = require('../options.js')
const { Patience } = require('./patience.js')

const EVENTS = ['change', 'success', 'failure', 'reject', 'error']

class Breaker {
  #known
  #assertOpen
  #maxFailures
  #resetTimeout
  /** @type {number | null} */
  #timeout
  #isFailure

  /**
   * @param {import('./known-circuits.js').KnownCircuits} known
   * @param {() => void} assertOpen throws if the adapter is being ended
   * @param {unknown} key
   * @param {unknown} options
   */
  constructor(known, assertOpen, key, options) {
    // As the adapter takes it.
    args.key('key', key)
    const given = optionsOf(options, 'breaker')
    this.key = String(key)
    this.#known = known
    this.#assertOpen = assertOpen
    this.#maxFailures = args.number('options.maxFailures', given.maxFailures, { integer: true, min: 1 })
    this.#resetTimeout = args.positiveTime('options.resetTimeout', given.resetTimeout)
    this.#timeout = given.timeout == null ? null : args.positiveTime('options.timeout', given.timeout)
    this.#isFailure = given.isFailure == null ? () => true : args.callback('options.isFailure', given.isFailure)
  }

  get state() {
    return this.#known.stateOf(this.key)
  }

  /**
   * @param {string} event
   * @param {(news: any) => void} listener
   */
  on(event, listener) {
    const name = args.oneOf('event', event, EVENTS)
    this.#known.of(this.key).events.on(name, args.callback('listener', listener))
    return this
  }

  /**
   * @param {string} event
   * @param {(news: any) => void} listener
   */
  off(event, listener) {
    const name = args.oneOf('event', event, EVENTS)
    this.#known.of(this.key).events.off(name, args.callback('listener', listener))
    return this
  }

  /**
   * @param {unknown} work
   * @param {unknown} [options]
   */
  async run(work, options) {
    const call = args.callback('work', work)
    const { fallback: given } = optionsOf(options, 'runGuarded')
    const fallback = given == null ? undefined : args.callback('options.fallback', given)
    this.#assertOpen()
    try {
      return await this.#known.use(this.key, (circuit) => this.#guard(circuit, call))
    } catch (error) {
      if (!fallback) throw error
      return await fallback(error)
    }
  }

  /**
   * @param {import('./known-circuit.js').KnownCircuit} circuit
   * @param {Function} call
   */
  async #guard(circuit, call) {
    const patience = new Patience()
    await patience.waitFor(circuit.known)
    const isClosed = circuit.state === 'closed'
    const probe = isClosed ? undefined : await circuit.probe(this.#resetTimeout, patience)
    if (!isClosed && probe === undefined) {
      const error = this.#refusal(circuit)
      circuit.emit('reject', error)
      throw error
    }
    try {
      const result = await this.#inTime(call)
      await circuit.succeeded(probe, patience)
      circuit.emit('success', result)
      return result
    } catch (error) {
      // What is no failure is an answer of the service, which works.
      if (this.#countsAsFailure(error)) {
        await circuit.failed(probe, this.#maxFailures, patience)
        circuit.emit('failure', error)
      } else {
        await circuit.succeeded(probe, patience)
      }
      throw error
    }
  }

  /** @param {unknown} error */
  #countsAsFailure(error) {
    try {
      return Boolean(this.#isFailure(error))
    } catch (thrown) {
      Promise.reject(thrown)
      return true
    }
  }

  /** @param {import('./known-circuit.js').KnownCircuit} circuit */
  #refusal(circuit) {
    const retryAfter = Math.ceil(circuit.remaining(this.#resetTimeout))
    const message = `The circuit breaker "${this.key}" is ${circuit.state}: the call was not made`
    return Object.assign(coded(new Error(message), 'ERR_CIRCUIT_OPEN'), { key: this.key, retryAfter })
  }

  /**
   * The outcome of the call, or a failure when its time is over. Its signal aborts then.
   *
   * @param {Function} call
   */
  async #inTime(call) {
    const controller = new AbortController()
    const { signal } = controller
    if (this.#timeout === null) return await call({ signal })
    const timeout = this.#timeout
    // Only the limit ends a call that waits for nothing of the event loop.
    const end = keepAlive()
    let cancel = () => {}
    const timesOut = new Promise((_, reject) => {
      cancel = after(timeout, () => {
        const message = `The call that the circuit breaker "${this.key}" guards has taken longer than ${timeout} ms`
        const error = coded(new Error(message), 'ERR_CIRCUIT_TIMEOUT')
        // First, or a call that rejects when its signal aborts would be the outcome.
        reject(error)
        controller.abort(error)
      })
    })
    try {
      return await Promise.race([call({ signal }), timesOut])
    } finally {
      cancel()
      end()
    }
  }
}

module.exports = { Breaker }
