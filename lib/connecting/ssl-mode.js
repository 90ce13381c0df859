// @ts-check
// `sslmode` of a connection string.
'use strict'

const { parts, withQuery } = require('./hosts.js')

/** What pg-connection-string 2 takes for `verify-full`. It prints a warning that its version 3 will not. */
const ALIASES = ['prefer', 'require', 'verify-ca']

/**
 * The same connection string with the name of what it means. So a user gets no warning of a library that is not theirs,
 * and the meaning stays when that library is replaced by a newer one.
 *
 * @param {string} connectionString
 */
function withoutAliases(connectionString) {
  const found = parts(connectionString)
  // Of a parameter that is given several times, the last one counts.
  const last = (/** @type {string} */ name) => found.query.getAll(name).at(-1) ?? ''
  if (!ALIASES.includes(last('sslmode')) || last('uselibpqcompat') === 'true') return connectionString
  return withQuery(found, new URLSearchParams({ sslmode: 'verify-full' }))
}

module.exports = { withoutAliases }
