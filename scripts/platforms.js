// @ts-check
// The platforms that prebuilt binaries are made for. Each has a package of its own in `npm/`.
'use strict'

const path = require('node:path')

const root = path.join(__dirname, '..')

/**
 * @typedef {object} Platform
 * @property {string} name as in the names of its package and of its addon
 * @property {string} target Rust's name of it
 * @property {NodeJS.Platform} os
 * @property {NodeJS.Architecture} cpu
 * @property {'glibc' | 'musl'} [libc]
 */

/** @type {Platform[]} */
const PLATFORMS = [
  { name: 'linux-x64-gnu', target: 'x86_64-unknown-linux-gnu', os: 'linux', cpu: 'x64', libc: 'glibc' },
  { name: 'linux-arm64-gnu', target: 'aarch64-unknown-linux-gnu', os: 'linux', cpu: 'arm64', libc: 'glibc' },
  { name: 'linux-x64-musl', target: 'x86_64-unknown-linux-musl', os: 'linux', cpu: 'x64', libc: 'musl' },
  { name: 'linux-arm64-musl', target: 'aarch64-unknown-linux-musl', os: 'linux', cpu: 'arm64', libc: 'musl' },
  { name: 'darwin-x64', target: 'x86_64-apple-darwin', os: 'darwin', cpu: 'x64' },
  { name: 'darwin-arm64', target: 'aarch64-apple-darwin', os: 'darwin', cpu: 'arm64' },
  { name: 'win32-x64-msvc', target: 'x86_64-pc-windows-msvc', os: 'win32', cpu: 'x64' },
  { name: 'win32-arm64-msvc', target: 'aarch64-pc-windows-msvc', os: 'win32', cpu: 'arm64' },
]

/** @param {string} name a platform's, or its target's */
function platform(name) {
  const found = PLATFORMS.find((one) => one.name === name || one.target === name)
  if (!found) throw new Error(`${name} is none of ${PLATFORMS.map((one) => one.name).join(', ')}`)
  return found
}

/** @param {Platform} platform */
const packageName = ({ name }) => `goscope-postgres-${name}`
/** @param {Platform} platform */
const addonName = ({ name }) => `goscope-postgres.${name}.node`
/** @param {Platform} platform the folder of its package */
const folder = ({ name }) => path.join(root, 'npm', name)

module.exports = { PLATFORMS, addonName, folder, packageName, platform, root }
