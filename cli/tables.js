// @ts-check
// The tables, by their purpose, and the rights that an application needs there (see sql/role.sql).
'use strict'

const { tableName } = require('../lib/arguments.js')
const { misuse } = require('./problem.js')
const cache = require('./queries/cache.js')
const checkpoints = require('./queries/checkpoints.js')
const circuits = require('./queries/circuits.js')
const idempotency = require('./queries/idempotency.js')
const locks = require('./queries/locks.js')

const ALL = ['SELECT', 'INSERT', 'UPDATE', 'DELETE']

/**
 * @typedef {(session: import('./session.js').Session) => Promise<any>} Counts
 * @type {{ name: string, counts: Counts, rights: string[] }[]}
 */
const DOCUMENTED = [
  { name: 'go_goscope_locks', counts: locks.counts, rights: ALL },
  { name: 'go_goscope_circuit', counts: circuits.counts, rights: ['SELECT', 'INSERT', 'UPDATE'] },
  { name: 'go_goscope_cache', counts: (session) => cache.counts(session), rights: ALL },
  { name: 'go_goscope_checkpoints', counts: checkpoints.counts, rights: ALL },
  { name: 'go_goscope_idempotency', counts: idempotency.counts, rights: ALL },
]

/** By the words for their contents. */
const NAMES = Object.fromEntries([
  ['locks', 'go_goscope_locks'],
  ['circuits', 'go_goscope_circuit'],
  ['cache', 'go_goscope_cache'],
  ['checkpoints', 'go_goscope_checkpoints'],
  ['idempotency', 'go_goscope_idempotency'],
])

/** @param {string} text */
const namesOf = (text) =>
  text.split(',').map((word) => {
    const name = word.trim()
    if (!Object.hasOwn(NAMES, name)) throw misuse(`--only knows ${Object.keys(NAMES).join(', ')}, and not '${word}'`)
    return NAMES[name]
  })

/** @param {string[]} parts */
const quote = (parts) => parts.map((part) => `"${part.replaceAll('"', '""')}"`).join('.')

/**
 * A table's name in SQL, taken literally. If no such table exists, it is the name as the pg-based adapter has written
 * it, which the server folds. The first that exists is used.
 *
 * @param {string} name `name` or `schema.name`
 * @returns {string[]}
 */
function quoted(name) {
  const parts = tableName(name)
  const isPlain = parts.every((part) => /^[A-Za-z0-9_$]+$/.test(part))
  return [...new Set([quote(parts), ...(isPlain ? [quote(parts.map((part) => part.toLowerCase()))] : [])])]
}

module.exports = { ALL, DOCUMENTED, NAMES, namesOf, quote, quoted }
