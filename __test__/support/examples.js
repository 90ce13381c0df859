// @ts-check
// The fenced blocks of README and of the pages in docs/, exactly as they are printed.
'use strict'

const fs = require('node:fs')
const path = require('node:path')

const root = path.join(__dirname, '../..')

/** Where a reader finds examples. The pages in docs/internals are for contributors. */
const PAGES = [
  'README.md',
  ...fs
    .readdirSync(path.join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

/**
 * @typedef {object} Block
 * @property {string} page
 * @property {number} line where its code begins
 * @property {string} language as the fence names it; '' if it names none
 * @property {string} code
 * @property {string} [prints] what the page says that it prints: the `text` block below, after a line "It prints:"
 */

/**
 * @param {string} page
 * @returns {Block[]}
 */
function blocksOf(page) {
  const lines = textOf(page).split('\n')
  /** @type {Block[]} */
  const blocks = []
  for (let index = 0; index < lines.length; index++) {
    const opening = /^```(\S*)$/.exec(lines[index] ?? '')
    if (!opening) continue
    const end = lines.indexOf('```', index + 1)
    if (end < 0) throw new Error(`${page}:${index + 1}: the block does not end`)
    const code = `${lines.slice(index + 1, end).join('\n')}\n`
    const above = lines.slice(0, index).filter((line) => line !== '')
    const last = blocks.at(-1)
    if (opening[1] === 'text' && last && above.at(-1) === 'It prints:') last.prints = code
    else blocks.push({ page, line: index + 2, language: opening[1] ?? '', code })
    index = end
  }
  return blocks
}

/** @param {string} page */
const textOf = (page) => fs.readFileSync(path.join(root, page), 'utf8')

/** The page without its blocks. @param {string} page */
const proseOf = (page) => textOf(page).replace(/^```.*?^```$/gms, '')

/**
 * The names that links to headings of a page use, as GitHub makes them.
 *
 * @param {string} page
 */
function anchorsOf(page) {
  const headings = [...proseOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading)
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

module.exports = { PAGES, anchorsOf, blocksOf, proseOf, textOf }
