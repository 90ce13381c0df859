// @ts-check
// Native failures as the errors that an application written for `pg` expects.
'use strict'

const os = require('node:os')
const { keptError } = require('./kept-errors.js')
const { databaseErrorOf } = require('./pg.js')

/**
 * @typedef {{ kind: 'server', message: string } & Record<string, string | null>
 *   | { kind: 'network', code: string, syscall: string, address: string | null, port: number | null }
 *   | { kind: 'terminated' | 'connectTimeout' | 'closed' }
 *   | { kind: 'other' | 'panic', message: string }
 *   | { kind: 'host', ticket: number }} NativeFailure
 */

/** The message that pg gives for any use of an ended pool. */
const POOL_ENDED = 'Cannot use a pool after calling end on the pool'

const PANICKED = 'goscope-postgres failed internally, and whether the call took effect is not known. Please report this'

/**
 * @param {any} failure a {@link NativeFailure}
 * @param {import('./connection.js').Connection} [connection]
 * @returns {unknown}
 */
function toError(failure, connection) {
  switch (failure.kind) {
    case 'server':
      return serverError(failure, connection)
    case 'network':
      return networkError(failure)
    case 'terminated':
      return coded(new Error('Connection terminated unexpectedly'), 'ECONNRESET')
    case 'connectTimeout':
      return coded(new Error('Connection terminated due to connection timeout'), 'ETIMEDOUT')
    case 'closed':
      return new Error(POOL_ENDED)
    case 'host':
      return keptError(failure.ticket) ?? new Error('the connection could not be described')
    case 'panic':
      return coded(new Error(`${PANICKED}: ${failure.message}`), 'ERR_INTERNAL_ASSERTION')
    default:
      return coded(new Error(failure.message), 'ERR_GOSCOPE_CONNECTION')
  }
}

/**
 * @param {any} failure
 * @param {import('./connection.js').Connection} [connection]
 */
function serverError({ kind, message, ...fields }, connection) {
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
 * @template {Error} E
 * @param {E} error
 * @param {string} code
 */
const coded = (error, code) => Object.assign(error, { code })

module.exports = { toError, coded, POOL_ENDED }
