// @ts-check
// Gives all packages and the crate a version, and the changelog a heading: `node scripts/release/version.js <version>`.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { PLATFORMS, folder, root } = require('../platforms.js')

const VERSION = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/

/**
 * @param {string} file
 * @param {RegExp} pattern with the text before the version, and that after it, as its groups
 * @param {string} version
 */
function replace(file, pattern, version) {
  const before = fs.readFileSync(file, 'utf8')
  if (!pattern.test(before)) throw new Error(`${file} has no version where one is looked for`)
  fs.writeFileSync(
    file,
    before.replace(pattern, (_, start, end) => `${start}${version}${end}`),
  )
}

/** @param {string} version */
function setVersion(version) {
  const manifest = /^(\{\n {2}"name": "[^"]+",\n {2}"version": ")[^"]+(")/
  for (const at of [root, ...PLATFORMS.map(folder)]) replace(path.join(at, 'package.json'), manifest, version)
  const lock = path.join(root, 'package-lock.json')
  replace(lock, manifest, version)
  replace(lock, /("": \{\n\s+"name": "goscope-postgres",\n\s+"version": ")[^"]+(")/, version)
  replace(path.join(root, 'Cargo.toml'), /^(\[package\]\nname = "goscope-postgres"\nversion = ")[^"]+(")/, version)
  replace(path.join(root, 'Cargo.lock'), /(\nname = "goscope-postgres"\nversion = ")[^"]+(")/, version)
}

/**
 * What was unreleased is what this version brings.
 *
 * @param {string} version
 * @param {string} date
 */
function headChangelog(version, date) {
  const file = path.join(root, 'CHANGELOG.md')
  const before = fs.readFileSync(file, 'utf8')
  if (before.includes(`\n## ${version} `)) throw new Error(`CHANGELOG.md has ${version} already`)
  if (!/\n## Unreleased\n+(?!## )\S/.test(before)) throw new Error('CHANGELOG.md says nothing under "Unreleased"')
  fs.writeFileSync(file, before.replace('\n## Unreleased\n', `\n## Unreleased\n\n## ${version} (${date})\n`))
}

const [version] = process.argv.slice(2)
try {
  if (!version || !VERSION.test(version)) throw new Error('Usage: node scripts/release/version.js <version>')
  headChangelog(version, new Date().toISOString().slice(0, 10))
  setVersion(version)
  console.log(`All packages and the crate are at ${version}. Commit that, and push the tag v${version} to release it.`)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
