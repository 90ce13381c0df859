// @ts-check
// Prints what the changelog says of a version: `node scripts/release/notes.js v<version>`. It must be that of all packages.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { PLATFORMS, folder, root } = require('../platforms.js')

/** @param {string} tag */
function notes(tag) {
  for (const at of [root, ...PLATFORMS.map(folder)]) {
    const { name, version } = JSON.parse(fs.readFileSync(path.join(at, 'package.json'), 'utf8'))
    if (tag !== `v${version}`) throw new Error(`the tag is ${tag}, and ${name} is at ${version}`)
  }
  const sections = fs.readFileSync(path.join(root, 'CHANGELOG.md'), 'utf8').split(/^## /m)
  const section = sections.find((text) => text.startsWith(`${tag.slice(1)} (`))
  if (!section) throw new Error(`CHANGELOG.md has no section for ${tag}: node scripts/release/version.js makes it`)
  return section.slice(section.indexOf('\n')).trim()
}

try {
  console.log(notes(String(process.argv[2])))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
