// @ts-check
// @configurations first
// A table whose values are TEXT in place of JSONB: numbers are added, and values compared, as in any other.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()

test('increment, incrementEntry and compareAndSet on a table with text', async () => {
  const db = await database
  await db.query(
    `CREATE TABLE go_goscope_cache
       (key VARCHAR(255) PRIMARY KEY, value TEXT NOT NULL, expires_at TIMESTAMP, accessed_at TIMESTAMP DEFAULT NOW())`,
  )
  const cache = new PostgresAdapter(db.pool(), { createTables: false })
  const long = 'k'.repeat(300)
  for (const key of ['short', long]) {
    const sums = await Promise.all(Array.from({ length: 20 }, () => cache.increment(key, 2)))
    assert.deepEqual(
      sums.sort((a, b) => a - b),
      Array.from({ length: 20 }, (_, n) => 2 * (n + 1)),
    )
    const { value, expiresAt } = await cache.incrementEntry(key, -40)
    assert.deepEqual([value, expiresAt], [0, undefined])
    await cache.set(key, { a: [1.5, 'text'], b: null })
    assert.equal(await cache.compareAndSet(key, { b: null, a: [1.5, 'other'] }, 1), false)
    // As JSON, in whatever order the keys are.
    const swaps = [1, 2, 3].map((n) => cache.compareAndSet(key, { b: null, a: [1.5, 'text'] }, n))
    assert.equal((await Promise.all(swaps)).filter(Boolean).length, 1)
    await assert.rejects(
      cache.set(key, 'text').then(() => cache.increment(key)),
      { code: 'ERR_CACHE_NOT_A_NUMBER' },
    )
  }
})
