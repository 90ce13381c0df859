// @ts-check
// Lays out the packages as they are published, each in a folder of its own: `node scripts/release/stage.js <folder>`.
//
// The root package differs from the repository's: the addon is not in it, and the platforms' packages are its optional
// dependencies, at exactly its version. The repository's own package.json does not name them, since `npm ci` would look
// for a version that is not published before it has been built.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { PLATFORMS, addonName, folder, packageName, root } = require('../platforms.js')

/** What only the repository needs of its package.json. */
const OURS = ['allowScripts', 'devDependencies', 'overrides', 'scripts', 'napi']
const NOTICES = ['LICENSE', 'THIRD-PARTY-LICENSES.txt']

/** @param {string} target the folder to make */
function stageRoot(target) {
  const manifest = readManifest(root)
  for (const field of OURS) delete manifest[field]
  manifest.files = manifest.files.filter((/** @type {string} */ file) => !file.endsWith('.node'))
  manifest.optionalDependencies = Object.fromEntries(
    PLATFORMS.map((platform) => [packageName(platform), manifest.version]),
  )
  copy(root, target, topLevel(manifest.files))
  writeManifest(target, manifest)
}

/**
 * @param {import('../platforms.js').Platform} platform
 * @param {string} target the folder to make
 * @param {string} [addon] another file than that which was built into the platform's folder
 */
function stagePlatform(platform, target, addon = path.join(folder(platform), addonName(platform))) {
  if (!fs.existsSync(addon)) throw new Error(`${addon} is missing: node scripts/release/build.js ${platform.name}`)
  fs.mkdirSync(target, { recursive: true })
  copy(root, target, NOTICES)
  copy(folder(platform), target, ['README.md'])
  fs.copyFileSync(addon, path.join(target, addonName(platform)))
  writeManifest(target, readManifest(folder(platform)))
}

/**
 * The files and folders of the repository that patterns of `files` begin with.
 *
 * @param {string[]} patterns
 */
function topLevel(patterns) {
  const tests = patterns.map((pattern) => new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`))
  return fs.readdirSync(root).filter((name) => tests.some((test) => test.test(name)))
}

/**
 * @param {string} from
 * @param {string} to
 * @param {string[]} names
 */
function copy(from, to, names) {
  for (const name of names) fs.cpSync(path.join(from, name), path.join(to, name), { recursive: true })
}

/**
 * @param {string} from
 * @returns {Record<string, any>}
 */
const readManifest = (from) => JSON.parse(fs.readFileSync(path.join(from, 'package.json'), 'utf8'))

/**
 * @param {string} target
 * @param {Record<string, any>} manifest
 */
function writeManifest(target, manifest) {
  // npm proves the provenance of a package only where it names the repository that the proof is of.
  const { GITHUB_SERVER_URL, GITHUB_REPOSITORY } = process.env
  if (GITHUB_SERVER_URL && GITHUB_REPOSITORY) {
    manifest.repository ??= { type: 'git', url: `git+${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}.git` }
  }
  fs.writeFileSync(path.join(target, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}

module.exports = { stagePlatform, stageRoot }

if (require.main === module) {
  const target = process.argv[2]
  if (!target) throw new Error('Usage: node scripts/release/stage.js <folder>')
  for (const platform of PLATFORMS) stagePlatform(platform, path.join(target, platform.name))
  stageRoot(path.join(target, 'root'))
}
