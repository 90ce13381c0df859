// @ts-check
// The tables, by what they are for, and the rights that an application needs there (see sql/role.sql).
'use strict'

const { tableName } = require('../arguments.js')

const ALL = ['SELECT', 'INSERT', 'UPDATE', 'DELETE']

/** @type {{ name: string, counts: string, rights: string[] }[]} */
const DOCUMENTED = [
  { name: 'go_goscope_locks', counts: 'lockCounts', rights: ALL },
  { name: 'go_goscope_circuit', counts: 'circuitCounts', rights: ['SELECT', 'INSERT', 'UPDATE'] },
  { name: 'go_goscope_cache', counts: 'cacheCounts', rights: ALL },
  { name: 'go_goscope_checkpoints', counts: 'checkpointCounts', rights: ALL },
  { name: 'go_goscope_idempotency', counts: 'idempotencyCounts', rights: ALL },
]

/** @param {string[]} parts */
const quote = (parts) => parts.map((part) => `"${part.replaceAll('"', '""')}"`).join('.')

/**
 * A table's name in SQL, to the letter; and where no such table exists, as the pg-based adapter has written it, which the
 * server folds. The first that exists is meant.
 *
 * @param {string} name `name` or `schema.name`
 * @returns {string[]}
 */
function quoted(name) {
  const parts = tableName(name)
  const isPlain = parts.every((part) => /^[A-Za-z0-9_$]+$/.test(part))
  return [...new Set([quote(parts), ...(isPlain ? [quote(parts.map((part) => part.toLowerCase()))] : [])])]
}

module.exports = { ALL, DOCUMENTED, quote, quoted }
