// @ts-check
// Which test files run in which configuration, by what the files declare.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { CONFIGURATIONS } = require('./configurations.js')
const { COUNTS } = require('./counts.js')
const { GROUPS, declarationOf } = require('./declarations.js')

const TESTS = path.join(__dirname, '..')
/** The folders of test files. Those with the longest files come first, so that no long one is left for the end. */
const FOLDERS = [
  'compatibility',
  'packaging',
  'runtime',
  'faults',
  'connection',
  'security',
  'locks',
  'cli',
  'observability',
  'transactions',
  'integrations',
  'idempotency',
  'cache',
  'circuits',
  'checkpoints',
]
/** The longest files, most of which mainly wait. They come before all others: alone at the end they would leave the cores idle. */
const LONGEST = [
  'packaging/site.test.js',
  'runtime/bench-parts.test.js',
  'runtime/bench.test.js',
  'transactions/exactly-once.test.js',
  'transactions/checkpointed-import.test.js',
  'faults/cut-points.test.js',
  'cache/unreachable.test.js',
  'circuits/events.test.js',
  'cache/compute.test.js',
]
/** Files of applications that tests install. Test runners run them there. */
const APPS = path.join('compatibility', 'apps')

/** @typedef {import('./configurations.js').Configuration} Configuration */
/** @typedef {import('./declarations.js').Declaration} Declaration */
/** @typedef {{ file: string, declaration: Declaration }} TestFile */
/**
 * @typedef {object} Planned
 * @property {string} file
 * @property {Declaration} declaration
 * @property {'first' | 'rest'} [variants] which of its variants, if not all; see support/variants.js
 */
/** @typedef {{ runs: Planned[], skips: { file: string, reason: string }[] }} Plan */

const nameOf = (/** @type {string} */ file) => path.relative(TESTS, file).replaceAll(path.sep, '/')

/** @returns {TestFile[]} */
function testFiles() {
  const files = FOLDERS.flatMap((folder) => {
    const names = fs.readdirSync(path.join(TESTS, folder)).filter((name) => name.endsWith('.test.js'))
    return names.sort().map((name) => path.join(TESTS, folder, name))
  })
  const all = fs.readdirSync(TESTS, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.test.js'))
  for (const name of all) {
    if (name.startsWith(APPS) || files.includes(path.join(TESTS, name))) continue
    throw new Error(`${name} is in none of the folders of runner/plan.js`)
  }
  const isLong = (/** @type {string} */ file) => LONGEST.includes(nameOf(file))
  const first = files.filter(isLong)
  if (first.length < LONGEST.length) throw new Error('a file of LONGEST in runner/plan.js does not exist')
  return withDeclarations([...first, ...files.filter((file) => !isLong(file))])
}

/**
 * @param {string[]} files
 * @returns {TestFile[]}
 */
const withDeclarations = (files) => files.map((file) => ({ file, declaration: declarationOf(file) }))

/**
 * @param {Configuration} configuration
 * @param {string[]} named these files, with all of their variants, if there are some
 * @param {Configuration[]} [chosen] all that this run has
 * @returns {Plan}
 */
function planOf({ group }, named, chosen = []) {
  const isWhole = ['first', 'last'].every((each) => chosen.some(({ group }) => group === each))
  /** @type {Plan} */
  const plan = { runs: [], skips: [] }
  for (const { file, declaration } of named.length > 0 ? withDeclarations(named) : testFiles()) {
    const { groups, without } = declaration
    // The last configuration has the same server as the first: there such a file runs once, with all of its variants.
    if (isWhole && named.length === 0 && group === 'first' && groups.has('last')) continue
    const reason = without.get(group)
    const isOfAnother = group === 'first' && reason !== undefined
    if (named.length > 0 ? reason === undefined || isOfAnother : groups.has(group)) {
      plan.runs.push({ file, declaration, ...(named.length === 0 && partOf(group, declaration, isWhole)) })
    } else if (reason !== undefined) {
      plan.skips.push({ file, reason: isOfAnother ? `npm run test:all has it: ${reason}` : reason })
    }
  }
  return plan
}

/**
 * @param {import('./declarations.js').Group} group
 * @param {Declaration} declaration
 * @param {boolean} isWhole
 * @returns {{ variants?: 'first' | 'rest' }}
 */
function partOf(group, { groups }, isWhole) {
  if (group === 'first') return { variants: 'first' }
  return group === 'last' && groups.has('first') && !isWhole ? { variants: 'rest' } : {}
}

/** Throws unless there are as many configurations and files as runner/counts.js says. */
function checkCounts() {
  const files = testFiles()
  for (const group of GROUPS) {
    const found = {
      configurations: CONFIGURATIONS.filter((each) => each.group === group).length,
      files: files.filter(({ declaration }) => declaration.groups.has(group)).length,
    }
    for (const what of /** @type {const} */ (['configurations', 'files'])) {
      if (found[what] === COUNTS[group][what]) continue
      throw new Error(`${group}: ${found[what]} ${what}, and runner/counts.js has ${COUNTS[group][what]}`)
    }
  }
}

/** The files that run on every server and route. */
const everywhere = () =>
  testFiles()
    .filter(({ declaration }) => declaration.words.includes('every'))
    .map(({ file }) => file)

/**
 * Prints what would run.
 *
 * @param {Configuration[]} configurations
 * @param {string[]} named
 */
function list(configurations, named) {
  for (const configuration of configurations) {
    const { runs, skips } = planOf(configuration, named, configurations)
    console.log(`\n${configuration.title}: ${runs.length} files`)
    for (const { file, variants } of runs)
      console.log(`  ${nameOf(file)}${variants ? `, ${variants} of its variants` : ''}`)
    for (const { file, reason } of skips) console.log(`  without ${nameOf(file)}: ${reason}`)
  }
}

module.exports = { checkCounts, everywhere, list, nameOf, planOf }
