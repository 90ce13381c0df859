import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import * as goscope from 'goscope-postgres'
import { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } from 'goscope-postgres'
import { startPostgres } from 'goscope-postgres/embedded'
import pg from 'pg'
import { runtime, work } from './work.cjs'

const CLASSES = ['PostgresAdapter', 'PostgresCacheAdapter', 'PostgresIdempotencyAdapter']
assert.deepEqual(Object.keys(goscope).sort(), [
  ...CLASSES,
  'buildInfo',
  'createPostgresAdapter',
  'operations',
  'quantile',
])
assert.equal(typeof startPostgres, 'function')
// One copy of each class, however it is loaded: adapters made on either side share the native pool.
assert.equal(createRequire(import.meta.url)('goscope-postgres').PostgresAdapter, PostgresAdapter)

await work({ PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter }, pg, pg.DatabaseError)
console.log(`worked with ${createRequire(import.meta.url).resolve('goscope-postgres')} in ${runtime()}`)
