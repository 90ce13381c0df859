// @ts-check
// What the benchmark is doing: on a terminal in a line that changes, elsewhere in the lines of results alone.
'use strict'

const SILENCE_MS = 20_000

class Progress {
  #stream
  #isLive
  #started = performance.now()
  #lastLine = performance.now()
  #place = ''

  /** @param {NodeJS.WriteStream} stream */
  constructor(stream) {
    this.#stream = stream
    this.#isLive = Boolean(stream.isTTY) && process.env.TERM !== 'dumb'
  }

  /**
   * @param {number} done
   * @param {number} total
   * @param {string} what is being measured
   */
  at(done, total, what) {
    const seconds = (performance.now() - this.#started) / 1000
    const left = done > 0 ? `, about ${minutes((seconds / done) * (total - done))} left` : ''
    this.#place = `[${done + 1}/${total}${left}] ${what}: `
  }

  /** @param {string} what goes on just now */
  say(what) {
    if (this.#isLive) {
      this.#stream.write(`\r\x1b[K${`${this.#place}${what}`.slice(0, (this.#stream.columns || 80) - 1)}`)
    } else if (performance.now() - this.#lastLine > SILENCE_MS) {
      this.line(`… ${this.#place}${what}`)
    }
  }

  /** @param {string} text that stays */
  line(text = '') {
    this.#lastLine = performance.now()
    this.#stream.write(`${this.#isLive ? '\r\x1b[K' : ''}${text.trimEnd()}\n`)
  }

  /** A new part begins, whose time is its own. */
  restart() {
    this.#started = performance.now()
    this.#place = ''
  }

  /** Nothing is left of the line that changes. */
  clear() {
    if (this.#isLive) this.#stream.write('\r\x1b[K')
  }
}

/** @param {number} seconds */
function minutes(seconds) {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`
}

module.exports = { Progress }
