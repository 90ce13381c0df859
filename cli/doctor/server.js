// @ts-check
// Checks the server and its settings.
'use strict'

const { connections: connectionsOf } = require('../queries/server.js')
const { count, duration } = require('../units.js')
const { failed, ok, warning } = require('./check.js')

/** The first version that the package is tested with. */
const OLDEST = 13

/** If this part of the connections is in use, the next peak may use up the rest. */
const CROWDED = 0.8

/**
 * @param {import('../session.js').Session} session
 * @returns {Promise<import('./check.js').Check[]>}
 */
async function checkServer(session) {
  const { server } = session
  return [version(server), writes(server), durability(server), timeouts(server), await connections(session)]
}

/** @param {any} server */
function version({ version, versionNumber }) {
  const major = Math.floor(versionNumber / 10_000)
  if (major >= OLDEST) return ok('version', `PostgreSQL ${version}`)
  return warning('version', `PostgreSQL ${version}; nothing before ${OLDEST} is tested`, 'Upgrade the server.')
}

/** @param {any} server */
function writes({ isStandby, settings }) {
  if (isStandby) {
    const advice = 'Name the primary, or all hosts with target_session_attrs=read-write.'
    return failed('writes', 'this server is a standby and takes none', advice)
  }
  if (settings.transaction_read_only === 'on') {
    return failed('writes', 'sessions are read-only', 'See default_transaction_read_only of server, database and role.')
  }
  return ok('writes', 'the server takes them')
}

/** @param {any} server */
function durability({ settings }) {
  const off = ['fsync', 'full_page_writes', 'synchronous_commit'].filter((name) => settings[name] === 'off')
  if (off.length === 0) return ok('durability', 'what is acknowledged is on disk')
  const message = `${off.join(' and ')} ${off.length === 1 ? 'is' : 'are'} off: a crash may undo what was acknowledged, locks too`
  return warning('durability', message, 'Leave them on, unless the data may go.')
}

const TIMEOUTS = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']

/** Below this, a short stall of the server is enough. */
const SHORT_MS = 1000

/** @param {any} server */
function timeouts({ settings }) {
  const set = TIMEOUTS.filter((name) => Number(settings[name]) > 0)
  const said = set.map((name) => `${name} is ${duration(Number(settings[name]))}`).join(', ')
  if (set.some((name) => Number(settings[name]) < SHORT_MS)) {
    return warning(
      'time limits',
      said,
      'Calls that wait for a row, or for a busy server, will fail with 57014 or 55P03.',
    )
  }
  return ok('time limits', said || 'none are set in the server')
}

/** @param {import('../session.js').Session} session */
async function connections(session) {
  const { settings } = session.server
  const { total } = await connectionsOf(session)
  const room = Number(settings.max_connections) - Number(settings.superuser_reserved_connections)
  const message = `${count(total)} of ${count(room)} are open`
  if (total < room * CROWDED) return ok('connections', message)
  return warning(
    'connections',
    message,
    'Raise max_connections, or lower the pools’ max: without one, calls fail with 53300.',
  )
}

module.exports = { checkServer }
