// @ts-check
// What a `pg.Pool` would connect to and how, in plain words for native code. Resolved anew for each connection, as pg
// builds a client for each: the environment may have changed, a password may have been rotated.
'use strict'

const dns = require('node:dns')
const path = require('node:path')
// @ts-expect-error pgpass has no types
const pgpass = require('pgpass')
const { invalid } = require('./arguments.js')

/** The settings of the pool itself, with pg-pool's defaults. */
function poolSettings(/** @type {any} */ pool) {
  const { options } = pool
  const finite = (/** @type {unknown} */ value) => (Number.isFinite(Number(value)) ? Number(value) : undefined)
  return {
    max: Math.max(1, Math.floor(Number(options.max || options.poolSize)) || 10),
    min: Math.max(0, Math.floor(Number(options.min)) || 0),
    idleTimeoutMillis: finite(options.idleTimeoutMillis ?? 10_000),
    connectionTimeoutMillis: finite(options.connectionTimeoutMillis ?? 0),
    maxUses: options.maxUses >= 1 ? finite(Math.floor(options.maxUses)) : undefined,
    maxLifetimeSeconds: finite(options.maxLifetimeSeconds ?? 0),
  }
}

/** @param {any} pool */
async function describeConnection(pool) {
  refuseWhatIsNotExpressible(pool)
  // A client resolves URL, options, environment and defaults as it would to connect, and does not connect.
  const client = new pool.Client(pool.options)
  const parameters = client.connectionParameters
  if (!parameters) throw unsupported('Client', pool.Client, 'is not the Client class of pg')
  if (client.ssl) throw unsupported('ssl', client.ssl, 'asks for TLS, which this version does not speak')
  if (parameters.replication) throw unsupported('replication', parameters.replication)

  const { host, port, user, database } = parameters
  const timeouts = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']
    .filter((name) => parameters[name])
    .map((name) => `-c ${name}=${Number(parameters[name])}`)
  return {
    addresses: await resolve(host, Number(port)),
    // Without one, the server says so itself, with its code.
    user: user ?? '',
    database: database ?? '',
    password: await password(client, { host, port, user, database }),
    options: [parameters.options, ...timeouts].filter(Boolean).join(' ') || undefined,
    applicationName: parameters.application_name || parameters.fallback_application_name || undefined,
    keepAlive: Boolean(pool.options.keepAlive),
    keepAliveInitialDelayMillis: Number(pool.options.keepAliveInitialDelayMillis) || undefined,
  }
}

/**
 * Options whose meaning native code cannot keep are refused by name, never skipped.
 *
 * @param {any} pool
 */
function refuseWhatIsNotExpressible(pool) {
  const { options } = pool
  if (options.stream) throw unsupported('stream', options.stream)
  if (options.query_timeout) throw unsupported('query_timeout', options.query_timeout)
  for (const hook of ['onConnect', 'verify']) {
    if (options[hook]) throw unsupported(hook, options[hook])
  }
  if (pool.listenerCount?.('connect') > 0) {
    throw invalid(
      "pool.on('connect')",
      "would set up pg's connections and is not run on native ones",
      pool.listeners('connect')[0],
    )
  }
}

/**
 * @param {string} option
 * @param {unknown} value
 * @param {string} [why]
 */
const unsupported = (option, value, why = 'is not supported by goscope-postgres') =>
  invalid(`pool.options.${option}`, why, value)

/**
 * The addresses to try, in order. Looking up here keeps the error code of DNS, which Rust's standard library loses.
 *
 * @param {string} host
 * @param {number} port
 */
async function resolve(host, port) {
  if (host.startsWith('/')) return [{ path: path.join(host, `.s.PGSQL.${port}`) }]
  try {
    const found = await dns.promises.lookup(host, { all: true })
    return found.map(({ address }) => ({ ip: address, port }))
  } catch (error) {
    // Under jest, Node's own errors belong to another realm than the test.
    const { message, errno, code, syscall, hostname } = /** @type {any} */ (error)
    throw Object.assign(new Error(message), { errno, code, syscall, hostname })
  }
}

/**
 * @param {any} client
 * @param {{ host: string, port: number, user: string, database: string }} of
 * @returns {Promise<string | undefined>}
 */
async function password(client, of) {
  const given = client.password ?? client.connectionParameters.password
  const own = typeof given === 'function' ? await given.call(client, client.connectionParameters) : given
  if (own != null) {
    if (typeof own !== 'string') throw new TypeError('Password must be a string')
    return own
  }
  return new Promise((found) => pgpass(of, found))
}

module.exports = { describeConnection, poolSettings }
