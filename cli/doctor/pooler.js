// @ts-check
// Checks whether a pooler is in between, and what it does with sessions.
'use strict'

const { backend } = require('../queries/server.js')
const { Session } = require('../session.js')
const { failed, ok, warning } = require('./check.js')

const DIRECT = 'All operations work. Connect to the server itself where each call’s time matters.'

/**
 * A connection has a session of its own if that shows the start-up mark of src/engine/connection/session.rs. A pooler that shares
 * sessions does not pass the mark on. Some other poolers do not either, and the adapters cannot distinguish them.
 *
 * @param {any} server
 * @param {import('../options.js').Given} given
 * @returns {Promise<import('./check.js').Check>}
 */
async function checkPooler({ isOwnSession, takesTransactions }, given) {
  if (isOwnSession) return ok('pooler', 'none, or one that leaves sessions alone')
  if (!takesTransactions) {
    const message = 'a pooler in statement mode is in between, and refuses transactions: writes fail'
    return failed('pooler', message, 'Set its pool_mode to transaction or session for this database.')
  }
  const effects = 'no prepared statements, no LISTEN; waiting is done by polling'
  if (await sharesSessions(given)) {
    const message = `a pooler that shares sessions between transactions is in between: ${effects}`
    return warning('pooler', message, DIRECT)
  }
  const message = `a pooler is in between, and the start-up option of the adapters does not reach the server. No session was seen to be shared, but the adapters treat them as shared: ${effects}`
  return warning('pooler', message, `Let the pooler pass the start-up parameter \`options\` on, if it can. ${DIRECT}`)
}

/** A pooler that hands out its sessions in turn sometimes gives two connections different ones. */
const ROUNDS = 3

/**
 * Whether two connections that are open at the same time have used one session, or one of them has used two. If the
 * pooler has no session for them, none is shared.
 *
 * @param {import('../options.js').Given} given
 */
async function sharesSessions(given) {
  const [one, other] = [new Session(given, 1), new Session(given, 1)]
  try {
    /** @type {Set<number>[]} the sessions of each */
    const [ofOne, ofOther] = [new Set(), new Set()]
    for (let round = 0; round < ROUNDS; round++) {
      for (const [session, known] of /** @type {[Session, Set<number>][]} */ ([
        [one, ofOne],
        [other, ofOther],
        [other, ofOther],
      ])) {
        known.add(await backend(session))
      }
    }
    return ofOne.size > 1 || ofOther.size > 1 || [...ofOne].some((pid) => ofOther.has(pid))
  } catch {
    return false
  } finally {
    await Promise.all([one.close(), other.close()])
  }
}

module.exports = { checkPooler }
