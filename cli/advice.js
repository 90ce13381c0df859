// @ts-check
// What to do about an error, by its code.
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
  ERR_GOSCOPE_TARGET_SESSION: 'Name all hosts in the URL, or leave target_session_attrs out.',
  '08P01':
    'Through PgBouncer: is its pool_mode transaction or session (statement mode refuses transactions), is the password right, and does it know each start-up parameter that you set (`ignore_startup_parameters`)?',
  25006: 'The server is read-only: a standby?',
  28000: 'pg_hba.conf of the server does not let this user in from here, or not without TLS.',
  '28P01': 'The password is wrong: see PGPASSWORD, the URL or the password file.',
  '3D000': `There is no such database (${WHERE}).`,
  42501: 'The role has not the right: see sql/role.sql, or run `goscope-postgres doctor`.',
  42703: 'A table lacks a column: `goscope-postgres doctor` says which.',
  '42P01':
    'connect() makes the table, and so does `goscope-postgres schema | psql`. Or is it in another schema or database?',
  53300: 'The server has no connection left. Close some, or raise max_connections.',
  57014: 'The server’s statement_timeout cut it short.',
  '57P03': 'The server is starting up or shutting down. Try again in a moment.',
}

/** @param {any} error */
const adviceFor = (error) => error?.advice ?? ADVICE[error?.code]

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
