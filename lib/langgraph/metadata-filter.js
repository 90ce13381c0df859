// @ts-check
'use strict'

/**
 * Whether a value contains what is wanted, as `@>` of PostgreSQL's JSONB has it: objects with further keys do, and so do arrays
 * with further items.
 *
 * @param {any} value
 * @param {any} wanted
 * @returns {boolean}
 */
function contains(value, wanted) {
  if (Array.isArray(wanted)) {
    return Array.isArray(value) && wanted.every((item) => value.some((each) => contains(each, item)))
  }
  if (typeof wanted !== 'object' || wanted === null) return value === wanted
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.entries(wanted).every(([key, item]) => Object.hasOwn(value, key) && contains(value[key], item))
}

module.exports = { contains }
