// @ts-check
'use strict'

const { PostgresAdapter } = require('./lib/adapter.js')
const { buildInfo } = require('./lib/build-info.js')
const { PostgresCacheAdapter } = require('./lib/cache-adapter.js')
const { PostgresIdempotencyAdapter } = require('./lib/idempotency-adapter.js')

module.exports = { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter, buildInfo }
