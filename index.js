// @ts-check
'use strict'

const { PostgresAdapter, createPostgresAdapter } = require('./lib/adapter.js')
const { buildInfo } = require('./lib/build-info.js')
const { PostgresCacheAdapter } = require('./lib/cache-adapter.js')
const { CacheProvider } = require('./lib/cache-provider.js')
const { PostgresIdempotencyAdapter } = require('./lib/idempotency-adapter.js')
const { LifeCycle } = require('./lib/life-cycle.js')
const { operations } = require('./lib/operations.js')
const { quantile } = require('./lib/quantile.js')
const { traceMethods } = require('./lib/tracing.js')

traceMethods({ LifeCycle, CacheProvider, PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter })

module.exports = {
  PostgresAdapter,
  PostgresCacheAdapter,
  PostgresIdempotencyAdapter,
  buildInfo,
  createPostgresAdapter,
  operations,
  quantile,
}
