// @ts-check
// The packages that contain the addon. Their names are written one by one, so that tools that copy what a program
// requires (Next.js, the tracers of serverless platforms) see them.
'use strict'

const { createRequire } = require('node:module')

/** @type {Record<string, () => any>} */
const LOAD = {
  // @ts-expect-error: one of them is installed, at most
  'linux-x64-gnu': () => require('goscope-postgres-linux-x64-gnu'),
  // @ts-expect-error
  'linux-arm64-gnu': () => require('goscope-postgres-linux-arm64-gnu'),
  // @ts-expect-error
  'linux-x64-musl': () => require('goscope-postgres-linux-x64-musl'),
  // @ts-expect-error
  'linux-arm64-musl': () => require('goscope-postgres-linux-arm64-musl'),
  // @ts-expect-error
  'darwin-x64': () => require('goscope-postgres-darwin-x64'),
  // @ts-expect-error
  'darwin-arm64': () => require('goscope-postgres-darwin-arm64'),
  // @ts-expect-error
  'win32-x64-msvc': () => require('goscope-postgres-win32-x64-msvc'),
  // @ts-expect-error
  'win32-arm64-msvc': () => require('goscope-postgres-win32-arm64-msvc'),
}

const PLATFORMS = Object.keys(LOAD)

/** @param {string} platform */
const load = (platform) => LOAD[platform]?.()

/** The platforms whose packages are installed, including other platforms than this one. */
function installed() {
  const { resolve } = createRequire(__filename)
  return PLATFORMS.filter((platform) => {
    try {
      return resolve(`goscope-postgres-${platform}/package.json`)
    } catch {
      return false
    }
  })
}

module.exports = { PLATFORMS, installed, load }
