// @ts-check
// Publishes staged packages: `node scripts/release/publish.js <folder> [options of npm publish]`. The platforms' packages go
// first, so that the root package never names one that is not there; what is published already is left alone, so that a
// release that stopped half-way is taken up by running it again.
'use strict'

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const ROOT = 'root'

/**
 * @param {string} folder
 * @param {string[]} options
 */
function publish(folder, options) {
  const packages = fs.readdirSync(folder).sort((a, b) => Number(a === ROOT) - Number(b === ROOT) || (a < b ? -1 : 1))
  if (packages.at(-1) !== ROOT) throw new Error(`${folder} is not what scripts/release/stage.js makes`)
  const registry = options.filter((option) => option.startsWith('--registry='))
  for (const each of packages) {
    const at = path.join(folder, each)
    const { name, version } = JSON.parse(fs.readFileSync(path.join(at, 'package.json'), 'utf8'))
    if (isPublished(`${name}@${version}`, registry)) {
      console.log(`${name}@${version} is published already`)
      continue
    }
    const { status } = npm(['publish', '--access=public', ...options], at, 'inherit')
    if (status !== 0) throw new Error(`${name}@${version} could not be published`)
  }
}

/**
 * @param {string} spec
 * @param {string[]} options
 */
function isPublished(spec, options) {
  const { status, stdout } = npm(['view', '--json', spec, 'version', ...options], process.cwd(), 'pipe')
  return status === 0 && stdout.trim() !== ''
}

/**
 * @param {string[]} args
 * @param {string} cwd
 * @param {'inherit' | 'pipe'} stdio
 */
function npm(args, cwd, stdio) {
  return spawnSync('npm', args, { cwd, encoding: 'utf8', stdio, shell: process.platform === 'win32' })
}

const [folder, ...options] = process.argv.slice(2)
if (!folder) throw new Error('Usage: node scripts/release/publish.js <folder> [options of npm publish]')
publish(folder, options)
