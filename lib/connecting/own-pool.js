// @ts-check
// Replaces a `pg.Pool` if the application gives a connection string, a configuration or nothing. It needs no pg, and
// means what pg would make of the same configuration.
'use strict'

const { parse } = require('pg-connection-string')
const { withoutHostList } = require('./hosts.js')
const { withoutAliases } = require('./ssl-mode.js')

class OwnPool {
  isOurs = true
  #isEnding = false
  ended = false

  /** @param {Record<string, any>} options as `new pg.Pool` takes them */
  constructor(options) {
    this.options = options
  }

  get ending() {
    return this.#isEnding
  }

  set ending(isEnding) {
    this.#isEnding = isEnding
  }

  async end() {
    this.ending = true
    this.ended = true
  }

  /** What pg's own client would resolve from URL, options, environment and defaults, in this order of precedence. */
  connectionParameters() {
    const { options } = this
    const { connectionString, password } = options
    if (!connectionString) return resolve({ ...options, password }, process.env)
    const url = parse(withoutAliases(withoutHostList(connectionString)))
    // As pg-pool: with a connection string, the password is the string's or the environment's.
    return resolve({ ...options, ...url, password: url.password }, process.env)
  }
}

/**
 * @param {Record<string, any>} config
 * @param {NodeJS.ProcessEnv} env
 */
function resolve(config, env) {
  // As in pg, an empty value counts as none.
  const user = config.user || env.PGUSER || (process.platform === 'win32' ? env.USERNAME : env.USER)
  return {
    user,
    database: config.database || env.PGDATABASE || user,
    host: config.host || env.PGHOST || 'localhost',
    port: config.port || env.PGPORT || 5432,
    password: config.password || env.PGPASSWORD || null,
    options: config.options || env.PGOPTIONS,
    ssl: sslOf(config, env),
    sslnegotiation: config.sslnegotiation || env.PGSSLNEGOTIATION,
    replication: config.replication || env.PGREPLICATION,
    application_name: config.application_name || env.PGAPPNAME,
    fallback_application_name: config.fallback_application_name,
    statement_timeout: config.statement_timeout,
    lock_timeout: config.lock_timeout,
    idle_in_transaction_session_timeout: config.idle_in_transaction_session_timeout,
    query_timeout: config.query_timeout,
  }
}

/**
 * @param {Record<string, any>} config
 * @param {NodeJS.ProcessEnv} env
 */
function sslOf(config, env) {
  const { ssl } = config
  if (ssl !== undefined) return ssl === 'no-verify' ? { rejectUnauthorized: false } : ssl === 'true' || ssl
  switch (env.PGSSLMODE) {
    case 'no-verify':
      return { rejectUnauthorized: false }
    case 'prefer':
    case 'require':
    case 'verify-ca':
    case 'verify-full':
      return true
    default:
      return false
  }
}

module.exports = { OwnPool }
