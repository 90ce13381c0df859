// @ts-check
// What the page shows of an error.
'use strict'

const { adviceFor, describe, isRefusal } = require('../advice.js')

/** The SQLSTATE of a table that does not exist. */
const ABSENT = '42P01'

/**
 * @typedef {object} Failure
 * @property {string} message
 * @property {string | null} advice
 * @property {'absent' | 'refused' | 'unreachable'} kind a table is not there; the server, or the addon, has refused;
 *   the server does not answer, and may come back
 */

/** @param {any} error @returns {Failure} */
function failureOf(error) {
  const kind = error?.code === ABSENT ? 'absent' : isRefusal(error) || isOurs(error) ? 'refused' : 'unreachable'
  return { message: describe(error), advice: adviceFor(error) ?? null, kind }
}

/** Whether the addon refuses, as a table that another role has made. @param {any} error */
const isOurs = (error) => /^ERR_/.test(error?.code ?? '')

module.exports = { failureOf }
