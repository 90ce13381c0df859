// @ts-check
// What an act plays on: the database, the crew, and a place to say what it does and what came of it.
'use strict'

/**
 * @typedef {{ act: string, text: string, holds: boolean, figure: string }} Claim
 * @typedef {{ title: string, run(stage: Stage): Promise<void> }} Act
 */

class Stage {
  #display
  #act = ''
  /** @type {Claim[]} */
  claims = []

  /**
   * @param {import('./display.js').Display} display
   * @param {import('./crew.js').Crew} crew
   * @param {import('pg').Pool} pool
   * @param {import('goscope-postgres').PostgresAdapter} adapter
   */
  constructor(display, crew, pool, adapter) {
    this.#display = display
    this.crew = crew
    this.pool = pool
    this.adapter = adapter
  }

  /**
   * @param {string} letter
   * @param {Act} act
   */
  async play(letter, act) {
    const started = performance.now()
    this.#act = `(${letter})`
    this.#display.line()
    this.#display.line(this.#display.paint('bold', `${this.#act} ${act.title}`))
    await act.run(this)
    this.note(`${((performance.now() - started) / 1000).toFixed(1)} s`)
  }

  /** @param {string} text */
  note(text) {
    this.#display.line(this.#display.paint('dim', `    ${text}`))
  }

  /**
   * Something that must be so; the demo fails where it is not.
   *
   * @param {string} text
   * @param {boolean} holds
   * @param {string} figure what was measured
   */
  claim(text, holds, figure) {
    const mark = holds ? this.#display.paint('green', '✓') : this.#display.paint('red', '✗')
    this.claims.push({ act: this.#act, text, holds, figure })
    this.#display.line(`  ${mark} ${text}: ${figure}`)
  }

  /**
   * Shows how far the processes are while something is under way.
   *
   * @template T
   * @param {string} unit
   * @param {import('./display.js').Row[]} rows
   * @param {() => Promise<T>} during
   */
  async watch(unit, rows, during) {
    this.#display.watch(unit, rows)
    try {
      return await during()
    } finally {
      this.#display.rest()
    }
  }
}

module.exports = { Stage }
