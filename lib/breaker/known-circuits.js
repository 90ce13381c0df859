// @ts-check
'use strict'

const { after, now } = require('../clock.js')
const { KnownCircuit } = require('./known-circuit.js')

/** A breaker that has not been used for so long is forgotten, in ms: an application may have one for each host that it calls. */
const IDLE = 600_000

/** @typedef {{ circuit: KnownCircuit, uses: number, usedAt: number }} Entry */

/** The circuit breakers that an adapter knows: one subscription for each key, no matter how many breakers there are. */
class KnownCircuits {
  #circuits
  #idle
  /** @type {Map<string, Entry>} */
  #entries = new Map()

  /**
   * @param {import('./shared-circuits.js').SharedCircuits} circuits
   * @param {number} [idle]
   */
  constructor(circuits, idle = IDLE) {
    this.#circuits = circuits
    this.#idle = idle
  }

  get size() {
    return this.#entries.size
  }

  /**
   * @param {string} key
   * @returns {KnownCircuit}
   */
  of(key) {
    return this.#entry(key).circuit
  }

  /**
   * @param {string} key
   * @returns {import('./known-circuit.js').Circuit['state']} closed, too, if an adapter that has ended knows nothing of it
   */
  stateOf(key) {
    return !this.#entries.has(key) && this.#circuits.isEnded ? 'closed' : this.of(key).state
  }

  /**
   * @template T
   * @param {string} key
   * @param {(circuit: KnownCircuit) => Promise<T>} use it is not forgotten meanwhile
   * @returns {Promise<T>}
   */
  async use(key, use) {
    const entry = this.#entry(key)
    entry.uses++
    try {
      return await use(entry.circuit)
    } finally {
      entry.uses--
      entry.usedAt = now()
    }
  }

  /** @param {string} key */
  #entry(key) {
    let entry = this.#entries.get(key)
    if (!entry) {
      entry = { circuit: new KnownCircuit(this.#circuits, key), uses: 0, usedAt: now() }
      this.#entries.set(key, entry)
      this.#forgetLater(key, entry, this.#idle)
    }
    return entry
  }

  /**
   * @param {string} key
   * @param {Entry} entry
   * @param {number} ms
   */
  #forgetLater(key, entry, ms) {
    after(ms, () => {
      const left = entry.usedAt + this.#idle - now()
      if (entry.uses > 0 || entry.circuit.hasListeners) return this.#forgetLater(key, entry, this.#idle)
      if (left > 0) return this.#forgetLater(key, entry, left)
      this.#entries.delete(key)
      entry.circuit.forget()
    })
  }
}

module.exports = { KnownCircuits }
