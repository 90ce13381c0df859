// @ts-check
// @configurations first
// connect() makes an index that a table lacks, without waiting for other applications' transactions, one process at a
// time. It also repairs an unfinished index.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { inProcesses } = require('../support/processes.js')
const { inTime, until } = require('../support/waiting.js')

const [reader, writer, left, raced, building] = Array.from({ length: 5 }, () => useDatabase())

/** @typedef {Awaited<typeof reader>} Database */

const INDEXES = `SELECT indexrelid::regclass::text AS name, indisvalid AS valid FROM pg_index
  WHERE indrelid = 'go_goscope_cache'::regclass AND NOT indisprimary ORDER BY 1`

const WHOLE = [{ name: 'idx_cache_expires', valid: true }]

/** Without the index, and with one row. @param {Promise<Database>} database */
async function lacking(database) {
  const db = await database
  const adapter = new PostgresAdapter(db.pool())
  await adapter.connect()
  await adapter.set('k', 1)
  await db.query('DROP INDEX idx_cache_expires')
  return db
}

const OLD = {
  'that only has a snapshot': 'SELECT pg_current_xact_id()',
  'that has written to the table': "INSERT INTO go_goscope_cache (key, value) VALUES ('theirs', '1')",
}

for (const [what, sql] of Object.entries(OLD)) {
  test(`beside an old transaction ${what}: connect() does not wait, and the next one repairs the index`, async () => {
    const db = await lacking(what.includes('written') ? writer : reader)
    const old = await db.hold(`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; ${sql}`)
    const pool = db.pool({ max: 1 })
    const adapter = new PostgresAdapter(pool)
    const began = performance.now()
    await inTime('connect', adapter.connect())
    console.log(`# connect() beside an old transaction: ${Math.round(performance.now() - began)} ms`)
    assert.equal(await adapter.get('k'), 1)
    assert.ok((await db.query(INDEXES)).every(({ valid }) => !valid))
    if (!what.includes('written')) assert.deepEqual(await db.query(INDEXES), [], 'the unfinished index is dropped')

    // Its session waits for row locks as before.
    const row = await db.hold("SELECT FROM go_goscope_cache WHERE key = 'cache:k' FOR UPDATE")
    const set = adapter.set('k', 2)
    await db.untilWaiting()
    await new Promise((resolve) => setTimeout(resolve, 600))
    await row.commit()
    await set

    await old.commit()
    await adapter.connect()
    assert.deepEqual(await db.query(INDEXES), WHOLE)
  })
}

test('an index that a crash left invalid is dropped and rebuilt', async () => {
  const db = await lacking(left)
  await db.query('CREATE INDEX idx_cache_expires ON go_goscope_cache (expires_at)')
  await db.query("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_cache_expires'::regclass")
  await new PostgresAdapter(db.pool()).connect()
  assert.deepEqual(await db.query(INDEXES), WHOLE)
})

test('the same holds for a PostgresCacheAdapter, whose index has another name', async () => {
  const db = await left
  const cache = new PostgresCacheAdapter(db.pool())
  await cache.initialize()
  await db.query("UPDATE pg_index SET indisvalid = false WHERE indrelid = 'cache'::regclass AND NOT indisprimary")
  await cache.initialize()
  assert.deepEqual(await db.query("SELECT indisvalid FROM pg_index WHERE indrelid = 'cache'::regclass"), [
    { indisvalid: true },
    { indisvalid: true },
  ])
})

test('many processes make one index', async () => {
  const db = await lacking(raced)
  await db.query("INSERT INTO go_goscope_cache (key, value) SELECT 'n' || n, '1' FROM generate_series(1, 100000) AS n")
  await inProcesses(8, 'connect', { url: db.url })
  await until('the index', async () => (await db.query(INDEXES)).length > 0)
  assert.deepEqual(await db.query(INDEXES), WHOLE)
})

test('an index that another session is building is left alone', async () => {
  const db = await lacking(building)
  const old = await db.hold("INSERT INTO go_goscope_cache (key, value) VALUES ('theirs', '1')")
  const built = db.query('CREATE INDEX CONCURRENTLY theirs ON go_goscope_cache (expires_at)')
  await db.untilWaiting()
  await inTime('connect', new PostgresAdapter(db.pool()).connect())
  assert.deepEqual(await db.query(INDEXES), [{ name: 'theirs', valid: false }])
  await old.commit()
  await built
  await new PostgresAdapter(db.pool()).connect()
  assert.deepEqual(await db.query(INDEXES), [{ name: 'theirs', valid: true }])
})
