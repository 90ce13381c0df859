// @ts-check
// @configurations every
// @without role, partitions: it is about making tables
// What `connect()` creates, and what it does not change.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { inProcesses } = require('../support/processes.js')
const { inTime, until } = require('../support/waiting.js')
const { urlAs, without } = require('../support/route.js')

const empty = useDatabase()
const documented = useDatabase()
const lazy = useDatabase()
const bare = useDatabase()
const restricted = useDatabase()
const existing = useDatabase()
const indexless = useDatabase()
const taken = useDatabase()

/** @typedef {Awaited<typeof empty>} Database */

const relations = async (/** @type {Database} */ db) =>
  (
    await db.query(`SELECT c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE n.nspname = 'public' AND c.relkind IN ('r', 'i') ORDER BY 1`)
  ).map(({ relname }) => relname)

test('20 processes connect at once on an empty database', async () => {
  const db = await empty
  const done = await inProcesses(20, 'connect', { url: db.url })
  assert.deepEqual(done, Array(20).fill(true))
  const names = await relations(db)
  for (const name of ['locks', 'circuit', 'cache', 'checkpoints', 'idempotency'])
    assert.ok(names.includes(`go_goscope_${name}`))
})

test('the documented schema: columns, types, indexes', async () => {
  const db = await documented
  const pool = db.pool()
  await new PostgresAdapter(pool).connect()
  await new PostgresIdempotencyAdapter(pool).connect()
  const columns = await db.query(`
    SELECT table_name || '.' || column_name || ' ' || data_type || CASE is_nullable WHEN 'NO' THEN ' NOT NULL' ELSE '' END AS it
      FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position`)
  assert.deepEqual(
    columns.map(({ it }) => it),
    [
      'go_goscope_cache.key text NOT NULL',
      'go_goscope_cache.value jsonb NOT NULL',
      'go_goscope_cache.expires_at timestamp without time zone',
      'go_goscope_cache.accessed_at timestamp without time zone',
      'go_goscope_checkpoints.id text NOT NULL',
      'go_goscope_checkpoints.task_id text NOT NULL',
      'go_goscope_checkpoints.sequence bigint NOT NULL',
      'go_goscope_checkpoints.timestamp bigint NOT NULL',
      'go_goscope_checkpoints.progress double precision NOT NULL',
      'go_goscope_checkpoints.data jsonb NOT NULL',
      'go_goscope_checkpoints.estimated_time_remaining bigint',
      'go_goscope_checkpoints.created_at timestamp without time zone',
      'go_goscope_circuit.key text NOT NULL',
      'go_goscope_circuit.state text NOT NULL',
      'go_goscope_circuit.failure_count integer NOT NULL',
      'go_goscope_circuit.last_failure_time timestamp without time zone',
      'go_goscope_circuit.last_success_time timestamp without time zone',
      'go_goscope_circuit.updated_at timestamp without time zone NOT NULL',
      'go_goscope_idempotency.key text NOT NULL',
      'go_goscope_idempotency.value jsonb NOT NULL',
      'go_goscope_idempotency.expires_at timestamp with time zone',
      'go_goscope_idempotency.created_at timestamp with time zone',
      'go_goscope_idempotency.updated_at timestamp with time zone',
      // Additional to the documented columns, and nullable: software that knows only the documented columns can still
      // write.
      'go_goscope_idempotency.fingerprint text',
      'go_goscope_locks.key text NOT NULL',
      'go_goscope_locks.owner text NOT NULL',
      'go_goscope_locks.expires_at timestamp without time zone NOT NULL',
      'go_goscope_locks.fencing_token bigint',
      'go_goscope_locks.fencing_owner text',
      'go_goscope_locks.acquisition text',
      'go_goscope_locks.has_waiters boolean',
    ],
  )
  const indexes = await db.query(`SELECT indexname || ' ' || substring(indexdef FROM '\\(.*$') AS it FROM pg_indexes
                                   WHERE schemaname = 'public' AND indexname NOT LIKE '%pkey' ORDER BY 1`)
  assert.deepEqual(
    indexes.map(({ it }) => it),
    [
      'idx_cache_expires (expires_at)',
      'idx_checkpoints_task (task_id, sequence)',
      'idx_circuit_updated (updated_at)',
      'idx_idempotency_expires (expires_at) WHERE (expires_at IS NOT NULL)',
      'idx_locks_expires (expires_at)',
    ],
  )
})

test('connect creates only what is missing', async () => {
  const db = await documented
  const before = await relations(db)
  const oids = () => db.query("SELECT oid FROM pg_class WHERE relname LIKE 'go_goscope%' ORDER BY 1")
  const had = await oids()
  const adapter = new PostgresAdapter(db.pool())
  await adapter.connect()
  await adapter.connect()
  assert.deepEqual(await relations(db), before)
  assert.deepEqual(await oids(), had)
  await db.query('DROP TABLE go_goscope_checkpoints')
  await adapter.connect()
  assert.deepEqual(await relations(db), before)
})

