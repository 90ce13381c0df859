// @ts-check
// What the fault tests count. The runner shows the lines, and the soak adds them up.
'use strict'

const assert = require('node:assert/strict')

/** How much longer than in `npm test` the fault tests run: the soak's minutes for one file, or 0. */
const SOAK_MINUTES = Number(process.env.GOSCOPE_SOAK_MINUTES ?? 0)

/** @type {number | undefined} */
let lastSeed

class Figures {
  operations = 0
  faults = 0
  /** @type {string[]} */
  violations = []
  /** @type {Map<string, number>} */
  #errors = new Map()

  /**
   * Records an error that a caller received. The error must have a code that names its cause.
   *
   * @param {any} error
   * @param {string} where
   */
  error(error, where) {
    const code = typeof error?.code === 'string' && error.code !== '' ? error.code : undefined
    if (!code) this.violations.push(`${where}: an error without a code: ${error?.stack ?? error}`)
    else this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1)
  }

  /** @param {string} text */
  violation(text) {
    this.violations.push(text)
  }

  /**
   * @param {string} title
   * @param {string} [rest]
   */
  report(title, rest) {
    const errors = [...this.#errors].sort(([a], [b]) => (a < b ? -1 : 1)).map(([code, n]) => `${code} ${n}`)
    const parts = [
      `${this.operations} operations, ${this.faults} faults, ${this.violations.length} violations`,
      errors.length > 0 ? `errors: ${errors.join(', ')}` : 'no error',
      ...(rest ? [rest] : []),
    ]
    console.log(`# figure: ${title}: ${parts.join('; ')}`)
    const shown = this.violations.slice(0, 20).join('\n')
    const again = lastSeed === undefined ? '' : ` (GOSCOPE_FAULT_SEED=${lastSeed})`
    assert.equal(this.violations.length, 0, `${this.violations.length} violations${again}\n${shown}`)
  }
}

/** Reproducible random numbers: a run that fails prints its seed, and GOSCOPE_FAULT_SEED sets it. */
function chance() {
  const seed = Number(process.env.GOSCOPE_FAULT_SEED ?? Math.floor(Math.random() * 2 ** 31))
  lastSeed = seed
  let state = seed >>> 0
  // mulberry32
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

module.exports = { Figures, SOAK_MINUTES, chance }
