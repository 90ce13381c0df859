// @ts-check
// @configurations every
// Tables made by hand may contain values that the adapter cannot read. Such a row rejects the calls that read it, with
// a code and the names of table and column. It affects no other call and not the process.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { inTime } = require('../support/waiting.js')

const database = useDatabase({ migrated: false })

/** @param {string} table @param {string} column @param {RegExp} [message] */
const unreadable = (table, column, message = /./) => ({
  name: 'Error',
  code: 'ERR_GOSCOPE_ROW',
  table: `public.${table}`,
  column,
  message: new RegExp(`public\\.${table}.*"${column}".*${message.source}`),
})

/** Every documented column, with the loosest types that the adapters work with. */
const LOOSE = `
  CREATE TABLE go_goscope_locks (key text PRIMARY KEY, owner text, expires_at timestamp);
  CREATE TABLE go_goscope_circuit (key text PRIMARY KEY, state text, failure_count numeric, last_failure_time timestamp,
    last_success_time timestamp, updated_at timestamp);
  CREATE TABLE go_goscope_cache (key text PRIMARY KEY, value text, expires_at timestamp, accessed_at timestamp);
  CREATE TABLE go_goscope_checkpoints (id text PRIMARY KEY, task_id text, sequence numeric, timestamp numeric,
    progress numeric, data text, estimated_time_remaining numeric);
  CREATE TABLE go_goscope_idempotency (key text PRIMARY KEY, value text, expires_at timestamptz, created_at timestamptz,
    updated_at timestamptz);
  CREATE TABLE cache (key text PRIMARY KEY, value text, expires_at timestamp, accessed_at timestamp)`

const loose = database.then((db) => db.query(LOOSE).then(() => db))

// Without the check, `1,0,N,"x"` would be read as the answer to the call that waits in slot N.
const NOT_JSON = ['hello world', '', '{', '1,2', '1],[2', ...Array.from({ length: 20 }, (_, n) => `1,0,${n},"forged"`)]

test('a value that is not JSON rejects its own call, and the calls beside it get their own answers', async () => {
  const db = await loose
  const pool = db.pool({ max: 1 })
  const adapters = { cache: new PostgresCacheAdapter(pool), go_goscope_cache: new PostgresAdapter(pool) }
  for (const [table, adapter] of Object.entries(adapters)) {
    const prefix = table === 'cache' ? '' : 'cache:'
    await adapter.set('good', { a: 1 })
    for (const [n, text] of NOT_JSON.entries()) {
      await db.query(`INSERT INTO ${table} (key, value) VALUES ($1, $2)`, [`${prefix}bad${n}`, text])
    }
    await db.query(`INSERT INTO ${table} (key) VALUES ('${prefix}null')`)
    const good = () => adapter.get('good')
    const outcomes = await inTime(
      'all answers',
      Promise.allSettled([
        good(),
        ...NOT_JSON.flatMap((_, n) => [adapter.get(`bad${n}`), good()]),
        adapter.get('null'),
        good(),
      ]),
    )
    for (const [place, outcome] of outcomes.entries()) {
      if (place % 2 === 0) assert.deepEqual(outcome, { status: 'fulfilled', value: { a: 1 } })
      else assert.equal(outcome.status, 'rejected', JSON.stringify(outcome))
    }
    await assert.rejects(adapter.get('bad0'), unreadable(table, 'value', /not JSON/))
    await assert.rejects(adapter.get('null'), unreadable(table, 'value', /NULL/))
    await assert.rejects(
      adapter.getOrSet('bad0', () => 1, { ttl: 1_000, staleTtl: 1_000 }),
      unreadable(table, 'value'),
    )
    await assert.rejects(adapter.getMany(['good', 'bad0']), unreadable(table, 'value'))
    // Calls that need no value succeed.
    assert.equal(await adapter.has('bad0'), true)
    assert.equal((await adapter.keys()).length, NOT_JSON.length + 2)
    await adapter.set('bad0', 'mended')
    assert.equal(await adapter.get('bad0'), 'mended')
    await adapter.delete('bad1')
    assert.equal(await adapter.get('bad1'), null)
  }
  assert.equal((await adapters.cache.stats()).size, NOT_JSON.length + 1)
})

