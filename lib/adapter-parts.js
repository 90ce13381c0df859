// @ts-check
// What a PostgresAdapter is made of, from the arguments of its constructor.
'use strict'

const native = require('./native.js')
const args = require('./arguments.js')
const { adapterOptions } = require('./options.js')
const { PoolShare } = require('./pool-share.js')
const { Parts } = require('./within/parts.js')

/**
 * @param {unknown} pool
 * @param {unknown} options
 */
function partsOf(pool, options) {
  const { given, keyPrefix, createTables } = adapterOptions(options, 'PostgresAdapter')
  const defaultLockTTL =
    given.defaultLockTTL == null
      ? undefined
      : args.lastingTtl('options.defaultLockTTL', given.defaultLockTTL, undefined)
  const durability = args.durability('options.cacheDurability', given.cacheDurability)
  const share = new PoolShare(pool)
  const locks = new native.Locks(share.native, keyPrefix, createTables)
  const providers = {
    locks,
    permits: locks.permits(keyPrefix),
    circuits: new native.Circuits(share.native, keyPrefix, createTables),
    cache: new native.Cache(share.native, keyPrefix, createTables, durability),
    checkpoints: new native.Checkpoints(share.native, keyPrefix, createTables),
  }
  const claims = { keyPrefix, namespace: 'compute:"go_goscope_cache":', createTables }
  return new Parts(share, providers, { claims, durability, defaultLockTTL })
}

module.exports = { partsOf }
