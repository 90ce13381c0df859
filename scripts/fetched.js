// @ts-check
// Packages that the tests and the benchmark fetch from npm when they first need them, and keep in node_modules/.cache. They are not
// devDependencies: a lockfile would make every machine ask for builds of other platforms, some of which were never
// published.
'use strict'

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const cache = path.join(__dirname, '../node_modules/.cache/goscope-postgres')

/**
 * @param {string} spec name and exact version
 * @param {object} [manifest] further content of the installing package.json, such as overrides
 * @returns {string} the folder of the package
 */
function fetched(spec, manifest = {}) {
  const name = spec.slice(0, spec.lastIndexOf('@'))
  const folder = path.join(cache, spec.replaceAll('/', '+'))
  const installed = path.join(folder, 'node_modules', name)
  if (fs.existsSync(installed)) return installed
  fs.mkdirSync(cache, { recursive: true })
  // It gets its name when it is complete, so neither a failure nor a second process can leave a partial package.
  const incoming = fs.mkdtempSync(path.join(cache, 'incoming-'))
  try {
    fs.writeFileSync(path.join(incoming, 'package.json'), JSON.stringify(manifest))
    const args = ['install', '--prefix', incoming, '--no-save', '--no-package-lock', '--ignore-scripts', spec]
    const run = spawnSync('npm', args, { cwd: incoming, encoding: 'utf8', shell: process.platform === 'win32' })
    if (run.status !== 0) throw new Error(`${spec} could not be fetched from npm: ${run.error ?? run.stderr}`)
    try {
      fs.renameSync(incoming, folder)
    } catch (error) {
      if (!fs.existsSync(installed)) throw error
    }
  } finally {
    fs.rmSync(incoming, { recursive: true, force: true })
  }
  return installed
}

module.exports = { fetched }
