// @ts-check
// The messages for a missing or wrong addon: what is missing, and what to do about it.
'use strict'

const { PLATFORMS, installed } = require('./packages.js')

const FROM_SOURCE =
  'build it from the sources, with Rust (npm ci && npm run build), and let GOSCOPE_POSTGRES_NATIVE name the .node file'

/** @param {string} platform */
function missing(platform) {
  if (!PLATFORMS.includes(platform)) {
    return failure(
      'ERR_MODULE_NOT_FOUND',
      `goscope-postgres has no native addon for ${platform}. There are packages for ${PLATFORMS.join(', ')}. ` +
        `For any other platform, ${FROM_SOURCE}.`,
    )
  }
  const [system, cpu, libc] = platform.split('-')
  const others = installed()
  return failure(
    'ERR_MODULE_NOT_FOUND',
    [
      `goscope-postgres cannot find its native addon: the package goscope-postgres-${platform} is not installed.`,
      ...(others.length > 0 ? [otherwise(platform, others)] : []),
      'It is an optional dependency of goscope-postgres. Which of these is so?',
      '- It was left out on purpose, by --omit=optional, --no-optional or a setting of that name: install without that.',
      '- The lockfile was written on another platform, or by a reinstall over an old node_modules, and npm has lost the',
      '  package (https://github.com/npm/cli/issues/4828): remove package-lock.json and node_modules, then npm install.',
      '- node_modules was copied from another platform, or into an image: install there, or for there as well:',
      `  npm: npm install --os=${system} --cpu=${cpu}${system === 'linux' ? ` --libc=${LIBC[String(libc)]}` : ''}`,
      `  pnpm, in pnpm-workspace.yaml: supportedArchitectures, with os ${system}, cpu ${cpu}${linuxOnly(system, libc)}`,
      '  Yarn, in .yarnrc.yml: supportedArchitectures, with the same',
      '- The package is inside of a bundle: keep goscope-postgres out of it, and install it where the bundle runs.',
      `- Or ${FROM_SOURCE}.`,
    ].join('\n'),
  )
}

/** @type {Record<string, string>} */
const LIBC = { gnu: 'glibc', musl: 'musl' }

/**
 * @param {string | undefined} system
 * @param {string | undefined} libc
 */
const linuxOnly = (system, libc) => (system === 'linux' ? `, libc ${LIBC[String(libc)]}` : '')

/**
 * @param {string} platform
 * @param {string[]} others
 */
function otherwise(platform, others) {
  const names = others.map((other) => `goscope-postgres-${other}`).join(', ')
  const twin = platform.endsWith('musl') ? platform.replace('musl', 'gnu') : platform.replace('gnu', 'musl')
  const [theirs, here] = platform.endsWith('musl') ? ['glibc', 'musl'] : ['musl', 'glibc']
  return `Installed is ${names}${twin !== platform && others.includes(twin) ? `: that is for ${theirs}, and this system has ${here}` : ''}.`
}

/**
 * @param {string} from a file or a package
 * @param {unknown} cause
 */
function unloadable(from, cause) {
  const why = cause instanceof Error ? cause.message : String(cause)
  return failure('ERR_DLOPEN_FAILED', `goscope-postgres cannot load its native addon from ${from}: ${why}`, cause)
}

/**
 * @param {string} from a file or a package
 * @param {string | undefined} built
 * @param {string} wanted
 */
function otherVersion(from, built, wanted) {
  return failure(
    'ERR_DLOPEN_FAILED',
    `goscope-postgres ${wanted} needs a native addon of the same version, and that of ${from} is ` +
      `${built ?? 'none, or an older one'}: install both anew, or build it anew (npm run build)`,
  )
}

/**
 * @param {string} code
 * @param {string} message
 * @param {unknown} [cause]
 */
function failure(code, message, cause) {
  return Object.assign(cause === undefined ? new Error(message) : new Error(message, { cause }), { code })
}

module.exports = { missing, otherVersion, unloadable }