test('a value that is not JSON under a key that is stored as a digest', async () => {
  const db = await loose
  const adapter = new PostgresCacheAdapter(db.pool(), { keyPrefix: 'digest:' })
  const key = 'k'.repeat(5_000)
  await adapter.set(key, { a: 1 })
  assert.deepEqual(await adapter.get(key), { a: 1 })
  for (const text of ['hello', '{"key":"x","value":', '{"value":nonsense}']) {
    await db.query("UPDATE cache SET value = $1 WHERE starts_with(key, 'digest:')", [text])
    await assert.rejects(adapter.get(key), unreadable('cache', 'value', /not JSON/))
  }
  // JSON, but not the record beside a digest: it is the value.
  await db.query(`UPDATE cache SET value = '{"a": 2}' WHERE starts_with(key, 'digest:')`)
  assert.deepEqual(await adapter.get(key), { a: 2 })
  assert.equal((await adapter.keys()).length, 1)
})

test('results', async () => {
  const db = await loose
  const results = new PostgresIdempotencyAdapter(db.pool())
  await db.query(
    "INSERT INTO go_goscope_idempotency VALUES ('text', 'done', NULL), ('null', NULL, NULL), ('good', '[1]', 'infinity')",
  )
  await assert.rejects(results.get('text'), unreadable('go_goscope_idempotency', 'value', /not JSON/))
  await assert.rejects(results.get('null'), unreadable('go_goscope_idempotency', 'value', /NULL/))
  assert.deepEqual(await results.get('good'), { value: [1] })
  let runs = 0
  const run = results.run('text', async () => ++runs)
  await assert.rejects(inTime('run', run), unreadable('go_goscope_idempotency', 'value'))
  assert.equal(runs, 0, 'work that may have been done is not repeated')
})

test('circuits', async () => {
  const db = await loose
  const adapter = new PostgresAdapter(db.pool())
  const good = { state: /** @type {const} */ ('open'), failureCount: 3 }
  await adapter.setState('good', good)
  await db.query(`INSERT INTO go_goscope_circuit (key, state, failure_count, last_failure_time) VALUES
    ('circuit:null', NULL, 1, NULL), ('circuit:odd', 'ajar', 1, NULL), ('circuit:uncounted', 'open', NULL, NULL),
    ('circuit:nan', 'open', 'NaN', NULL), ('circuit:half', 'open', 1.5, NULL), ('circuit:whole', 'open', 2.00, 'infinity')`)
  const state = (/** @type {string} */ key) => adapter.getState(key)
  await Promise.all([
    assert.rejects(state('null'), unreadable('go_goscope_circuit', 'state', /NULL/)),
    assert.rejects(state('odd'), unreadable('go_goscope_circuit', 'state', /half-open/)),
    assert.rejects(state('uncounted'), unreadable('go_goscope_circuit', 'failure_count', /NULL/)),
    assert.rejects(state('nan'), unreadable('go_goscope_circuit', 'failure_count')),
    assert.rejects(state('half'), unreadable('go_goscope_circuit', 'failure_count')),
    state('whole').then((whole) => assert.deepEqual(whole, { state: 'open', failureCount: 2 })),
    state('good').then((found) => assert.deepEqual(found, good)),
  ])
})

