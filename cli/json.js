// @ts-check
// JSON for programs, which is safe on a terminal, too.
'use strict'

const { visibleJson } = require('./text.js')

/** A stored value: the JSON text that the server has. It is never parsed into numbers, so that each stays exact. */
class JsonText {
  #text

  /** @param {string} text of a column that may hold any text: one that is no JSON is shown as a string */
  constructor(text) {
    this.#text = isJson(text) ? text : JSON.stringify(text)
  }

  /**
   * As JSON.stringify would write it.
   *
   * @param {number} indent the spaces of a level; 0 for one line
   * @param {number} level of the line that it begins in
   */
  write(indent, level) {
    const line = () => (indent === 0 ? '' : `\n${' '.repeat(indent * level)}`)
    let [text, before] = ['', '']
    for (const token of tokensOf(this.#text)) {
      const isFirst = before === '{' || before === '['
      const isEnd = token === '}' || token === ']'
      if (isEnd) level--
      if (isFirst !== isEnd) text += line()
      text += token
      if (token === '{' || token === '[') level++
      else if (token === ',') text += line()
      else if (token === ':' && indent > 0) text += ' '
      before = token
    }
    return text
  }
}

/** @param {string} text */
function isJson(text) {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/**
 * Strings, punctuation, numbers and words. By hand: a string of many megabytes is too long for a regular expression.
 *
 * @param {string} text valid JSON
 */
function* tokensOf(text) {
  const word = /[^\s[\]{},:"]+/y
  for (let at = 0; at < text.length; ) {
    const start = at
    if (text[at] === '"') at = endOfString(text, at)
    else if ('[]{},:'.includes(text[at])) at++
    else {
      word.lastIndex = at
      const found = word.exec(text)
      at += found?.[0].length ?? 1
      if (!found) continue
    }
    yield text.slice(start, at)
  }
}

/**
 * @param {string} text
 * @param {number} start of a string
 */
function endOfString(text, start) {
  for (let at = start + 1; ; at++) {
    at = text.indexOf('"', at)
    let escapes = at
    while (text[escapes - 1] === '\\') escapes--
    if ((at - escapes) % 2 === 0) return at + 1
  }
}

/**
 * As JSON.stringify, which escapes only some of the characters that control a terminal.
 *
 * @param {unknown} value
 * @param {number} [indent]
 */
function json(value, indent = 0) {
  /** @type {JsonText[]} */
  const texts = []
  // PostgreSQL stores no U+0000, so no other string of the document is taken for this mark.
  const marked = JSON.stringify(
    value,
    (_, each) => (each instanceof JsonText ? `\0${texts.push(each) - 1}\0` : each),
    indent,
  )
  const whole = marked.replace(/"\\u0000(\d+)\\u0000"/g, (_, number, at) => {
    const line = marked.slice(marked.lastIndexOf('\n', at) + 1, at)
    return texts[number].write(indent, indent === 0 ? 0 : line.search(/[^ ]|$/) / indent)
  })
  return visibleJson(whole)
}

module.exports = { JsonText, json }
