// @ts-check
// @configurations first
// Tables that a migration has partitioned by hash: all operations, features beyond the documented API, indexes, and
// `doctor`. The contract suite runs on such tables in configurations of its own.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { runCommand } = require('../support/command.js')
const { useDatabase } = require('../support/database.js')
const { OPERATIONS, adaptersOn, perform } = require('../support/operations.js')
const { partitioned } = require('../support/partitions.js')
const { until } = require('../support/waiting.js')
const { migration } = require('../support/route.js')

const [attached, made, notified, bare, filled, cacheTable] = Array.from({ length: 6 }, () => useDatabase())

/** @typedef {Awaited<typeof made>} Database */

const TABLES = [
  ['go_goscope_locks', 'key'],
  ['go_goscope_circuit', 'key'],
  ['go_goscope_cache', 'key'],
  ['go_goscope_checkpoints', 'id'],
  ['go_goscope_idempotency', 'key'],
  ['cache', 'key'],
]

/** @param {Database} db */
async function migrate(db) {
  await db.query(partitioned(migration('schema.sql')))
  await db.query(partitioned(migration('cache-table.sql')))
}

/** The documented columns and nothing else, as a migration without indexes makes them. @param {Database} db */
async function makeBare(db) {
  const tables =
    partitioned(migration('schema.sql'))
      .replace(/--.*/g, '')
      .match(/CREATE TABLE[^;]*;/g) ?? []
  assert.equal(tables.length, 20, 'five tables of three partitions')
  await db.query(tables.join('\n'))
}

/** @param {Database} db */
function adapters(db) {
  const pool = db.pool()
  return {
    adapter: new PostgresAdapter(pool),
    cache: new PostgresCacheAdapter(pool),
    results: new PostgresIdempotencyAdapter(pool),
  }
}

/** @param {string} url @param {string[]} args */
async function doctor(url, ...args) {
  const { code, stdout } = await runCommand(['doctor', '--json', ...args], { DATABASE_URL: url })
  /** @type {{ checks: { name: string, status: string, message: string, advice?: string }[] }} */
  const { checks } = JSON.parse(stdout)
  return {
    code,
    bad: checks
      .filter(({ name, status }) => status !== 'ok' && /^(go_goscope|My)/.test(name))
      .map(({ name, advice }) => ({ name, advice })),
  }
}

/** @param {Database} db */
const indexes = async (db) =>
  (
    await db.query(`SELECT relname AS name, indisvalid AS valid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                     WHERE relkind = 'I' AND NOT indisprimary ORDER BY 1`)
  ).map(({ name, valid }) => `${name} ${valid}`)

test('every operation works, also if a partition has its columns in another order', async () => {
  const db = await attached
  await migrate(db)
  for (const [table, key] of TABLES) {
    // A partition that was created by itself, and attached later.
    await db.query(`
      DO $do$ DECLARE columns text; BEGIN
        SELECT string_agg(format('%I %s %s', attname, format_type(atttypid, atttypmod),
                                 CASE WHEN attnotnull THEN 'NOT NULL' END), ', ' ORDER BY attnum DESC) INTO columns
          FROM pg_attribute WHERE attrelid = '${table}'::regclass AND attnum > 0 AND NOT attisdropped;
        DROP TABLE ${table}_1;
        EXECUTE format('CREATE TABLE ${table}_1 (gone int, %s, PRIMARY KEY (${key}))', columns);
        ALTER TABLE ${table}_1 DROP COLUMN gone;
        ALTER TABLE ${table} ATTACH PARTITION ${table}_1 FOR VALUES WITH (MODULUS 3, REMAINDER 1);
      END $do$`)
  }
  // So that each operation uses each partition.
  for (let round = 0; round < 8; round++) {
    const on = adaptersOn(db.pool({ max: 2 }), { keyPrefix: `${round}:` })
    for (const operation of OPERATIONS) {
      await perform(operation, on, operation.name).catch((error) => assert.fail(`${operation.name}: ${error}`))
    }
  }
  for (const [table] of TABLES.slice(0, 3)) {
    const [{ n }] = await db.query(`SELECT count(DISTINCT tableoid)::int AS n FROM ${table}`)
    assert.equal(n, 3, `rows of ${table} are in all of its partitions`)
  }
})

test('values, counts, tokens and results are the same as with an ordinary table', async () => {
  const db = await made
  await migrate(db)
  const { adapter, results } = adapters(db)
  const keys = Array.from({ length: 20 }, (_, n) => `k${n}`)

  let last = 0n
  for (const key of [...keys, ...keys]) {
    const lock = await adapter.lock(key, { ttl: 60_000 })
    assert.ok(lock.fencingToken > last, 'tokens grow, of rows that are inserted and of those that are taken over')
    last = lock.fencingToken
    await db.query('SELECT go_goscope_check_fencing_token($1, $2)', [key, lock.fencingToken])
    if (key === 'k7') await db.query("UPDATE go_goscope_locks SET expires_at = 'epoch' WHERE key = 'lock:k7'")
    else await lock.release()
  }

  const counts = await Promise.all(keys.map(() => adapter.recordFailure('circuit', 1_000)))
  assert.deepEqual(
    counts.sort((a, b) => a - b),
    keys.map((_, n) => n + 1),
  )

  for (const key of keys) {
    assert.equal(await adapter.increment(key, 2, 60_000), 2)
    assert.equal(await adapter.increment(key, 3), 5)
    assert.equal(await adapter.compareAndSet(key, 5, 'swapped'), true)
    assert.equal(await adapter.compareAndSet(key, undefined, 'second'), false)
    assert.equal(await adapter.getOrSet(`computed ${key}`, () => `value of ${key}`), `value of ${key}`)
    assert.equal(await adapter.get(`computed ${key}`), `value of ${key}`)
  }
  assert.equal((await adapter.keys()).length, 2 * keys.length)

  let runs = 0
  for (const key of [...keys, ...keys]) await results.run(key, () => ++runs, { fingerprint: key })
  assert.equal(runs, keys.length)
})

