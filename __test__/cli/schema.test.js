// @ts-check
// @configurations first
// `goscope-postgres schema`: its output creates the same as connect(), and with `--missing` only what is missing.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { runCommand } = require('../support/command.js')
const { useDatabase } = require('../support/database.js')

const [printed, connected, partial, odd] = Array.from({ length: 4 }, () => useDatabase())

const NOTHING = '-- Nothing is missing.\n'
const TABLES = [
  'go_goscope_cache',
  'go_goscope_checkpoints',
  'go_goscope_circuit',
  'go_goscope_idempotency',
  'go_goscope_locks',
]

/** @typedef {Awaited<typeof printed>} Database */

/**
 * @param {string[]} args
 * @param {Record<string, string>} [env]
 */
async function schema(args, env = {}) {
  const { code, stdout, stderr } = await runCommand(['schema', ...args], env)
  assert.equal(code, 0, stderr)
  return stdout
}

const missing = (/** @type {Database} */ db, /** @type {string[]} */ args = []) =>
  schema(['--missing', ...args], { DATABASE_URL: db.ownUrl })

const shapeOf = async (/** @type {Database} */ db) => ({
  columns: await db.query(`
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
      LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY 1, 2`),
  indexes: await db.query("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"),
  triggers: await db.query(
    'SELECT tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2',
  ),
  functions: await db.query(
    "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1",
  ),
  sequences: await db.query("SELECT relname FROM pg_class WHERE relkind = 'S' ORDER BY 1"),
})

test('without a server it prints the migration unchanged', async () => {
  const nowhere = { DATABASE_URL: 'postgres://u@127.0.0.1:1/x' }
  assert.equal(await schema([], nowhere), fs.readFileSync(path.join(__dirname, '../../sql/schema.sql'), 'utf8'))
})

test('it works without the addon', async () => {
  assert.match(await schema([], { GOSCOPE_POSTGRES_NATIVE: '/nowhere/at.all' }), /^CREATE TABLE/m)
})

test('its output creates the same as connect(); then nothing is missing', async () => {
  const [ours, theirs] = await Promise.all([printed, connected])
  const pool = theirs.pool({ connectionString: theirs.ownUrl })
  await new PostgresAdapter(pool).connect()
  await new PostgresIdempotencyAdapter(pool).connect()
  await new PostgresCacheAdapter(pool, { tableName: 'sessions' }).initialize()
  const sql = await schema(['--table', 'sessions'])
  for (let run = 0; run < 2; run++) await ours.query(sql)
  assert.deepEqual(await shapeOf(ours), await shapeOf(theirs))
  for (const db of [ours, theirs]) assert.equal(await missing(db, ['--table', 'sessions']), NOTHING)
})

test('--missing on an empty database prints everything, and running it is sufficient', async () => {
  const [ours, db] = await Promise.all([printed, partial])
  const sql = await missing(db, ['--table', 'sessions'])
  await db.query(sql)
  assert.deepEqual(await shapeOf(db), await shapeOf(ours))
  assert.equal(await missing(db, ['--table', 'sessions']), NOTHING)
})

test('--missing prints a missing table, index or column, and nothing else', async () => {
  const db = await partial
  await db.query(`DROP TABLE go_goscope_circuit; DROP INDEX idx_locks_expires;
    ALTER TABLE go_goscope_checkpoints DROP COLUMN created_at`)
  const sql = await missing(db)
  assert.match(sql, /CREATE TABLE IF NOT EXISTS go_goscope_circuit/)
  assert.match(sql, /CREATE INDEX IF NOT EXISTS idx_locks_expires/)
  assert.match(
    sql,
    /^ALTER TABLE go_goscope_checkpoints ADD COLUMN IF NOT EXISTS created_at TIMESTAMP DEFAULT NOW\(\);$/m,
  )
  assert.doesNotMatch(sql, /TABLE IF NOT EXISTS go_goscope_(locks|cache|checkpoints|idempotency)/)
  assert.doesNotMatch(await missing(db, ['--only', 'locks']), /go_goscope_c/)
  await db.query(sql)
  assert.equal(await missing(db), NOTHING)
})

