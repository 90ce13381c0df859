// @ts-check
'use strict'

const { hostsOf } = require('./hosts.js')

/**
 * The settings of the pool itself, with pg-pool's defaults.
 *
 * @param {any} pool
 */
function poolSettings(pool) {
  const { options } = pool
  const finite = (/** @type {unknown} */ value) => (Number.isFinite(Number(value)) ? Number(value) : undefined)
  const { idleTimeoutMillis = 10_000 } = options
  return {
    max: Math.max(1, Math.floor(Number(options.max || options.poolSize)) || 10),
    min: Math.max(0, Math.floor(Number(options.min)) || 0),
    idleTimeoutMillis: finite(idleTimeoutMillis),
    connectionTimeoutMillis: finite(options.connectionTimeoutMillis ?? 0),
    maxUses: options.maxUses >= 1 ? finite(Math.floor(options.maxUses)) : undefined,
    maxLifetimeSeconds: finite(options.maxLifetimeSeconds ?? 0),
    ...hostsOf(pool),
  }
}

module.exports = { poolSettings }
