// @ts-check
// The pg-based adapters that this package takes the place of, written anew on plain `pg`: the same methods, tables,
// stored keys, statements and results, and the same faults, each named where it is. It is what the differential test
// compares with, and the other side of a benchmark. It is never fixed: a fault that is mended here is a difference
// that is no longer looked at.
'use strict'

const { PostgresAdapter } = require('./adapter.js')
const { PostgresCacheAdapter } = require('./cache-adapter.js')
const { PostgresIdempotencyAdapter } = require('./idempotency-adapter.js')

module.exports = { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter }
