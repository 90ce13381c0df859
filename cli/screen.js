// @ts-check
'use strict'

const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l' // the other screen, no cursor, no wrapping of long lines
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l'
const HOME = '\x1b[H'
const CLEAR_LINE = '\x1b[K'
const CLEAR_BELOW = '\x1b[J'

/**
 * The terminal's alternate screen. It is redrawn in place, and the terminal is restored, however the process ends.
 */
class Screen {
  #stream
  #isOn = false
  #last = ''
  #leave = () => this.leave()
  #redraw = () => this.draw(this.#last)

  /** @param {NodeJS.WriteStream} stream */
  constructor(stream) {
    this.#stream = stream
  }

  /** @param {string} text */
  draw(text) {
    this.#last = text
    if (!this.#isOn) {
      this.#isOn = true
      process.once('exit', this.#leave)
      this.#stream.on('resize', this.#redraw)
      this.#stream.write(ENTER)
    }
    const all = text.trimEnd().split('\n')
    const room = Math.max(1, this.#stream.rows - 1)
    const lines = all.length > room ? [...all.slice(0, room - 1), `… ${all.length - room + 1} lines more`] : all
    this.#stream.write(`${HOME}${lines.map((line) => `${line}${CLEAR_LINE}\n`).join('')}${CLEAR_BELOW}`)
  }

  leave() {
    if (!this.#isOn) return
    this.#isOn = false
    process.off('exit', this.#leave)
    this.#stream.off('resize', this.#redraw)
    this.#stream.write(LEAVE)
  }
}

module.exports = { Screen }
