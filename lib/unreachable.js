// @ts-check
'use strict'

/**
 * Codes with which a server, or a pooler before it, accepts no calls at present: of connections (class 08), no
 * connection left (53300), it is being shut down, has crashed or is still starting (57P01, 57P02, 57P03), or none of
 * the hosts is of the requested kind.
 */
const REFUSES = /^(08...|53300|57P0[123]|ERR_GOSCOPE_TARGET_SESSION)$/

/**
 * Codes of Node's network errors, such as `ECONNREFUSED` and `EAI_AGAIN`, but not of its own checks, such as
 * `ERR_OUT_OF_RANGE`.
 */
const NETWORK = /^E(?!RR_)[A-Z][A-Z0-9_]*$/

/**
 * Whether a call has failed because the database cannot be reached, or was lost under way.
 *
 * @param {any} error
 * @returns {boolean}
 */
function isUnreachable(error) {
  const code = error?.code
  return typeof code === 'string' && (NETWORK.test(code) || REFUSES.test(code))
}

module.exports = { isUnreachable }