test('a method used before connect makes its table on first use', async () => {
  const db = await lazy
  const pool = db.pool()
  const adapter = new PostgresAdapter(pool)
  assert.deepEqual(await relations(db), [])
  assert.equal(await adapter.get('x'), null)
  assert.ok((await relations(db)).includes('go_goscope_cache'))
  await Promise.all([
    adapter.acquire('x', 1000),
    adapter.recordFailure('x', 1),
    adapter.loadLatest('x'),
    new PostgresIdempotencyAdapter(pool).get('x'),
    new PostgresCacheAdapter(pool).get('x'),
  ])
  const names = await relations(db)
  for (const name of [
    'go_goscope_locks',
    'go_goscope_circuit',
    'go_goscope_checkpoints',
    'go_goscope_idempotency',
    'cache',
  ]) {
    assert.ok(names.includes(name), name)
  }
})

test('a table that is dropped while the adapter runs is made again on next use', async () => {
  const db = await lazy
  const adapter = new PostgresAdapter(db.pool())
  await adapter.set('before', 1)
  await db.query('DROP TABLE go_goscope_cache')
  await adapter.set('after', 2)
  assert.equal(await adapter.get('after'), 2)
  assert.equal(await adapter.get('before'), null)
})

test('createTables: false creates nothing, and the error names what is missing', async () => {
  const db = await bare
  const options = { createTables: false }
  const adapter = new PostgresAdapter(db.pool(), options)
  await adapter.connect()
  await assert.rejects(adapter.get('x'), { code: '42P01' })
  await assert.rejects(adapter.acquire('x', 1000), { code: '42P01', message: /go_goscope_locks/ })
  assert.deepEqual(await relations(db), [])
  // A migration makes the table. No restart is needed.
  await db.query(
    'CREATE TABLE go_goscope_cache (key TEXT PRIMARY KEY, value JSONB NOT NULL, expires_at TIMESTAMPTZ, accessed_at TIMESTAMPTZ)',
  )
  await adapter.set('x', 1, 60_000)
  assert.equal(await adapter.get('x'), 1)
})

