// @ts-check
// What a run writes: its JSON, one for each part that has a section of its own in the documentation, and the plots.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { plots } = require('./plots/plots.js')
const { compare } = require('./targets.js')

const RESULTS = path.join(__dirname, 'results')

/** The parts with a file of their own, unless `--out` names one for all. @type {Record<string, string>} */
const OWN_FILES = {
  libraries: 'libraries',
  openLoop: 'open-loop',
  processes: 'processes',
  environments: 'environments',
  network: 'network',
  limits: 'limits',
  loadLimits: 'load-limits',
  processLimits: 'process-limits',
}

/**
 * @typedef {object} Destination
 * @property {string} [out] the one file for everything
 * @property {boolean} isNarrowed not all of what a part can measure
 */

/**
 * @param {Record<string, unknown>} head of each file
 * @param {Record<string, any>} run what was measured, by part
 * @param {Destination} destination
 * @returns {{ file: string, content: any }[]}
 */
function outputs(head, run, { out, isNarrowed }) {
  if (out !== undefined) return [output(out, head, run)]
  const parts = Object.entries(run)
  const prefix = isNarrowed ? 'partial-' : ''
  const own = parts.flatMap(([part, found]) => {
    const name = OWN_FILES[part]
    return name ? [output(path.join(RESULTS, `${prefix}${name}.json`), head, { [part]: found })] : []
  })
  const rest = Object.fromEntries(parts.filter(([part]) => !(part in OWN_FILES)))
  if (Object.keys(rest).length === 0) return own
  const name = 'rates' in rest && !isNarrowed ? 'latest.json' : 'partial.json'
  return [output(path.join(RESULTS, name), head, rest), ...own]
}

/**
 * @param {string} file
 * @param {Record<string, unknown>} head
 * @param {Record<string, any>} parts
 */
function output(file, head, parts) {
  /** @type {Record<string, any>} */
  const content = { ...head, ...parts, targets: compare(parts) }
  return { file, content }
}

/**
 * @param {ReturnType<typeof output>} output
 * @returns {string[]} the files
 */
function write({ file, content }) {
  const stem = file.replace(/\.json$/, '')
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, `${json(content)}\n`)
  const files = [file]
  for (const [name, svg] of Object.entries(content.rates ? plots(content) : {})) {
    files.push(`${stem}-${name}.svg`)
    fs.writeFileSync(`${stem}-${name}.svg`, svg)
  }
  return files
}

/**
 * A spread on one line: there are many.
 *
 * @param {any} run
 */
function json(run) {
  const spreads = /\{\s+"median": ([^,]+),\s+"low": ([^,]+),\s+"high": (\S+)\s+\}/g
  return JSON.stringify(run, undefined, 1).replaceAll(spreads, '{ "median": $1, "low": $2, "high": $3 }')
}

module.exports = { outputs, write }
