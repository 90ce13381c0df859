// @ts-check
// Texts of queries for libraries that do not know `$1`.
'use strict'

/**
 * What may hold something that looks like a parameter: quoted names and values, and comments. Then a parameter, which does
 * not follow a letter: `a$1` is a name.
 */
const PARAMETERS = /("(?:[^"]|"")*"|'(?:[^']|'')*'|--.*|\/\*[\s\S]*?\*\/)|(?<![\w$])\$(\d+)/g

/**
 * A text, cut at its parameters, which may occur in any order and several times.
 *
 * @param {string} text
 * @param {unknown[]} values
 * @returns {{ parts: string[], values: unknown[] }} one part more than values: each value belongs behind the part of its
 * own index
 */
function cutAtParameters(text, values) {
  /** @type {{ parts: string[], values: unknown[] }} */
  const cut = { parts: [], values: [] }
  let end = 0
  for (const { 0: found, 1: quoted, 2: number, index } of text.matchAll(PARAMETERS)) {
    if (quoted !== undefined) continue
    cut.parts.push(text.slice(end, index))
    cut.values.push(values[Number(number) - 1])
    end = index + found.length
  }
  cut.parts.push(text.slice(end))
  return cut
}

module.exports = { cutAtParameters }
