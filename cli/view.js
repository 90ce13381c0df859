// @ts-check
// The output for people: facts and tables, in the terminal's width and colours.
'use strict'

const { cut, pad, visible, width } = require('./text.js')

/**
 * @typedef {string | { text: string, colour: Colour }} Cell
 * @typedef {keyof typeof COLOURS} Colour
 * @typedef {object} Column
 * @property {string} title
 * @property {(row: any) => Cell} cell
 * @property {'right'} [align]
 * @property {boolean} [shrinks] if the terminal is too narrow
 * @property {boolean} [ticks] changes by itself, so that a change is nothing to point at
 */

const COLOURS = { bold: [1, 22], dim: [2, 22], inverse: [7, 27], red: [31, 39], green: [32, 39], yellow: [33, 39] }
const NARROWEST = 8

/**
 * The width of columns that shrink, if there is no terminal: a wider table is hard to read, and `--json` has the full
 * text.
 */
const WIDEST = 120

class View {
  /** The text of each cell in the frame before, by table, row and column. @type {Map<string, string> | undefined} */
  #before
  /** @type {Map<string, string>} */
  #now = new Map()

  /** @param {{ colours?: boolean, width?: number }} [terminal] */
  constructor({ colours = false, width = Infinity } = {}) {
    this.colours = colours
    this.width = width
  }

  /** Begins a frame. Differences from the last frame are highlighted. */
  nextFrame() {
    if (this.#now.size > 0) this.#before = this.#now
    this.#now = new Map()
  }

  /**
   * @param {string} text
   * @param {Colour} colour
   */
  paint(text, colour) {
    if (!this.colours) return text
    const [on, off] = COLOURS[colour]
    return `\x1b[${on}m${text}\x1b[${off}m`
  }

  /** @param {[label: string, value: string][]} facts */
  facts(facts) {
    const widest = Math.max(...facts.map(([label]) => width(label)))
    return facts.map(([label, value]) => `${this.paint(pad(label, widest), 'dim')}  ${visible(value)}\n`).join('')
  }

  /**
   * Paragraphs after a label, wrapped at the terminal's edge.
   *
   * @param {string} label painted as it is to be
   * @param {number} wide the label's width
   * @param {string[]} paragraphs
   */
  entry(label, wide, paragraphs) {
    const indent = '      '
    const lines = paragraphs.flatMap((each) => fold(visible(each), Math.max(20, this.width - indent.length)))
    const first = wide + 2 + width(lines[0]) <= this.width ? `${label}: ${lines.shift()}` : label
    return `${[first, ...lines.map((line) => indent + line)].join('\n')}\n`
  }

  /**
   * @param {Column[]} columns
   * @param {any[]} rows
   * @param {{ name?: string, id?: (row: any) => string }} [which] row, over time
   */
  table(columns, rows, { name = '', id = (row) => String(row.storedKey ?? row.name) } = {}) {
    const cells = rows.map((row) => columns.map((column) => cellOf(column.cell(row))))
    const widths = this.#widths(columns, cells)
    const line = (/** @type {(text: string, at: number) => string} */ paint, /** @type {string[]} */ texts) =>
      `${texts
        .map((text, at) => paint(this.#fit(text, widths[at], columns[at], at === texts.length - 1), at))
        .join('  ')
        .trimEnd()}\n`
    const head = line(
      (text) => this.paint(text, 'dim'),
      columns.map(({ title }) => title),
    )
    const body = cells.map((row, y) => {
      const changed = row.map(({ text }, at) => this.#hasChanged(`${name}\0${id(rows[y])}\0${at}`, text, columns[at]))
      return line(
        (text, at) => {
          const { colour } = row[at]
          const painted = colour ? this.paint(text, colour) : text
          return changed[at] ? this.paint(painted, 'inverse') : painted
        },
        row.map(({ text }) => text),
      )
    })
    return head + body.join('')
  }

  /**
   * @param {string} key
   * @param {string} text
   * @param {Column} column
   */
  #hasChanged(key, text, column) {
    this.#now.set(key, text)
    if (this.#before === undefined) return false
    const before = this.#before.get(key)
    return before === undefined || (before !== text && !column.ticks)
  }

  /**
   * @param {Column[]} columns
   * @param {{ text: string }[][]} cells
   */
  #widths(columns, cells) {
    const widths = columns.map(({ title, shrinks }, at) => {
      // Not by the arguments of one call: there may be a million rows.
      const wanted = cells.reduce((widest, row) => Math.max(widest, width(row[at].text)), width(title))
      return shrinks ? Math.min(wanted, WIDEST) : wanted
    })
    const total = () => widths.reduce((sum, each) => sum + each, 2 * (widths.length - 1))
    const shrinking = columns.flatMap(({ shrinks }, at) => (shrinks ? [at] : []))
    while (total() > this.width) {
      const widest = Math.max(...shrinking.map((at) => widths[at]))
      if (widest <= NARROWEST) break
      // The widest columns shrink, until they are as wide as the next or the excess is gone.
      for (const at of shrinking) if (widths[at] === widest && total() > this.width) widths[at]--
    }
    return widths
  }

  /**
   * @param {string} text
   * @param {number} columns
   * @param {Column} column
   * @param {boolean} isLast
   */
  #fit(text, columns, { align }, isLast) {
    const fitting = cut(text, columns)
    return isLast && align === undefined ? fitting : pad(fitting, columns, align)
  }
}

/**
 * @param {string} text
 * @param {number} columns
 * @returns {string[]}
 */
function fold(text, columns) {
  if (width(text) <= columns) return [text]
  /** @type {string[]} */
  const lines = ['']
  for (const word of text.split(' ')) {
    const longer = lines[lines.length - 1] === '' ? word : `${lines[lines.length - 1]} ${word}`
    if (width(longer) <= columns) lines[lines.length - 1] = longer
    else lines.push(word)
  }
  return lines.filter((line) => line !== '')
}

/** @param {Cell} cell */
function cellOf(cell) {
  const { text, colour } = typeof cell === 'string' ? { text: cell, colour: undefined } : cell
  return { text: visible(text), colour }
}

/**
 * Follows the common convention: https://no-color.org and FORCE_COLOR, as Node itself does.
 *
 * @param {{ isTTY?: boolean }} stream
 * @param {NodeJS.ProcessEnv} env
 */
function wantsColours(stream, env) {
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false'
  if (env.NO_COLOR) return false
  return Boolean(stream.isTTY) && env.TERM !== 'dumb'
}

module.exports = { View, wantsColours }
