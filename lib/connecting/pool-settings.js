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
  // A number that is too large for native code counts as no limit.
  const whole = (/** @type {number} */ value) => (Number.isSafeInteger(value) ? value : undefined)
  const { idleTimeoutMillis = 10_000 } = options
  return {
    max: Math.min(MOST, Math.max(1, Math.floor(Number(options.max || options.poolSize)) || 10)),
    min: Math.min(MOST, Math.max(0, Math.floor(Number(options.min)) || 0)),
    idleTimeoutMillis: finite(idleTimeoutMillis),
    connectionTimeoutMillis: finite(options.connectionTimeoutMillis ?? 0),
    maxUses: options.maxUses >= 1 ? whole(Math.floor(options.maxUses)) : undefined,
    maxLifetimeSeconds: finite(options.maxLifetimeSeconds ?? 0),
    ...hostsOf(pool),
  }
}

/** No process can have more connections to one server than this: each has a port of its own. */
const MOST = 65_535

module.exports = { poolSettings }
