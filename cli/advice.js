// @ts-check
// What to do about an error, by its code: Node's codes here, the server's in native code.
'use strict'

const { FAILED, Problem, UNREACHABLE, USAGE } = require('./problem.js')

const WHERE = '--url, DATABASE_URL or the PG* variables'
const UNTRUSTED = 'Give Node the authority: NODE_EXTRA_CA_CERTS=/path/to/ca.pem, or sslrootcert in the URL.'

/** @type {Record<string, string>} */
const ADVICE = {
  ECONNREFUSED: `Nothing listens there. Is the server up, and are host and port right (${WHERE})?`,
  ENOTFOUND: `No such host. Is it right (${WHERE})?`,
  EAI_AGAIN: 'The host’s name could not be looked up just now. Is the network up?',
  ETIMEDOUT: 'No answer in time. Is a firewall in between? --connect-timeout waits longer.',
  EHOSTUNREACH: 'There is no way to that host from here.',
  ENOENT: `There is no such socket. Is the server up, and is the folder right (${WHERE})?`,
  ECONNRESET:
    'The connection was cut. Is there a proxy or a firewall in between? PgBouncer in statement mode does that, too: writes need transactions, so set its pool_mode to transaction or session.',
  CERT_HAS_EXPIRED: 'The server’s certificate has to be renewed.',
  ERR_TLS_CERT_ALTNAME_INVALID: 'The certificate is another host’s. Connect by the name that it has.',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  ERR_INVALID_URL: `Is the port a number up to 65535, and are special characters of the password written as %XX (${WHERE})?`,
  ERR_SOCKET_BAD_PORT: `Is the port right (${WHERE})?`,
  ERR_GOSCOPE_TARGET_SESSION: 'Name all hosts in the URL, or leave target_session_attrs out.',
}

/** Of the same code as a connection that could not be opened in time: see lib/errors.js. */
const UNANSWERED = 'Query read timeout'
const ADVICE_IF_UNANSWERED =
  'The connection is lost, or the read takes long. query_timeout=60000 in the URL (--url) waits longer, for 60 s.'

/** @param {any} error @returns {string | undefined} */
const adviceFor = (error) =>
  error?.advice ??
  (error?.message === UNANSWERED ? ADVICE_IF_UNANSWERED : undefined) ??
  ADVICE[error?.code] ??
  adviceForSqlstate(error?.code)

/** As src/engine/sqlstate.rs has it, where retries read what a code means. @param {unknown} code */
function adviceForSqlstate(code) {
  if (typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code)) return undefined
  return require('../lib/native.js').adviceForSqlstate(code) ?? undefined
}

/**
 * Whether the server answered, and refused. A loss of the connection may come as the server's last word, too.
 *
 * @param {any} error
 */
const isRefusal = (error) => error?.severity !== undefined && !/^(08|57P|53300)/.test(error.code)

/**
 * @param {any} error
 * @param {boolean} wasReached whether the server has answered before
 * @returns {Problem | undefined} undefined for what should not have happened
 */
function problemOf(error, wasReached) {
  if (error instanceof Problem) return error
  const { code } = error ?? {}
  const message = describe(error)
  if (/^ERR_(INVALID_ARG|OUT_OF_RANGE|PARSE_ARGS)/.test(code)) return new Problem(USAGE, message)
  if (code === 'ERR_INVALID_URL' || code === 'ERR_SOCKET_BAD_PORT') return new Problem(USAGE, message, adviceFor(error))
  if (isRefusal(error) && wasReached) return new Problem(FAILED, message, adviceFor(error))
  if (!wasReached || error?.severity !== undefined || code in ADVICE) {
    return new Problem(UNREACHABLE, message, adviceFor(error))
  }
  return undefined
}

/** @param {any} error */
function describe(error) {
  const code = error?.code === undefined ? '' : ` (${error.code})`
  // As for a host whose addresses have all refused.
  const each = error instanceof AggregateError ? error.errors.map((/** @type {any} */ one) => one.message) : []
  const message = error?.message || [...new Set(each)].join('; ') || 'it failed'
  return message.includes(error?.code) ? message : `${message}${code}`
}

module.exports = { adviceFor, describe, isRefusal, problemOf }
