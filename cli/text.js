// @ts-check
// Text in a form that is safe for a terminal. Keys and owners are other people's data: if they were shown as they
// are, an escape sequence in one would control the user's terminal.
'use strict'

// Characters that control the terminal, change the direction of writing, end lines, or are invisible. Joiners are
// allowed: emoji and some scripts need them.
const UNSAFE = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/** @type {Record<string, string>} */
const SHORT = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/**
 * @param {string} text
 * @returns {string} on one line, with escapes for what a terminal would obey or hide
 */
const visible = (text) => text.replace(UNSAFE, escaped)

/** @param {string} character */
function escaped(character) {
  const code = /** @type {number} */ (character.codePointAt(0))
  if (SHORT[character] !== undefined) return SHORT[character]
  if (code > 0xffff) return `\\u{${hex(code, 5)}}`
  return code < 0x100 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`
}

/**
 * @param {number} code
 * @param {number} digits
 */
const hex = (code, digits) => code.toString(16).padStart(digits, '0')

/**
 * The same for JSON text, which has line feeds between its values, and stays valid.
 *
 * @param {string} text
 * @returns {string}
 */
const visibleJson = (text) =>
  text.replace(UNSAFE, (character) => (character === '\n' ? character : character.split('').map(escapedUnit).join('')))

/** As JSON escapes it. @param {string} unit of UTF-16 */
const escapedUnit = (unit) => `\\u${hex(unit.charCodeAt(0), 4)}`

/** Made when it is needed, since it takes 20 ms, much of the start of the command. @type {Intl.Segmenter | undefined} */
let graphemes

/** @param {string} text */
function split(text) {
  graphemes ??= new Intl.Segmenter()
  return Array.from(graphemes.segment(text), ({ segment }) => segment)
}

/**
 * The number of terminal columns that a text occupies.
 *
 * @param {string} text
 */
function width(text) {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  return split(text).reduce((sum, grapheme) => sum + widthOf(grapheme), 0)
}

/** @param {string} grapheme */
function widthOf(grapheme) {
  if (/^\p{Mark}+$/u.test(grapheme)) return 0
  return /\p{Emoji_Presentation}|\ufe0f/u.test(grapheme) || isWide(grapheme.codePointAt(0) ?? 0) ? 2 : 1
}

/** East Asian wide and fullwidth blocks, by Unicode's EastAsianWidth. */
const WIDE = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0xa4cf],
  [0xa960, 0xa97c],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x20000, 0x3fffd],
]

/** @param {number} code */
const isWide = (code) => WIDE.some(([first, last]) => code >= first && code <= last)

/**
 * @param {string} text
 * @param {number} columns the maximum width, with an ellipsis if text is cut
 */
function cut(text, columns) {
  if (width(text) <= columns) return text
  let kept = ''
  let used = 1
  for (const grapheme of split(text)) {
    used += widthOf(grapheme)
    if (used > columns) break
    kept += grapheme
  }
  return `${kept}…`
}

/**
 * @param {string} text
 * @param {number} columns
 * @param {'left' | 'right'} [align]
 */
function pad(text, columns, align = 'left') {
  const space = ' '.repeat(Math.max(0, columns - width(text)))
  return align === 'right' ? space + text : text + space
}

module.exports = { cut, pad, visible, visibleJson, width }
