// @ts-check
// The changes that a page asks for, with --allow-changes.
'use strict'

const { KINDS } = require('../row-changes.js')
const { misuse } = require('../problem.js')

/** @param {any} body @param {string[]} caches @returns {import('../row-changes.js').Wanted} */
function wantedOf({ kind, storedKey, table }, caches) {
  if (typeof kind !== 'string' || !Object.hasOwn(KINDS, kind)) throw misuse('there is no such change')
  if (typeof storedKey !== 'string' || storedKey.includes('\0')) throw misuse('storedKey must be a stored key')
  if (table !== undefined && !caches.includes(table)) throw misuse('table must be one that --table names')
  return { kind, storedKey, table }
}

module.exports = { wantedOf }
