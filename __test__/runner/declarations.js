// @ts-check
// What a test file declares about itself, read from the comment at its beginning. The file is not executed.
//
//   // @configurations every                the words of WORDS: in which configurations it runs
//   // @without role, partitions: reason    but not in these groups of configurations; the reason is in the closing list
//   // @package packed                      what the runner makes once for all files that need it: see shared-package.js
'use strict'

const fs = require('node:fs')

/** The groups of configurations. Each configuration is in one. */
const GROUPS = /** @type {const} */ (['first', 'servers', 'poolers', 'role', 'partitions', 'last'])
/** @typedef {typeof GROUPS[number]} Group */

/** @type {Record<string, Group[]>} */
const WORDS = {
  // Each server, and each route to it.
  every: ['first', 'servers', 'poolers', 'role', 'partitions'],
  // The one of `npm test`.
  first: ['first'],
  // The longest runs. A file that declares `first, last` divides its variants between them, unless one run has both
  // configurations: support/variants.js.
  last: ['last'],
}
const PACKAGES = /** @type {const} */ (['packed', 'published'])

/**
 * @typedef {object} Declaration
 * @property {string[]} words
 * @property {Set<Group>} groups in which it runs
 * @property {Map<Group, string>} without groups in which it does not run, and why
 * @property {typeof PACKAGES[number]} [package]
 */

/**
 * @param {string} file
 * @returns {Declaration}
 */
function declarationOf(file) {
  const text = fs.readFileSync(file, 'utf8')
  const [header = ''] = /^(?:\/\/.*\r?\n)*/.exec(text) ?? []
  const lines = [...header.matchAll(/^\/\/ @(?!ts-check\b)(\S+)(?: (.*?))?\r?$/gm)]
  try {
    const declared = read(lines.map(([, key = '', words = '']) => ({ key, text: words })))
    if (text.includes("/variants.js')") && !declared.groups.has('last')) {
      throw new Error('no configuration runs the variants that `npm test` leaves out: // @configurations first, last')
    }
    return declared
  } catch (/** @type {any} */ error) {
    throw new Error(`${file}: ${error.message} (see __test__/runner/declarations.js)`)
  }
}

/**
 * @param {{ key: string, text: string }[]} lines
 * @returns {Declaration}
 */
function read(lines) {
  /** @type {Declaration} */
  const declared = { words: [], groups: new Set(), without: new Map() }
  for (const { key, text } of lines) {
    if (key === 'configurations') declared.words.push(...listOf(text, Object.keys(WORDS)))
    else if (key === 'package') declared.package = listOf(text, PACKAGES)[0]
    else if (key === 'without') {
      const [, groups = '', reason = ''] = /^(.*?): (.+)$/.exec(text) ?? []
      for (const group of listOf(groups, GROUPS)) declared.without.set(group, reason)
    } else throw new Error(`unknown declaration: // @${key}`)
  }
  if (declared.words.length === 0) throw new Error('no declaration, such as: // @configurations every')
  const wanted = new Set(declared.words.flatMap((word) => /** @type {Group[]} */ (WORDS[word])))
  declared.groups = new Set([...wanted].filter((group) => !declared.without.has(group)))
  for (const group of declared.without.keys()) {
    if (group !== 'first' && !wanted.has(group)) throw new Error(`it is not in ${group} anyway`)
  }
  if (!declared.groups.has('first') && !declared.without.has('first')) {
    throw new Error('`npm test` does not run it. The reason is missing: // @without first: …')
  }
  return declared
}

/**
 * @template {string} T
 * @param {string} text
 * @param {readonly T[]} known
 * @returns {T[]}
 */
function listOf(text, known) {
  return text.split(', ').map((word) => {
    const found = known.find((each) => each === word)
    if (found === undefined) throw new Error(`unknown word "${word}": one of ${known.join(', ')}`)
    return found
  })
}

module.exports = { GROUPS, declarationOf }
