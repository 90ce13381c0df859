// @ts-check
// Writes the tables of docs/benchmarks.md anew, from the files in bench/results/: node bench/tables/rewrite.js
// With --check it only says whether they differ.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { SECTIONS } = require('./markdown.js')

const PAGE = path.join(__dirname, '../../docs/benchmarks.md')
const RESULTS = path.join(__dirname, '../results')

/**
 * @param {string} page
 * @param {(file: string) => any} runOf the content of a results file
 * @returns {string} the page with its tables made anew
 * @throws Error if a table has no place there
 */
function withTables(page, runOf) {
  let found = page
  for (const [name, make] of Object.entries(SECTIONS)) {
    const place = new RegExp(`(<!-- from bench/results/${name.replace('.', '\\.')} -->\n)[^]*?(\n<!-- end -->)`)
    if (!place.test(found)) throw new Error(`docs/benchmarks.md has no place for ${name}`)
    const [file = ''] = name.split(': ')
    found = found.replace(place, (_, begin, end) => `${begin}\n${make(runOf(file))}\n${end}`)
  }
  return found
}

const runOf = (/** @type {string} */ file) => JSON.parse(fs.readFileSync(path.join(RESULTS, file), 'utf8'))

if (require.main === module) {
  const page = fs.readFileSync(PAGE, 'utf8')
  const renewed = withTables(page, runOf)
  if (process.argv.includes('--check')) {
    if (renewed !== page) console.log('docs/benchmarks.md differs from bench/results: node bench/tables/rewrite.js')
    process.exitCode = renewed === page ? 0 : 1
  } else {
    fs.writeFileSync(PAGE, renewed)
  }
}

module.exports = { PAGE, runOf, withTables }
