// @ts-check
'use strict'

const { types } = require('node:util')

/**
 * A value as an SQL literal without a type, for the server to find one.
 *
 * @param {unknown} value
 * @returns {string}
 */
function literal(value) {
  if (value == null) return 'NULL'
  const text = asText(value)
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`
  return text.includes('\\') ? ` E${quoted}` : quoted
}

/**
 * @param {unknown} value
 * @returns {string}
 */
function asText(value) {
  if (types.isDate(value)) return value.toISOString()
  if (types.isUint8Array(value)) return `\\x${Buffer.from(value).toString('hex')}`
  if (Array.isArray(value)) return `{${value.map(asElement).join(',')}}`
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** @param {unknown} value */
function asElement(value) {
  if (value == null) return 'NULL'
  return Array.isArray(value) ? asText(value) : `"${asText(value).replace(/["\\]/g, '\\$&')}"`
}

module.exports = { literal }
