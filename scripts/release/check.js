// @ts-check
// Looks whether an addon is fit to be released: `node scripts/release/check.js <platform> [file]`.
'use strict'

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { addonName, folder, platform, root } = require('../platforms.js')
const { GLIBC } = require('./build.js')

/** It has 5.8 MB. */
const MOST_BYTES = 6_200_000

/** What any Linux of that C library has. */
const LIBRARIES = {
  glibc: /^(libc\.so\.6|libm\.so\.6|libdl\.so\.2|libpthread\.so\.0|librt\.so\.1|libgcc_s\.so\.1|ld-linux-.*)$/,
  musl: /^(libc\.so|libc\.musl-.*)$/,
}

/** Where systems keep the folders of their users. */
const HOMES = ['home', 'Users', 'root'].map((folder) => `/${folder}/`)

/**
 * @param {import('../platforms.js').Platform} platform
 * @param {string} file
 * @returns {string[]} what is wrong with it
 */
function faults(platform, file) {
  const content = fs.readFileSync(file)
  const found = []
  if (content.length > MOST_BYTES) found.push(`it has ${content.length} bytes, and may have ${MOST_BYTES}`)
  const text = content.toString('latin1')
  // A build of OpenSSL says its version; its author's name is also in the assembly of ring, which is from there.
  const openssl = /OpenSSL \d[.\d]*\w*/.exec(text)
  if (openssl) found.push(`it carries ${openssl[0]}`)
  const places = [root, os.homedir(), ...HOMES, '\\Users\\', '/.cargo/', '/.rustup/']
  for (const place of places.filter((place) => place.length > 1 && text.includes(place))) {
    const at = text.indexOf(place)
    found.push(`it contains the path of its build: ${/[\x20-\x7e]+/.exec(text.slice(at, at + 80))?.[0]}`)
  }
  return platform.os === 'linux' ? [...found, ...elfFaults(platform, file)] : found
}

/**
 * @param {import('../platforms.js').Platform} platform
 * @param {string} file
 */
function elfFaults({ libc = 'glibc' }, file) {
  const read = (/** @type {string[]} */ ...args) =>
    execFileSync('readelf', ['--wide', ...args, file], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
      maxBuffer: 64 << 20,
    })
  const found = []
  const libraries = [...read('--dynamic').matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, library]) => String(library))
  if (libraries.length === 0) found.push('it names no library that it needs, so that readelf was not understood')
  for (const library of libraries.filter((name) => !LIBRARIES[libc].test(name))) found.push(`it needs ${library}`)
  const newest = newestGlibc(read('--version-info'))
  if (libc === 'glibc' && newest === undefined) found.push('it names no version of glibc')
  if (libc === 'musl' && newest !== undefined) found.push(`it needs glibc ${newest}`)
  if (newest !== undefined && compareVersions(newest, GLIBC) > 0) found.push(`it needs glibc ${newest}, not ${GLIBC}`)
  const sections = /\.(symtab|debug_\w+)\b/.exec(read('--sections'))
  if (sections) found.push(`it is not stripped: it has a section ${sections[0]}`)
  const exported = [
    ...read('--dyn-syms').matchAll(/^\s*\d+: [0-9a-f]+\s+\d+ FUNC +(?:GLOBAL|WEAK) +DEFAULT +\d+ (\S+)/gm),
  ]
  const foreign = exported.map(([, name]) => String(name)).filter((name) => !name.startsWith('napi_register_'))
  if (foreign.length > 0) found.push(`it exports ${foreign.join(', ')}`)
  return found
}

/** @param {string} versions as readelf lists them */
function newestGlibc(versions) {
  const found = [...versions.matchAll(/\bGLIBC_(\d+(?:\.\d+)+)/g)].map(([, version]) => String(version))
  return found.sort(compareVersions).at(-1)
}

/**
 * @param {string} a
 * @param {string} b
 */
function compareVersions(a, b) {
  return a.localeCompare(b, 'en', { numeric: true })
}

module.exports = { faults }

if (require.main === module) {
  const subject = platform(String(process.argv[2]))
  const file = process.argv[3] ?? path.join(folder(subject), addonName(subject))
  const found = faults(subject, file)
  for (const fault of found) console.error(`${file}: ${fault}`)
  if (found.length === 0) console.log(`${file}: ${fs.statSync(file).size} bytes, fit to be released`)
  process.exitCode = found.length > 0 ? 1 : 0
}
