// @ts-check
// Converts native failures to the errors that an application written for `pg` expects.
'use strict'

const os = require('node:os')
const { registeredError } = require('./error-registry.js')
const { databaseErrorOf } = require('./pg.js')

/**
 * @typedef {{ kind: 'server', message: string } & Record<string, string | null>
 *   | { kind: 'network', code: string, syscall: string, address: string | null, port: number | null }
 *   | { kind: 'terminated' | 'connectTimeout' | 'queueTimeout' | 'queryTimeout' | 'noPassword' | 'closed' | 'openTransaction' | 'copyInHook' }
 *   | { kind: 'tlsAlert', reason: string, number: number, inHandshake: boolean }
 *   | { kind: 'tlsEnded', host: string }
 *   | { kind: 'tlsRefused', reason: string, seen: string | null }
 *   | { kind: 'tls' | 'unfit' | 'other' | 'panic', message: string }
 *   | { kind: 'tableOwner', table: string, role: string }
 *   | { kind: 'distributed', table: string }
 *   | { kind: 'row', table: string, column: string, problem: string }
 *   | { kind: 'message' }
 *   | { kind: 'aggregate', errors: NativeFailure[] }
 *   | { kind: 'application', id: number }
 *   | { kind: 'kept', error: unknown }} NativeFailure
 */

/** The message that pg gives for any use of an ended pool. */
const POOL_ENDED = 'Cannot use a pool after calling end on the pool'

const TLS_ENDED = 'Client network socket disconnected before secure TLS connection was established'

const OPEN_TRANSACTION =
  "a connect hook has left a transaction open, in which no call would ever be committed. Send its COMMIT or ROLLBACK before the hook's promise resolves"

const COPY_IN_HOOK =
  'a connect hook has begun a COPY FROM STDIN or COPY TO STDOUT, which native connections do not carry. Use INSERT or SELECT in the hook, or a client of your own for the COPY'

const PANICKED = 'goscope-postgres failed internally, and whether the call took effect is not known. Please report this'

/** A function of the application may throw `undefined`. */
const UNKNOWN_REASON =
  'what the pool connects with could not be found out, and its function (`password`, `stream`, a pool’s own `Client`) gave no reason. Have it throw an Error'

/** The table's column had JSON when the adapter read the catalogue, and now holds something else. */
const UNREADABLE_ANSWER =
  'the value in the database is not JSON, so it cannot be read. Correct or delete the row, and see that its column is JSONB'

/**
 * @param {any} failure a {@link NativeFailure}
 * @param {{ pool: any }} [connection] whose `pg` makes the errors
 * @returns {unknown}
 */
function toError(failure, connection) {
  switch (failure.kind) {
    case 'server':
      return serverError(failure, connection)
    case 'network':
      return networkError(failure)
    case 'terminated':
      return terminated()
    case 'connectTimeout':
      return coded(new Error('Connection terminated due to connection timeout'), 'ETIMEDOUT')
    case 'queueTimeout':
      return coded(new Error('timeout exceeded when trying to connect'), 'ETIMEDOUT')
    case 'queryTimeout':
      return coded(new Error('Query read timeout'), 'ETIMEDOUT')
    case 'noPassword':
      return new Error('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string')
    case 'aggregate':
      return aggregateError(failure.errors.map((/** @type {any} */ each) => toError(each, connection)))
    case 'tls':
      return coded(new Error(failure.message), 'ERR_GOSCOPE_TLS')
    case 'tlsAlert':
      return tlsAlert(failure)
    case 'tlsRefused':
      return tlsRefused(failure)
    case 'tlsEnded':
      return Object.assign(coded(new Error(TLS_ENDED), 'ECONNRESET'), { host: failure.host })
    case 'unfit':
      return coded(new Error(failure.message), 'ERR_GOSCOPE_TARGET_SESSION')
    case 'openTransaction':
      return coded(new Error(OPEN_TRANSACTION), 'ERR_GOSCOPE_HOOK')
    case 'copyInHook':
      return coded(new Error(COPY_IN_HOOK), 'ERR_GOSCOPE_HOOK')
    case 'row':
      return rowError(failure)
    case 'tableOwner':
      return tableOwnerError(failure)
    case 'distributed':
      return distributedError(failure)
    case 'message':
      return coded(new Error(UNREADABLE_ANSWER), 'ERR_GOSCOPE_ROW')
    case 'closed':
      return new Error(POOL_ENDED)
    case 'application':
      return registeredError(failure.id) ?? coded(new Error(UNKNOWN_REASON), 'ERR_GOSCOPE_CONNECTION')
    case 'kept':
      return failure.error
    case 'panic':
      return coded(new Error(`${PANICKED}: ${failure.message}`), 'ERR_INTERNAL_ASSERTION')
    default:
      return coded(new Error(failure.message), 'ERR_GOSCOPE_CONNECTION')
  }
}

/**
 * @param {any} failure
 * @param {{ pool: any }} [connection] whose `pg` makes the errors
 */
