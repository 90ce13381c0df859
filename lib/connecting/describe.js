// @ts-check
// Describes for native code, in plain values, what a pool would connect to and how. Resolved again for each
// connection, as pg builds a client for each: the environment may have changed, a password may have been rotated.
'use strict'

const { invalid, text } = require('../arguments.js')
const { addressesOf, attemptTimeout } = require('./addresses.js')
const { hostAt, portOf } = require('./hosts.js')
const { hasConnectHooks } = require('./connect-hooks.js')
const { passwordFor } = require('./password.js')
const { refuseOptions } = require('./refused.js')

/**
 * @param {any} pool
 * @param {() => import('./certificate-verifier.js').CertificateVerifier} verifier
 * @param {{ host: number, verifyAgain: boolean }} asked
 */
async function describeConnection(pool, verifier, asked) {
  const { options } = pool
  refuseOptions(options)
  await pool.prepare?.()
  // Checked before a client is made of them: making one calls a `stream` function.
  const { parameters, receiver, channelBinding } = resolve(pool)
  if (parameters.replication)
    throw invalid('replication', 'asks for a session in which no SQL runs', parameters.replication)

  const { ssl } = parameters
  const given = (/** @type {string} */ name) => (parameters[name] ? text(name, parameters[name]) : undefined)
  const { host, port } = pool.isOurs
    ? hostAt(parameters, asked.host)
    : { host: parameters.host, port: portOf(String(parameters.port)) }
  return {
    addresses: await addressesOf(host, port),
    attemptTimeoutMillis: attemptTimeout(),
    tls: ssl ? await describeTls(parameters, { host, port }, options, verifier(), asked.verifyAgain) : undefined,
    // Without one, the server reports that itself, with its code.
    user: given('user') ?? '',
    database: given('database') ?? '',
    password: await passwordFor({ ...parameters, host, port, password: parameters.password }, receiver),
    channelBinding,
    options: given('options'),
    parameters: timeouts(parameters),
    applicationName: given('application_name') ?? given('fallback_application_name'),
    keepAlive: Boolean(options.keepAlive),
    keepAliveInitialDelayMillis: Number(options.keepAliveInitialDelayMillis) || undefined,
    queryTimeoutMillis: queryTimeout(parameters.query_timeout),
    hasConnectHooks: hasConnectHooks(pool),
  }
}

/**
 * A text that is no number must not count as no limit.
 *
 * @param {unknown} given in milliseconds
 */
function queryTimeout(given) {
  if (typeof given === 'string' && Number.isNaN(Number(given))) {
    throw invalid('query_timeout', 'must be a number of milliseconds', given)
  }
  return Number(given) || undefined
}

/**
 * The server and the database that a pool leads to, as far as they are known without a network request or a call of
 * the application's functions; of several hosts, the first.
 *
 * @param {any} pool
 * @returns {{ host?: string, port?: number, database?: string }}
 */
function targetOf(pool) {
  try {
    refuseOptions(pool.options)
    const { parameters } = resolve(pool)
    const { host, port } = hostAt(parameters, 0)
    return { host, port, database: parameters.database ?? undefined }
  } catch {
    // If the configuration is wrong, the call that needs a connection gets the error.
    return {}
  }
}

/**
 * The parameters with which pg's client would connect.
 *
 * @param {any} pool
 */
const parametersOf = (pool) => resolve(pool).parameters

/**
 * URL, options, environment and defaults as one: resolved by the pool's own pg, if it has one.
 *
 * @param {any} pool
 */
function resolve(pool) {
  if (pool.isOurs) {
    const parameters = pool.connectionParameters()
    return { parameters, receiver: undefined, channelBinding: Boolean(pool.options.enableChannelBinding) }
  }
  // A client resolves all that in its constructor, and does not connect.
  const client = pool.client ?? new pool.Client(pool.options)
  const { connectionParameters: parameters } = client
  if (!parameters) throw invalid('pool.options.Client', 'is not the Client class of pg', pool.Client)
  return { parameters, receiver: client, channelBinding: Boolean(client.enableChannelBinding) }
}

/**
 * @param {any} parameters
 * @param {{ host: string, port: number }} at
 * @param {any} options
 * @param {import('./certificate-verifier.js').CertificateVerifier} verifier
 * @param {boolean} again
 */
async function describeTls({ ssl: given, sslnegotiation }, at, options, verifier, again) {
  // For pg any text asks for TLS (`?ssl=verify-full`), and no text makes it less than full.
  const ssl = typeof given === 'string' ? true : given
  const direct = sslnegotiation === 'direct'
  const { tlsSettings } = require('./tls.js')
  const settings = tlsSettings(ssl, at.host, direct)
  const timeout = Number(options.connectionTimeoutMillis) || 0
  const server = { ...at, ssl, direct, timeout }
  return { ...settings, trust: await verifier.trust(server, again), seen: verifier.seenOf(server) }
}

/**
 * Start-up parameters that pg sends as parameters of their own: a pooler may know these and refuse `options`.
 *
 * @param {any} parameters
 * @returns {Record<string, string>}
 */
function timeouts(parameters) {
  const set = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'].filter(
    (name) => parameters[name],
  )
  return Object.fromEntries(set.map((name) => [name, String(Number.parseInt(parameters[name], 10))]))
}

module.exports = { describeConnection, parametersOf, targetOf }
