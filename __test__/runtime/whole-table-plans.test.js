// @ts-check
// @configurations first
// Statements that read a whole table scan it, although our sessions avoid sequential scans: no index serves them.
// Statements for a few keys use the index.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { until } = require('../support/waiting.js')
const { without } = require('../support/route.js')

const database = useDatabase()
const ROWS = 5_000

test('stats() and keys() scan the table, get() and set() use its index', { skip: without.sessions }, async () => {
  const db = await database
  // Its index is on all of `expires_at`, so that a plan without a scan exists.
  await new PostgresAdapter(db.pool()).connect()
  const cache = new PostgresCacheAdapter(db.pool({ max: 1 }), { tableName: 'go_goscope_cache' })
  await cache.initialize()
  await cache.setMany(Array.from({ length: ROWS }, (_, n) => [`key ${n}`, n, 600_000]))
  await db.query('ANALYZE go_goscope_cache')
  const scans = async () => {
    const [row] = await db.query(
      "SELECT seq_scan::int AS n FROM pg_stat_user_tables WHERE relname = 'go_goscope_cache'",
    )
    return row.n
  }
  // The server counts with up to a second of delay.
  const before = await scans()
  const runs = 3
  for (let n = 0; n < runs; n++) {
    assert.equal((await cache.stats()).size, ROWS)
    assert.equal((await cache.keys()).length, ROWS)
  }
  await until('the scans', async () => (await scans()) >= before + 2 * runs)
  for (let n = 0; n < 50; n++) {
    await cache.set('key 1', n)
    assert.equal(await cache.get('key 1'), n)
  }
  // Later statements are counted together with them, or later. ANALYZE scans, too.
  await cache.stats()
  await until('the last scan', async () => (await scans()) > before + 2 * runs)
  assert.ok((await scans()) < before + 2 * runs + 10, 'a call on one key scanned the table')
})