test('if the tables exist, no DDL rights are needed', async () => {
  const db = await restricted
  await new PostgresAdapter(db.pool()).connect()
  const role = `${db.name}_app`
  await db.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
  try {
    await db.query('REVOKE CREATE ON SCHEMA public FROM public')
    await db.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role}`)
    await db.query('DROP INDEX idx_locks_expires')
    const url = urlAs(db.ownUrl, role)
    const adapter = new PostgresAdapter(db.pool({ connectionString: url }))
    await adapter.connect()
    const handle = await adapter.acquire('x', 1000)
    await handle?.release()
    await adapter.set('x', 1)
    await adapter.recordFailure('x', 1)
    await adapter.save({ id: '1', taskId: 't', sequence: 1, timestamp: 1, progress: 0, data: 1 })
    assert.equal((await adapter.loadLatest('t'))?.data, 1)
    await adapter.disconnect()
    const needy = new PostgresIdempotencyAdapter(db.pool({ connectionString: url }))
    await assert.rejects(needy.connect(), { code: '42501' })
    await assert.rejects(needy.get('x'), { code: '42501' })
  } finally {
    await db.query(`DROP OWNED BY ${role}`)
    await db.query(`DROP ROLE ${role}`)
  }
})

test('connect locks out no writer, waits for none, and takes no advisory lock if nothing is missing', async () => {
  const db = await documented
  const writer = await db.plain.connect()
  await writer.query('BEGIN')
  await writer.query("INSERT INTO go_goscope_locks VALUES ('w', 'w', timezone('UTC', now()))")
  await writer.query('LOCK TABLE go_goscope_cache IN ROW EXCLUSIVE MODE')
  try {
    const adapter = new PostgresAdapter(db.pool())
    await inTime('connect beside a writer', adapter.connect())
    // A session that holds our advisory lock does not block a process that has nothing to create.
    await writer.query('SELECT pg_advisory_xact_lock($1)', [0x676f7363_6f706531n.toString()])
    await inTime('connect beside an advisory lock', new PostgresAdapter(db.pool()).connect())
  } finally {
    await writer.query('ROLLBACK')
    writer.release()
  }
})

test('an index that an existing table lacks is made without locking out writers', {
  skip: without.sessions,
}, async () => {
  const db = await indexless
  await new PostgresAdapter(db.pool()).connect()
  await db.query('DROP INDEX idx_cache_expires')
  const connected = new PostgresAdapter(db.pool()).connect()
  const writes = []
  for (let n = 0; n < 50; n++) writes.push(db.query(`INSERT INTO go_goscope_cache VALUES ('w${n}', '1')`))
  await Promise.all([connected, ...writes])
  assert.ok((await relations(db)).includes('idx_cache_expires'))
})

test('through a pooler that shares sessions, no index is made beside old transactions, and connect() does not wait', {
  skip: !without.sessions && 'the sessions are its own',
}, async () => {
  const db = await indexless
  await new PostgresAdapter(db.pool()).connect()
  await db.query('DROP INDEX IF EXISTS idx_cache_expires')
  const old = await db.hold('SELECT pg_current_xact_id()')
  const adapter = new PostgresAdapter(db.pool())
  await inTime('connect', adapter.connect())
  await adapter.set('k', 1, 60_000)
  assert.equal(await adapter.get('k'), 1)
  await old.rollback()
})

test('tables with other widths, integer types and TIMESTAMPTZ columns still work', async () => {
  const db = await existing
  await db.query(`
    CREATE TABLE go_goscope_locks (key VARCHAR(255) PRIMARY KEY, owner VARCHAR(255) NOT NULL, expires_at TIMESTAMPTZ NOT NULL);
    CREATE TABLE go_goscope_circuit (key VARCHAR(255) PRIMARY KEY, state VARCHAR(16) NOT NULL, failure_count BIGINT NOT NULL DEFAULT 0,
      last_failure_time TIMESTAMPTZ, last_success_time TIMESTAMP, updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW());
    CREATE TABLE go_goscope_cache (key VARCHAR(64) PRIMARY KEY, value JSONB NOT NULL, expires_at TIMESTAMPTZ, accessed_at TIMESTAMPTZ);
    CREATE TABLE go_goscope_checkpoints (id VARCHAR(100) PRIMARY KEY, task_id VARCHAR(100) NOT NULL, sequence INTEGER NOT NULL,
      timestamp BIGINT NOT NULL, progress INTEGER NOT NULL, data JSONB NOT NULL, estimated_time_remaining INTEGER);`)
  const adapter = new PostgresAdapter(db.pool(), { keyPrefix: 'app:' })
  await adapter.connect()

  const long = 'k'.repeat(300)
  for (const key of ['short', long]) {
    const handle = await adapter.acquire(key, 60_000, 'me')
    assert.equal(await handle?.isValid(), true)
    assert.equal(await adapter.acquire(key, 60_000, 'other'), null)
    assert.equal(await adapter.extend(key, 30, 'me'), true)
    await until('the end of the lease', async () => (await handle?.isValid()) === false)
    assert.ok(await adapter.acquire(key, 60_000, 'other'))

    const state = /** @type {const} */ ({
      state: 'half-open',
      failureCount: 2,
      lastFailureTime: 1_700_000_000_123,
      lastSuccessTime: 1_600_000_000_456,
    })
    await adapter.setState(key, state)
    assert.deepEqual(await adapter.getState(key), state)
    assert.equal(await adapter.recordFailure(key, 3), 3)
    assert.ok(Math.abs(((await adapter.getState(key))?.lastFailureTime ?? 0) - Date.now()) < 60_000)

    await adapter.set(key, { key: 'own field', value: 1 }, 60_000)
    assert.deepEqual(await adapter.get(key), { key: 'own field', value: 1 })
    await adapter.set(key, 'brief', 40)
    await until('the end of the entry', async () => (await adapter.get(key)) === null)
    await adapter.set(key, 'stays')

    const checkpoint = {
      id: `${key}1`,
      taskId: key,
      sequence: 7,
      timestamp: 1_700_000_000_000,
      progress: 50,
      data: { id: 1 },
    }
    await adapter.save(checkpoint)
    assert.deepEqual(await adapter.load(`${key}1`), checkpoint)
    assert.deepEqual(await adapter.list(key), [checkpoint])
  }
  assert.deepEqual((await adapter.keys()).sort(), [long, 'short'].sort())
  assert.deepEqual(await adapter.keys('kkk%'), [long])
})

test('an index name that is already taken does no harm', async () => {
  const db = await taken
  await db.query(
    'CREATE TABLE cache (key VARCHAR(512) PRIMARY KEY, value JSONB NOT NULL, expires_at TIMESTAMP, created_at TIMESTAMP, accessed_at TIMESTAMP)',
  )
  await db.query('CREATE INDEX idx_cache_expires ON cache (expires_at) WHERE expires_at IS NOT NULL')
  await new PostgresAdapter(db.pool()).connect()
  const [{ n }] = await db.query(
    "SELECT count(*)::int AS n FROM pg_index WHERE indrelid = 'go_goscope_cache'::regclass AND NOT indisprimary",
  )
  assert.equal(n, 1)
})
