// @ts-check
// The native addon: the file that GOSCOPE_POSTGRES_NATIVE names, or else the one that was built in this folder, or
// else that of the platform's package.
'use strict'

const fs = require('node:fs')
const { createRequire } = require('node:module')
const path = require('node:path')
const { PLATFORMS, load } = require('./native/packages.js')
const { platformName } = require('./native/platform.js')
const { version } = require('../package.json')

/** @typedef {typeof import('../native')} Native */

// Loaded only if something is wrong.
const failures = () => require('./native/failures.js')

/** @returns {Native} */
function find() {
  const named = process.env.GOSCOPE_POSTGRES_NATIVE
  if (named) return loadFile(path.resolve(named))
  const platform = platformName()
  const built = path.join(__dirname, '..', `goscope-postgres.${platform}.node`)
  return fs.existsSync(built) ? loadFile(built) : loadPackage(platform)
}

/** @param {string} file */
function loadFile(file) {
  let native
  try {
    native = createRequire(file)(file)
  } catch (error) {
    throw failures().unloadable(file, error)
  }
  return fits(file, native)
}

/** @param {string} platform */
function loadPackage(platform) {
  const name = `goscope-postgres-${platform}`
  let native
  try {
    native = PLATFORMS.includes(platform) ? load(platform) : undefined
  } catch (error) {
    if (Reflect.get(Object(error), 'code') !== 'MODULE_NOT_FOUND') throw failures().unloadable(name, error)
  }
  if (native === undefined) throw failures().missing(platform)
  return fits(name, native)
}

/**
 * JavaScript and native code call each other by names and in orders that change between versions.
 *
 * @param {string} from
 * @param {Native} native
 */
function fits(from, native) {
  const built = native.buildInfo?.().version
  if (built !== version) throw failures().otherVersion(from, built, version)
  return native
}

module.exports = find()
