// @ts-check
// What the demo shows: on a terminal a few lines that are redrawn in place, elsewhere plain lines, one after the other.
'use strict'

/**
 * What one process is doing. Acts change these objects; the display looks at them now and then.
 *
 * @typedef {{ name: string, done: number, total: number, text?: string }} Row
 * @typedef {[text: string, style?: keyof typeof STYLES]} Part of a line
 */

const STYLES = { bold: 1, dim: 2, red: 31, green: 32, cyan: 36 }
const SPINNER = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏'
const BAR_WIDTH = 24
const REDRAW_MS = 80
const PLAIN_MS = 1000
const HIDE_CURSOR = '\x1b[?25l'
const SHOW_CURSOR = '\x1b[?25h'

class Display {
  #stream
  #isLive
  #isColored
  #isWatching = false
  #isClosed = false
  #unit = ''
  /** @type {Row[]} */
  #rows = []
  #since = 0
  #frame = 0
  #drawnLines = 0
  /** @type {NodeJS.Timeout | undefined} */
  #timer

  /**
   * @param {NodeJS.WriteStream} stream
   * @param {{ plain?: boolean }} [options]
   */
  constructor(stream, { plain = false } = {}) {
    this.#stream = stream
    this.#isLive = Boolean(stream.isTTY) && process.env.TERM !== 'dumb' && !plain
    this.#isColored = this.#isLive && !process.env.NO_COLOR
  }

  /** @param {string} [text] */
  line(text = '') {
    if (!this.#isClosed) this.#redraw(`${text}\n`)
  }

  /**
   * Shows these rows until {@link rest}.
   *
   * @param {string} unit what `done` and `total` count
   * @param {Row[]} rows
   */
  watch(unit, rows) {
    this.rest()
    if (this.#isClosed) return
    this.#isWatching = true
    this.#unit = unit
    this.#rows = rows
    this.#since = performance.now()
    this.#redraw(this.#isLive ? HIDE_CURSOR : '')
    this.#timer = setInterval(() => this.#tick(), this.#isLive ? REDRAW_MS : PLAIN_MS)
  }

  rest() {
    if (!this.#isWatching) return
    this.#isWatching = false
    clearInterval(this.#timer)
    this.#redraw(this.#isLive ? SHOW_CURSOR : '')
  }

  /** Nothing is shown any more, whatever is still under way. */
  close() {
    this.rest()
    this.#isClosed = true
  }

  /**
   * @param {keyof typeof STYLES} style
   * @param {string} text
   */
  paint(style, text) {
    return this.#isColored ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text
  }

  /** How many characters fit on a line; no limit where there is no terminal. */
  get width() {
    return this.#isLive ? this.#stream.columns || 80 : Infinity
  }

  #tick() {
    this.#frame++
    if (this.#isLive) this.#redraw()
    else this.line(`    … ${this.#summary()}`)
  }

  #summary() {
    const done = this.#rows.reduce((sum, row) => sum + row.done, 0)
    const total = this.#rows.reduce((sum, row) => sum + row.total, 0)
    const elapsed = ((performance.now() - this.#since) / 1000).toFixed(1)
    return `${done} of ${total} ${this.#unit}, ${elapsed} s`
  }

  /**
   * In one write, so that nothing flickers.
   *
   * @param {string} [above] what goes above the lines that change
   */
  #redraw(above = '') {
    const erase = this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}A\x1b[0J` : ''
    const lines = this.#isLive && this.#isWatching ? this.#changing() : []
    this.#drawnLines = lines.length
    this.#stream.write(erase + above + lines.map((line) => `${this.#fitted(line)}\n`).join(''))
  }

  /** @returns {Part[][]} */
  #changing() {
    /** @type {Part} */
    const spinner = [SPINNER[this.#frame % SPINNER.length] ?? '', 'cyan']
    const names = Math.max(...this.#rows.map(({ name }) => name.length))
    const rows = this.#rows.slice(0, Math.max(0, (this.#stream.rows || 24) - 2))
    return [[['  '], spinner, [` ${this.#summary()}`]], ...rows.map((row) => bar(row, names))]
  }

  /**
   * The line, cut to the terminal's width: one that wrapped would be two to erase.
   *
   * @param {Part[]} parts
   */
  #fitted(parts) {
    let left = this.width - 1
    return parts
      .map(([text, style]) => {
        const shown = text.slice(0, left)
        left -= shown.length
        return style ? this.paint(style, shown) : shown
      })
      .join('')
  }
}

/**
 * @param {Row} row
 * @param {number} nameWidth
 * @returns {Part[]}
 */
function bar({ name, done, total, text = '' }, nameWidth) {
  const filled = Math.min(BAR_WIDTH, Math.round((done / total) * BAR_WIDTH))
  const count = `${done}/${total}`.padStart(2 * String(total).length + 1)
  return [
    [`    ${name.padEnd(nameWidth)}  `],
    ['█'.repeat(filled), 'cyan'],
    ['░'.repeat(BAR_WIDTH - filled), 'dim'],
    [`  ${count}  `],
    [text, 'dim'],
  ]
}

module.exports = { Display }
