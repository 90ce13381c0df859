// @ts-check
// Writes THIRD-PARTY-LICENSES.txt: what the addon links, on any of its platforms, and under which terms. With `--check` it
// only looks whether the file is up to date.
'use strict'

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { PLATFORMS, root } = require('../platforms.js')

const FILE = path.join(root, 'THIRD-PARTY-LICENSES.txt')

const HEADING = `The native addon of goscope-postgres contains the following works of others, as far as its platform needs them. Where
one is offered under a choice of licences, among them MIT, that one was chosen.
`

/** @typedef {{ id: string, name: string, version: string, license: string | null, authors: string[], manifest_path: string, targets: { kind: string[] }[] }} Crate */
/** @typedef {{ title: string, license: string, texts: string[] }} Work */

/** What comes with the compiler and the linker instead of from a crate. @type {Work[]} */
const TOOLS = [
  {
    title: "Rust's standard library, and the crates that it is built of",
    license: 'MIT OR Apache-2.0',
    texts: [mit('The Rust Project Developers and contributors')],
  },
  { title: 'compiler-rt of Zig (Linux only)', license: 'MIT', texts: [mit('Zig contributors')] },
]

/** @returns {Crate[]} what is linked on any platform: neither build scripts nor macros */
function linked() {
  /** @type {Map<string, Crate>} */
  const crates = new Map()
  for (const { target } of PLATFORMS) {
    const args = ['metadata', '--format-version', '1', '--locked', '--filter-platform', target]
    const { packages, resolve } = JSON.parse(
      execFileSync('cargo', args, {
        cwd: root,
        encoding: 'utf8',
        maxBuffer: 256 << 20,
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    )
    const byId = new Map(packages.map((/** @type {Crate} */ crate) => [crate.id, crate]))
    const nodes = new Map(resolve.nodes.map((/** @type {any} */ node) => [node.id, node]))
    const seen = new Set([resolve.root])
    for (const id of seen) {
      for (const { pkg, dep_kinds } of nodes.get(id).deps) {
        const crate = byId.get(pkg)
        const macro = crate.targets.some((/** @type {any} */ { kind }) => kind.includes('proc-macro'))
        if (macro || dep_kinds.every((/** @type {any} */ { kind }) => kind !== null)) continue
        seen.add(pkg)
        crates.set(pkg, crate)
      }
    }
  }
  return [...crates.values()].sort((a, b) => compare(`${a.name} ${a.version}`, `${b.name} ${b.version}`))
}

/**
 * @param {Crate} crate
 * @returns {Work}
 */
function work(crate) {
  const title = `${crate.name} ${crate.version}`
  const license = crate.license
  if (!license) throw new Error(`${title} names no licence: look what it says, and teach ${__filename}`)
  const folder = path.dirname(crate.manifest_path)
  const files = fs.readdirSync(folder).filter((name) => /^(licen[cs]e|copying|copyright|notice|unlicense)/i.test(name))
  const choice = /\bOR\b|\//.test(license) && !/\bAND\b/.test(license)
  const chosen = choice ? files.filter((name) => /mit/i.test(name)) : []
  const texts = (chosen.length > 0 ? chosen : files).sort(compare).map((name) => text(path.join(folder, name)))
  if (texts.length > 0) return { title, license, texts }
  // Some crates leave the text out of what they publish.
  if (!/\bMIT\b/.test(license))
    throw new Error(`${title} (${license}) has no licence text: find it, and teach ${__filename}`)
  return {
    title,
    license,
    texts: [mit(crate.authors.join(', ').replace(/ <[^>]*>/g, '') || `the authors of ${crate.name}`)],
  }
}

/** @param {string} file */
function text(file) {
  const lines = fs.readFileSync(file, 'utf8').split(/\r?\n/)
  return lines
    .map((line) => line.trimEnd())
    .join('\n')
    .replace(/^\n+|\n+$/g, '')
}

/** @param {string} holders */
function mit(holders) {
  // This package's own, but for whose it is.
  return text(path.join(root, 'LICENSE')).replace(/^Copyright .*$/m, `Copyright (c) ${holders}`)
}

/** @param {Work[]} works */
function render(works) {
  /** @type {Map<string, Work[]>} */
  const sections = new Map()
  for (const work of works) {
    const terms = work.texts.join('\n\n')
    sections.set(terms, [...(sections.get(terms) ?? []), work])
  }
  const rule = '='.repeat(100)
  const rendered = [...sections].map(([terms, works]) =>
    [rule, ...works.map(({ title, license }) => `${title}: ${license}`), rule, '', terms, ''].join('\n'),
  )
  return [HEADING, ...rendered].join('\n')
}

/**
 * @param {string} a
 * @param {string} b
 */
function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0
}

const works = [...TOOLS, ...linked().map(work)]
const content = render(works)
if (!process.argv.includes('--check')) {
  fs.writeFileSync(FILE, content)
} else if (!fs.existsSync(FILE) || fs.readFileSync(FILE, 'utf8') !== content) {
  console.error('THIRD-PARTY-LICENSES.txt does not tell what is linked: run node scripts/release/licences.js')
  process.exitCode = 1
}
console.log(`${works.length} works`)