test('an index with another name, and columns with other types, are accepted', async () => {
  const db = await partial
  await db.query(`ALTER INDEX idx_locks_expires RENAME TO theirs;
    ALTER TABLE go_goscope_locks ALTER COLUMN expires_at TYPE TIMESTAMPTZ USING expires_at AT TIME ZONE 'UTC'`)
  assert.equal(await missing(db), NOTHING)
})

test('--only prints one table with its dependencies, and each can be created by itself', async () => {
  const db = await odd
  for (const [word, table] of [
    ['locks', 'go_goscope_locks'],
    ['circuits', 'go_goscope_circuit'],
    ['cache', 'go_goscope_cache'],
    ['checkpoints', 'go_goscope_checkpoints'],
    ['idempotency', 'go_goscope_idempotency'],
  ]) {
    const sql = await schema(['--only', word])
    await db.query(`DROP SCHEMA public CASCADE; CREATE SCHEMA public; ${sql}`)
    const made = await db.query(
      "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    )
    assert.deepEqual(made, [{ relname: table }])
    assert.equal(await missing(db, ['--only', word]), NOTHING)
  }
  await db.query(`DROP SCHEMA public CASCADE; CREATE SCHEMA public; ${await schema(['--only', 'locks, circuits'])}`)
  assert.equal(await missing(db, ['--only', 'circuits,locks']), NOTHING)
})

test('--table: a name is never SQL', async () => {
  const db = await odd
  const names = [
    `a"b; DROP TABLE x; --`,
    `$$; DROP TABLE x; $$`,
    `$do$ end $do$`,
    `line\nbreak; DROP TABLE x`,
    `'cache'::regclass`,
    'Ünïcode',
  ]
  await db.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE x ()')
  for (const name of names) {
    await db.query(await schema(['--only', 'cache', '--table', name]))
    const [made] = await db.query(
      'SELECT (SELECT count(*)::int FROM pg_index WHERE indrelid = c.oid) AS indexes FROM pg_class c WHERE relname = $1',
      [name],
    )
    assert.deepEqual(made, { indexes: 2 }, name)
    assert.equal(await missing(db, ['--only', 'cache', '--table', name]), NOTHING)
  }
  assert.equal((await db.query("SELECT FROM pg_class WHERE relname = 'x'")).length, 1)
})

test('--role prints sufficient grants, for the selected tables', async () => {
  const db = await odd
  const role = `Goscope "role" ${db.name.slice(-12)}`
  const quoted = `"${role.replaceAll('"', '""')}"`
  await db.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
  await db.query(`CREATE ROLE ${quoted}`)
  try {
    await db.query(await schema(['--role', role, '--table', 'sessions']))
    const rights = async () => {
      const rows = await db.query(
        `SELECT table_name, string_agg(privilege_type, ',' ORDER BY privilege_type) AS rights
           FROM information_schema.role_table_grants WHERE grantee = $1 GROUP BY 1 ORDER BY 1`,
        [role],
      )
      return Object.fromEntries(rows.map(({ table_name, rights }) => [table_name, rights]))
    }
    const all = 'DELETE,INSERT,SELECT,UPDATE'
    const expected = Object.fromEntries([...TABLES, 'sessions'].map((name) => [name, all]))
    assert.deepEqual(await rights(), { ...expected, go_goscope_circuit: 'INSERT,SELECT,UPDATE' })
    await db.query(
      `DROP SCHEMA public CASCADE; CREATE SCHEMA public; ${await schema(['--only', 'cache', '--role', role])}`,
    )
    assert.deepEqual(await rights(), { go_goscope_cache: all })
  } finally {
    await db.query(`DROP OWNED BY ${quoted}; DROP ROLE ${quoted}`)
  }
})