test('notifications of a release and of a state change name the table, not the partition', async () => {
  const db = await notified
  await migrate(db)
  const listener = await db.plain.connect()
  /** @type {string[]} */
  const notices = []
  listener.on('notification', ({ payload }) => notices.push(String(payload)))
  await listener.query('LISTEN go_goscope')
  const { adapter } = adapters(db)
  const { adapter: other } = adapters(db)

  const held = await adapter.lock('held', { ttl: 600_000 })
  const next = other.lock('held', { ttl: 600_000 })
  await until(
    'the lock has waiters',
    async () => (await db.query('SELECT FROM go_goscope_locks WHERE has_waiters')).length > 0,
  )
  await held.release()
  await (await next).release()
  await until('the release is announced', async () => notices.includes('public.go_goscope_locks:lock:held'))

  /** @type {string[]} */
  const states = []
  const unsubscribe = other.subscribe('breaker', ({ state }) => states.push(state))
  // The subscription's own first read comes before this one.
  await other.getState('breaker')
  await adapter.setState('breaker', { state: 'open', failureCount: 1 })
  // Either may come first: the subscriber has a connection of its own.
  await until('the change is announced', async () => notices.includes('public.go_goscope_circuit:circuit:breaker'))
  await until('the subscriber is notified', async () => states.includes('open'))
  unsubscribe()
  listener.release()
})

test('connect() creates the indexes of empty tables, and everything beyond the documented schema', async () => {
  const db = await bare
  await makeBare(db)
  const { adapter, results } = adapters(db)
  await adapter.connect()
  await results.connect()
  assert.deepEqual(await indexes(db), [
    'idx_cache_expires true',
    'idx_checkpoints_task true',
    'idx_circuit_updated true',
    'idx_idempotency_expires true',
    'idx_locks_expires true',
  ])
  assert.deepEqual(await doctor(db.url), { code: 0, bad: [] })
})

test('connect() blocks no writers of a table with rows: doctor prints statements that create the index', async () => {
  const db = await filled
  await makeBare(db)
  for (const [table, key] of TABLES.slice(0, 1)) {
    await db.query(
      `INSERT INTO ${table} (${key}, owner, expires_at) VALUES ('lock:a', 'me', 'epoch'), ('lock:b', 'me', 'epoch')`,
    )
  }
  const { adapter, results } = adapters(db)
  await adapter.connect()
  await results.connect()
  assert.ok(!(await indexes(db)).some((name) => name.startsWith('idx_locks_expires')))
  const before = await doctor(db.url)
  assert.deepEqual([before.code, before.bad.map(({ name }) => name)], [0, ['go_goscope_locks indexes']])
  assert.match(String(before.bad[0].advice), /schema --missing.*CONCURRENTLY/)

  const { stdout } = await runCommand(['schema', '--missing'], { DATABASE_URL: db.url })
  assert.match(stdout, /ON ONLY "public"\."go_goscope_locks"/)
  assert.equal(stdout.match(/CREATE INDEX CONCURRENTLY/g)?.length, 3)
  // Like psql: statement by statement.
  for (const sql of stdout.split(/(?<=;)\n/)) await db.query(sql)
  assert.ok((await indexes(db)).includes('idx_locks_expires true'))
  assert.deepEqual(await doctor(db.url), { code: 0, bad: [] })
})

test('doctor and schema --missing handle a PostgresCacheAdapter table with quoted names', async () => {
  const db = await cacheTable
  await db.query('CREATE SCHEMA "My ""schema"""')
  const name = '"My ""schema"""."Cache"'
  await db.query(`CREATE TABLE ${name} (key text PRIMARY KEY, value jsonb NOT NULL, expires_at timestamp,
    created_at timestamp DEFAULT now(), accessed_at timestamp DEFAULT now()) PARTITION BY HASH (key)`)
  for (const part of [0, 1]) {
    await db.query(
      `CREATE TABLE "My ""schema"""."part ${part}" PARTITION OF ${name} FOR VALUES WITH (MODULUS 2, REMAINDER ${part})`,
    )
  }
  const tableName = 'My "schema".Cache'
  const cache = new PostgresCacheAdapter(db.pool(), { tableName, createTables: false })
  await cache.set('k', 1, 60_000)
  const given = ['--table', tableName]
  assert.ok((await doctor(db.url, ...given)).bad.some((check) => check.name === `${tableName} indexes`))
  const { stdout } = await runCommand(['schema', '--missing', ...given], { DATABASE_URL: db.url })
  await db.query('SET search_path = "My ""schema""", public')
  const missing = stdout.split(/(?<=;)\n/).filter((sql) => /Cache_expires/.test(sql))
  assert.equal(missing.length, 5)
  const client = await db.plain.connect()
  await client.query('SET search_path = "My ""schema""", public')
  for (const sql of missing) await client.query(sql)
  client.release()
  assert.ok(!(await doctor(db.url, ...given)).bad.some((check) => check.name === `${tableName} indexes`))
})
