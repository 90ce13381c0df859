// @ts-check
// Obstacles that make writes fail, wait or get lost although the tables are as documented.
'use strict'

const { quote } = require('../tables.js')
const { failed, warning } = require('./check.js')

/**
 * @typedef {object} Obstacles as cli/queries/obstacles.js finds them; tables are named as in SQL, quoted
 * @property {string[]} functions
 * @property {{ table: string, name: string, on: string }[]} triggers
 * @property {{ table: string, name: string, definition: string }[]} constraints
 * @property {{ names: string, commit: string, present: number, synchronous: number | null }} standbys
 * @property {{ role: string, ofRole: number, ofDatabase: number }} limits
 *
 * @typedef {import('./check.js').Check} Check
 */

/** The connections that a pool opens if its `max` is not set, and one more, which receives notifications. */
const CONNECTIONS = 11

/** The adapters work without it. */
const OPTIONAL = ['pg_stat_get_activity']

/**
 * The obstacles of the server, for any tables.
 *
 * @param {Obstacles} obstacles
 * @param {string} role that is connected
 * @returns {Check[]}
 */
const checkObstacles = ({ functions, standbys, limits }, role) =>
  [executable(functions, role), replicated(standbys), ...limited(limits)].filter((check) => check !== undefined)

/**
 * @param {string[]} functions
 * @param {string} role
 */
function executable(functions, role) {
  if (functions.length === 0) return undefined
  const grants = functions.map((name) => `GRANT EXECUTE ON FUNCTION pg_catalog.${name} TO ${quote([role])};`).join(' ')
  const message = `no EXECUTE of ${functions.join(', ')}: what needs it fails with 42501`
  const isNeeded = functions.some((name) => !OPTIONAL.some((optional) => name.startsWith(`${optional}(`)))
  return isNeeded ? failed('functions', message, grants) : warning('functions', message, grants)
}

/**
 * A commit waits for as many standbys as the setting names, without a time limit.
 *
 * @param {Obstacles['standbys']} standbys
 */
function replicated({ names, commit, present, synchronous }) {
  if (names.trim() === '' || ['off', 'local'].includes(commit)) return undefined
  const wanted = Number(/^\s*(?:(?:FIRST|ANY)\s+)?(\d+)\s*\(/i.exec(names)?.[1] ?? 1)
  // This role may not see which of them are synchronous, but it can see that there are too few.
  const found = synchronous ?? present
  if (found >= wanted) return undefined
  return failed(
    'synchronous standbys',
    `synchronous_standby_names is '${names}', and ${found} of ${wanted} such standbys are connected: each write waits until they are`,
    'Start the standbys, or take them out of synchronous_standby_names and reload the server.',
  )
}

/** @param {Obstacles['limits']} limits */
const limited = ({ role, ofRole, ofDatabase }) =>
  [
    { of: `the role ${role}`, limit: ofRole, sql: `ALTER ROLE ${quote([role])} CONNECTION LIMIT …;` },
    { of: 'this database', limit: ofDatabase, sql: 'ALTER DATABASE … CONNECTION LIMIT …;' },
  ]
    .filter(({ limit }) => limit >= 0 && limit < CONNECTIONS)
    .map(({ of, limit, sql }) =>
      warning(
        'connection limit',
        `${of} may have ${limit} connections at a time; one pool opens up to its max, 10 if it is not set, and one for notifications`,
        `${sql} Or give the pools a lower max: calls that find no connection fail with 53300.`,
      ),
    )

/**
 * The obstacles of one table.
 *
 * @param {string} name
 * @param {string} table as in SQL
 * @param {string} key the column that is unique
 * @param {Obstacles} obstacles
 * @param {{ name: string, isUnique: boolean, columns: string[] }[]} indexes of the table
 * @returns {Check[]}
 */
function tableObstacles(name, table, key, { triggers, constraints }, indexes) {
  const [runs, holds] = [triggers, constraints].map((all) => all.filter((each) => each.table === table))
  const unique = indexes
    .filter(({ isUnique, columns }) => isUnique && !columns.includes(key))
    .map(({ name, columns }) => `${name} (UNIQUE on ${columns.join(', ')})`)
  const broken = [...holds.map((each) => `${each.name} (${/** @type {any} */ (each).definition})`), ...unique]
  const checks = []
  if (runs.length > 0) {
    const said = runs.map((each) => `${each.name} on ${/** @type {any} */ (each).on}`).join(', ')
    const message = `a trigger that is not of this package runs before each write: ${said}; if it returns NULL, the write is lost`
    checks.push(
      warning(
        `${name} triggers`,
        message,
        'Make sure that it returns NEW, or OLD for DELETE, and changes no column of the adapters.',
      ),
    )
  }
  if (broken.length > 0) {
    const message = `has constraints that are not documented: ${broken.join('; ')}`
    const advice =
      'A write that violates one fails with its SQLSTATE, such as 23514 or 23505. Make sure that what the adapters write fits.'
    checks.push(warning(`${name} constraints`, message, advice))
  }
  return checks
}

module.exports = { checkObstacles, tableObstacles }
