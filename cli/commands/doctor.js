// @ts-check
'use strict'

const { adviceFor, describe, problemOf } = require('../advice.js')
const { FAILED, FINE, UNREACHABLE } = require('../problem.js')
const { PREFIX } = require('../options.js')
const { NAMES } = require('../tables.js')
const { counted } = require('../units.js')

/** @typedef {import('../doctor/check.js').Check} Check */

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
Each check is ok, a warning or failed, with what to do about it. Fails where an adapter would; warns of what may cost
time or a guarantee. Exits with 1 if a check fails and with 3 if the server cannot be reached; warnings are fine.

--json prints { ok: boolean, checks: [{ name, status: "ok" | "warning" | "failed", message, advice }] }.`,
  options: {
    ...PREFIX,
    only: {
      type: 'string',
      value: 'TABLES',
      values: Object.keys(NAMES),
      help: `only these: some of ${Object.keys(NAMES).join(',')}`,
    },
    table: { type: 'string', value: 'NAME', help: 'and the table of a PostgresCacheAdapter' },
    'no-create-tables': { type: 'boolean', help: 'for adapters with createTables: false: a missing table fails' },
  },
  reachesItself: true,

  async look(session, given) {
    const checks = [require('../doctor/installation.js').installation()]
    const reached = await reach(session)
    checks.push(reached)
    if (reached.status !== 'failed') {
      const { checkServer } = require('../doctor/server.js')
      const { checkSession } = require('../doctor/session.js')
      const { checkTables } = require('../doctor/tables.js')
      const { checkRouting } = require('../doctor/routing.js')
      for (const check of [checkServer, checkSession, checkRouting, checkTables])
        checks.push(...(await check(session, given)))
    }
    const ok = checks.every(({ status }) => status !== 'failed')
    return { data: { ok, checks } }
  },

  show({ checks }, view) {
    const lines = checks.map((/** @type {Check} */ { name, status, message, advice }) => {
      const mark = view.paint(MARKS[status], COLOURS[status])
      const said = [message, ...(advice ? [`→ ${advice}`] : [])]
      return view.entry(`${mark}  ${name}`, MARKS[status].length + 2 + name.length, said)
    })
    const of = (/** @type {Check['status']} */ status) =>
      checks.filter((/** @type {Check} */ check) => check.status === status).length
    return `${lines.join('')}\n${counted(checks.length, 'check')}: ${of('failed')} failed, ${counted(of('warning'), 'warning')}\n`
  },

  exitCode: ({ ok, checks }) =>
    ok ? FINE : checks.some((/** @type {any} */ check) => check.isUnreachable) ? UNREACHABLE : FAILED,
}

const MARKS = { ok: 'ok  ', warning: 'warn', failed: 'FAIL' }
const COLOURS = /** @type {const} */ ({ ok: 'green', warning: 'yellow', failed: 'red' })

/**
 * @param {import('../session.js').Session} session
 * @returns {Promise<Check & { isUnreachable?: boolean }>}
 */
async function reach(session) {
  try {
    const { database, role, version } = await session.reach()
    return {
      name: 'connection',
      status: 'ok',
      message: `to the database "${database}" as "${role}", PostgreSQL ${version}`,
    }
  } catch (error) {
    if (problemOf(error, session.wasReached) === undefined) throw error
    const advice = adviceFor(error)
    return {
      name: 'connection',
      status: 'failed',
      message: describe(error),
      ...(advice && { advice }),
      isUnreachable: true,
    }
  }
}
