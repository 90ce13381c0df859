// @ts-check
// One configuration, two drivers: what the server sees of pg, and of this package.
'use strict'

const assert = require('node:assert/strict')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')

/**
 * How the server describes a session. Settings that our sessions make for themselves are left out (see
 * src/engine/connection/handshake.rs).
 */
const SEEN = `
  SELECT current_user AS "user", current_database() AS database, a.application_name,
         a.client_addr IS NULL AS by_socket, s.ssl, s.version AS tls, s.client_dn,
         ${[
           'client_encoding',
           'search_path',
           'statement_timeout',
           'lock_timeout',
           'idle_in_transaction_session_timeout',
           'work_mem',
           'standard_conforming_strings',
           'DateStyle',
           'session_replication_role',
         ]
           .map((name) => `current_setting('${name}') AS ${name}`)
           .join(', ')}
    FROM pg_stat_activity a LEFT JOIN pg_stat_ssl s USING (pid) WHERE pid = pg_backend_pid()`

/**
 * What the server sees of a pool's sessions: of pg's own, and of ours.
 *
 * @param {pg.PoolConfig} config
 */
async function seenOfBoth(config) {
  return [await seenOfTheirs(config), await seenOfOurs(new pg.Pool(config))]
}

/** @param {pg.PoolConfig} config */
async function seenOfTheirs(config) {
  const pool = new pg.Pool(config)
  pool.on('error', () => {})
  try {
    return (await pool.query({ text: SEEN, types: AS_TEXT })).rows[0]
  } finally {
    await pool.end()
  }
}

/**
 * The result of one configuration through pg, through a pool given to us, and through us without a pool: what the
 * server sees, or the error's own fields.
 *
 * @param {pg.PoolConfig} config
 */
async function outcomes(config) {
  const outcome = (/** @type {Promise<any>} */ seen) =>
    seen.then(
      (row) => ({ seen: { ...row } }),
      (error) => ({ refused: fieldsOf(error) }),
    )
  const theirs = await outcome(seenOfTheirs(config))
  const ours = await outcome(seenOfOurs(new pg.Pool(config)))
  const withoutPool = await outcome(seenOfOurs(config))
  // Without a pool there is no pg whose class it could have.
  if ('refused' in withoutPool && withoutPool.refused.name === 'error') withoutPool.refused.class = 'DatabaseError'
  return { theirs, ours, withoutPool }
}

/** Values of rows as the server writes them, in the form that our sessions' hooks receive. */
const AS_TEXT = /** @type {any} */ ({ getTypeParser: () => (/** @type {string} */ text) => text })

/**
 * What the server sees of our sessions for a pool, or any other form of the adapter's first argument.
 *
 * @param {any} source
 */
async function seenOfOurs(source) {
  /** @type {any} */
  let seen
  const look = async (/** @type {any} */ client) => {
    seen = (await client.query(SEEN)).rows[0]
  }
  if (typeof source?.on === 'function') source.on('connect', look)
  else
    source = typeof source === 'string' ? { connectionString: source, onConnect: look } : { ...source, onConnect: look }
  const adapter = new PostgresAdapter(source)
  try {
    await adapter.has('anything')
  } finally {
    await adapter.disconnect()
  }
  return seen
}

/**
 * Runs with other environment variables.
 *
 * @template T
 * @param {Record<string, string | undefined>} variables
 * @param {() => Promise<T>} run
 */
async function withEnvironment(variables, run) {
  const before = Object.fromEntries(Object.keys(variables).map((name) => [name, process.env[name]]))
  const set = (/** @type {Record<string, string | undefined>} */ values) => {
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
  set(variables)
  try {
    return await run()
  } finally {
    set(before)
  }
}

/** @returns {Promise<any>} */
const failureOf = (/** @type {Promise<unknown>} */ promise) =>
  promise.then(
    () => assert.fail('it should have failed'),
    (error) => error,
  )

/**
 * How each driver fails on one configuration.
 *
 * @param {pg.PoolConfig} config
 * @param {string} [sql] at which pg must fail
 */
async function failuresOfBoth(config, sql = 'SELECT 1') {
  const pools = [new pg.Pool(config), new pg.Pool(config)]
  for (const pool of pools) pool.on('error', () => {})
  const theirs = await failureOf(pools[0].query(sql))
  const ours = await failureOf(new PostgresAdapter(pools[1]).has('x'))
  await Promise.all(pools.map((pool) => pool.end()))
  return [theirs, ours]
}

/** The comparable parts of an error: its class, its message and its own fields, including those of several causes. */
function fieldsOf(/** @type {any} */ error) {
  const { stack: _, ...fields } = Object.fromEntries(
    Object.getOwnPropertyNames(error).map((name) => [name, error[name]]),
  )
  // `cert` is the whole certificate, `cause` is a separate error.
  const { errors, cause: __, length: ___, cert: ____, ...rest } = fields
  return {
    class: error.constructor.name,
    name: error.name,
    message: error.message,
    ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
    ...(errors && { errors: errors.map(fieldsOf) }),
  }
}

/** Messages of pg that have no code there, and the code that they have here. */
const CODES_GIVEN = new Map([
  ['Connection terminated unexpectedly', 'ECONNRESET'],
  ['Connection terminated due to connection timeout', 'ETIMEDOUT'],
  ['timeout exceeded when trying to connect', 'ETIMEDOUT'],
  ['Query read timeout', 'ETIMEDOUT'],
  ['The server does not support SSL connections', 'ERR_GOSCOPE_TLS'],
  ['There was an error establishing an SSL connection', 'ERR_GOSCOPE_TLS'],
])

/**
 * The fields of a pg error in the form that they have here: the one known difference between the two.
 *
 * @param {Record<string, any>} theirs
 */
function withGivenCode(theirs) {
  const code = CODES_GIVEN.get(theirs.message)
  if (!code) return theirs
  assert.equal(theirs.code, undefined, 'pg gives a code by itself')
  return { ...theirs, code }
}

/**
 * OpenSSL's messages begin with a thread number and contain source lines. Only their text is compared.
 *
 * @param {any} outcome
 */
function comparable(outcome) {
  if (!outcome.refused) return outcome
  const message = outcome.refused.message
    .replace(/[0-9A-F]{8,}:error:[0-9A-F]+:/, '')
    .replace(/:\.\.\/[^:]+:\d+|\n/g, '')
  return { refused: { ...outcome.refused, message } }
}

module.exports = {
  comparable,
  failureOf,
  failuresOfBoth,
  fieldsOf,
  outcomes,
  seenOfBoth,
  seenOfOurs,
  withEnvironment,
  withGivenCode,
}
