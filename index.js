// @ts-check
'use strict'

const { PostgresAdapter } = require('./lib/adapter.js')
const { PostgresCacheAdapter } = require('./lib/cache-adapter.js')
const { PostgresIdempotencyAdapter } = require('./lib/idempotency-adapter.js')

module.exports = { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter }
