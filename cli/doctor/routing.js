// @ts-check
// Checks whether every session, and every read, is on one server that takes writes.
'use strict'

const { describe } = require('../advice.js')
const { identity, identityOfReader } = require('../queries/server.js')
const { Session } = require('../session.js')
const { failed, ok, warning } = require('./check.js')

/** A proxy that chooses at random between two servers gives all of them the same one in 1 of 128 runs. */
const SESSIONS = 8

const ADVICE =
  'Name one endpoint of the primary, without routing of reads; or all hosts, with target_session_attrs=read-write.'

/**
 * @typedef {{ startedAt: number, isReadOnly: boolean }} Identity of a server: two never start in the same microsecond, and
 * one may have several addresses
 */

/**
 * @param {Session} session
 * @param {import('../options.js').Given} given
 * @returns {Promise<import('./check.js').Check[]>}
 */
async function checkRouting({ server }, given) {
  // Reported already, whatever is behind it.
  if (server.isStandby || server.settings.transaction_read_only === 'on') return []
  /** @type {Identity[]} */
  const ours = []
  /** @type {Identity[]} */
  const others = []
  for (let number = 0; number < SESSIONS; number++) {
    const session = new Session(given)
    try {
      ours.push(await identity(session))
      others.push(await identityOfReader(session))
    } catch (error) {
      const advice =
        'All sessions must reach the same server. If it is short of connections, close some, or raise max_connections.'
      return [warning('routing', `session ${number + 1} of ${SESSIONS} has failed: ${describe(error)}`, advice)]
    } finally {
      await session.close()
    }
  }
  return [compare(ours, others)]
}

/**
 * @param {Identity[]} ours what our statements reach
 * @param {Identity[]} others what reads of other applications reach
 */
function compare(ours, others) {
  const readOnly = ours.filter(({ isReadOnly }) => isReadOnly).length
  if (readOnly > 0) {
    const message = `${readOnly} of ${SESSIONS} sessions are on a server that takes no writes: locks fail there, and reads are old`
    return failed('routing', message, ADVICE)
  }
  const servers = new Set(ours.map(({ startedAt }) => startedAt))
  if (servers.size > 1) {
    const message = `${SESSIONS} sessions are on ${servers.size} servers: a lock of one is free on another`
    return failed('routing', message, ADVICE)
  }
  if (others.some(({ startedAt }) => !servers.has(startedAt))) {
    const message = 'a proxy sends reads to another server, but ours to the primary, by the hint that they begin with'
    return warning('routing', message, ADVICE)
  }
  return ok('routing', `${SESSIONS} sessions are on one server`)
}

module.exports = { checkRouting }