function serverError({ kind, message, ...fields }, connection) {
  if (fields.code === '28P01') connection?.pool?.passwordWasRefused?.()
  const DatabaseError = connection && databaseErrorOf(connection.pool)
  const error = DatabaseError
    ? new DatabaseError(message, Buffer.byteLength(message), 'error')
    : Object.assign(new Error(message), { name: 'error' })
  for (const [field, value] of Object.entries(fields)) Object.assign(error, { [field]: value ?? undefined })
  return error
}

/** @param {any} failure */
function networkError({ code, syscall, address, port }) {
  const where = address === null ? '' : port === null ? ` ${address}` : ` ${address}:${port}`
  const errno = os.constants.errno[/** @type {keyof typeof os.constants.errno} */ (code)]
  const error = coded(new Error(`${syscall} ${code}${where}`), code)
  return Object.assign(error, {
    ...(errno !== undefined && { errno: -errno }),
    syscall,
    ...(address !== null && { address }),
    ...(port !== null && { port }),
  })
}

/**
 * A row that cannot be read, with `table` and `column` as pg's DatabaseError has them.
 *
 * @param {any} failure
 */
function rowError({ table, column, problem }) {
  const message = `a row of the table ${table} cannot be read: its column "${column}" ${problem}. Correct or delete the row`
  return Object.assign(coded(new Error(message), 'ERR_GOSCOPE_ROW'), { table, column })
}

/** @param {any} failure */
function distributedError({ table }) {
  const message =
    `Citus has distributed the table ${table}, and refuses there what the adapters need: triggers, and the clock in ` +
    `DO UPDATE. Use a table of the coordinator alone: SELECT undistribute_table('${table}')`
  return Object.assign(coded(new Error(message), 'ERR_GOSCOPE_TABLE_DISTRIBUTED'), { table })
}

/** @param {any} failure */
function tableOwnerError({ table, role }) {
  const message =
    `the table ${table} is owned by the role ${role}, whose triggers on it would run with the rights of a superuser. ` +
    'Connect as a role that is not a superuser. Or, if you have looked at the table and trust it: ' +
    `ALTER TABLE ${table} OWNER TO CURRENT_USER`
  return Object.assign(coded(new Error(message), 'ERR_GOSCOPE_TABLE_OWNER'), { table })
}

/**
 * pg's error has no code. A caller may decide by codes what to do about a network, as with Node's own. So it gets the
 * code that fits; likewise for pg's time-outs.
 */
const terminated = () => coded(new Error('Connection terminated unexpectedly'), 'ECONNRESET')

/**
 * The message of OpenSSL, which Node passes on. Newer versions of it say "ssl/tls" where older ones say "sslv3".
 *
 * @param {any} failure
 */
function tlsAlert({ reason, number, inHandshake }) {
  const said = process.versions.openssl.startsWith('3.0.') ? reason.replace('ssl/tls', 'sslv3') : reason
  const message = `SSL routines:ssl3_read_bytes:${said}:SSL alert number ${number}`
  if (inHandshake) return failedWrite(message)
  const code = `ERR_SSL_${said.toUpperCase().replaceAll(' ', '_')}`
  return Object.assign(new Error(message), { library: 'SSL routines', reason: said, code })
}

/**
 * The server speaks TLS that Node understands, and native code does not.
 *
 * @param {any} failure
 */
function tlsRefused({ reason, seen }) {
  const what = seen ? `The server chose ${seen} for Node` : 'The server has no TLS in common with it'
  const message = `Native TLS failed (${reason}). ${what}. ${NATIVE_TLS}`
  return coded(new Error(message), 'ERR_GOSCOPE_TLS')
}

const NATIVE_TLS =
  'Native TLS speaks TLS 1.3, and TLS 1.2 with ECDHE and AES-GCM or ChaCha20-Poly1305; with TLS 1.2 the key must be RSA, ' +
  'P-256, P-384 or Ed25519, and a client’s not RSA-PSS. Its key exchange is X25519, P-256 or P-384 (ssl_groups, ssl_ecdh_curve). ' +
  'Enable TLS 1.3 on the server, or such a cipher or key exchange, or use a key of one of these types'

/**
 * pg has its first message ready before the handshake is over. So it sees a handshake that fails as a failed write.
 *
 * @param {string} message of OpenSSL
 */
function failedWrite(message) {
  return Object.assign(new Error(`write EPROTO ${message}`), {
    errno: -os.constants.errno.EPROTO,
    code: 'EPROTO',
    syscall: 'write',
  })
}

/**
 * As Node's own error if each address of a host refused: no message, the first one's code. If the hosts have
 * different faults, the message says so.
 *
 * @param {any[]} errors
 */
function aggregateError(errors) {
  const { code } = errors[0]
  const message = errors.every((error) => error.code === code) ? '' : errors.map((error) => error.message).join('; ')
  return Object.assign(new AggregateError(errors, message), code !== undefined && { code })
}

/**
 * @template {Error} E
 * @param {E} error
 * @param {string} code
 */
const coded = (error, code) => Object.assign(error, { code })

module.exports = { toError, terminated, coded, failedWrite, POOL_ENDED }