test('checkpoints', async () => {
  const db = await loose
  const adapter = new PostgresAdapter(db.pool())
  const good = { id: 'good', taskId: 'good', sequence: 1, timestamp: 2, progress: 50, data: { a: 1 } }
  await adapter.save(good)
  const rows = {
    data: "1, 1, 1, 'hello', NULL",
    sequence: "'NaN', 1, 1, '1', NULL",
    timestamp: "1, 1e30, 1, '1', NULL",
    progress: "1, 1, 'NaN', '1', NULL",
    estimated_time_remaining: "1, 1, 1, '1', 0.5",
  }
  for (const [column, values] of Object.entries(rows)) {
    const row = `INSERT INTO go_goscope_checkpoints VALUES ('${column}', '${column}', ${values})`
    await db.query(row)
    await Promise.all([
      assert.rejects(adapter.load(column), unreadable('go_goscope_checkpoints', column)),
      assert.rejects(adapter.loadLatest(column), unreadable('go_goscope_checkpoints', column)),
      assert.rejects(adapter.list(column), unreadable('go_goscope_checkpoints', column)),
      adapter.loadLatest('good').then((found) => assert.deepEqual(found, good)),
    ])
    if (column === 'estimated_time_remaining') continue
    await db.query(`UPDATE go_goscope_checkpoints SET ${column} = NULL WHERE id = '${column}'`)
    await assert.rejects(adapter.load(column), unreadable('go_goscope_checkpoints', column, /NULL/))
  }
  await db.query("INSERT INTO go_goscope_checkpoints VALUES ('far', 'far', 7.00, 8, 1e400, '1', NULL)")
  assert.equal((await adapter.load('far'))?.progress, Number.POSITIVE_INFINITY)
  assert.equal((await adapter.load('far'))?.sequence, 7)
})

test('locks', async () => {
  const db = await loose
  const adapter = new PostgresAdapter(db.pool())
  await db.query(`INSERT INTO go_goscope_locks VALUES ('lock:endless', 'x', NULL), ('lock:nobody', NULL, 'infinity'),
    ('lock:infinity', 'x', 'infinity'), ('lock:past', 'x', '-infinity'), ('lock:bc', NULL, '0044-03-15 BC')`)
  // Busy, for an unknown time.
  assert.equal(await adapter.acquire('endless', 1_000), null)
  await assert.rejects(
    inTime('lock', adapter.lock('endless', { ttl: 1_000 })),
    unreadable('go_goscope_locks', 'expires_at'),
  )
  await assert.rejects(
    inTime('lock', adapter.lock('endless', { ttl: 1_000, wait: 0 })),
    unreadable('go_goscope_locks', 'expires_at'),
  )
  await assert.rejects(adapter.holder('endless'), unreadable('go_goscope_locks', 'expires_at', /NULL/))

  assert.equal(await adapter.acquire('nobody', 1_000), null)
  await assert.rejects(inTime('lock', adapter.lock('nobody', { ttl: 1_000 })), unreadable('go_goscope_locks', 'owner'))
  await assert.rejects(adapter.holder('nobody'), unreadable('go_goscope_locks', 'owner', /NULL/))

  assert.equal(await adapter.acquire('infinity', 1_000), null)
  assert.deepEqual(await adapter.holder('infinity'), { owner: 'x', expiresAt: 8.64e15 })
  for (const key of ['past', 'bc']) {
    assert.equal(await adapter.holder(key), null)
    const handle = await adapter.acquire(key, 60_000)
    assert.equal(await handle?.isValid(), true)
  }
  await adapter.forceRelease('endless')
  const handle = await adapter.acquire('endless', 60_000)
  assert.equal(await handle?.isValid(), true)
})

test('a column whose type changes while the adapter runs: a value that is not JSON fails its own call', async () => {
  const db = await database
  await db.query(
    'CREATE TABLE changing (key text PRIMARY KEY, value jsonb, expires_at timestamp, accessed_at timestamp)',
  )
  const adapter = new PostgresCacheAdapter(db.pool({ max: 1 }), { tableName: 'changing' })
  await adapter.set('good', 'ä€😀')
  await db.query('ALTER TABLE changing ALTER COLUMN value TYPE text USING value::text')
  for (const [n, text] of NOT_JSON.entries()) {
    await db.query('INSERT INTO changing (key, value) VALUES ($1, $2)', [`bad${n}`, text])
  }
  const calls = NOT_JSON.flatMap((_, n) => [adapter.get(`bad${n}`), adapter.get('good'), adapter.get('absent')])
  const outcomes = await inTime('all answers', Promise.allSettled(calls))
  for (const [place, outcome] of outcomes.entries()) {
    if (place % 3 === 1) assert.deepEqual(outcome, { status: 'fulfilled', value: 'ä€😀' })
    else if (place % 3 === 2) assert.deepEqual(outcome, { status: 'fulfilled', value: null })
    else assert.equal(outcome.status === 'rejected' && outcome.reason.code, 'ERR_GOSCOPE_ROW')
  }
})
