// @ts-check
// @configurations last
// @without first: partitions of partitions; here compatibility/partitioned-tables runs
// Tables with rows whose partitions are partitioned again: `schema --missing` prints statements that create their
// indexes, on the oldest PostgreSQL and on the one that the tests run on.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { startPostgres } = require('../../embedded.js')
const { runCommand } = require('../support/command.js')
const { useDatabase } = require('../support/database.js')
const { postgresPackage } = require('../support/postgres-versions.js')

const here = useDatabase()

/** Names that have to be quoted, and a schema that is not on the search path. */
const SUB = '"Else where"."Sub ""part"" of locks"'
const SUB_SUB = 'public."LEVEL two"'
const LEAVES = [
  '"Else where"."leaf; 0"',
  'public."go_goscope_Locks"',
  '"Else where".third',
  'public.fourth',
  'public.fifth',
]
const CACHE = '"Else where"."My ""Cache"""'

/**
 * A table with partitions on three levels, and partitions of each kind beside each other.
 *
 * @param {(sql: string) => Promise<unknown>} query
 */
async function makeTables(query) {
  const values = (/** @type {number} */ modulus, /** @type {number} */ remainder) =>
    `FOR VALUES WITH (MODULUS ${modulus}, REMAINDER ${remainder})`
  const sub = (/** @type {string} */ key) => `PARTITION BY HASH (${key})`
  const part = (/** @type {string} */ name, /** @type {string} */ of, /** @type {string} */ rest) =>
    query(`CREATE TABLE ${name} PARTITION OF ${of} ${rest}`)
  await query('CREATE SCHEMA "Else where"')
  await query(
    `CREATE TABLE go_goscope_locks (key text PRIMARY KEY, owner text NOT NULL, expires_at timestamp NOT NULL) ${sub('key')}`,
  )
  await part(LEAVES[0], 'go_goscope_locks', values(2, 1))
  await part(SUB, 'go_goscope_locks', `${values(2, 0)} ${sub('key')}`)
  await part(LEAVES[1], SUB, values(3, 0))
  await part(LEAVES[2], SUB, values(3, 1))
  await part(SUB_SUB, SUB, `${values(3, 2)} ${sub('key')}`)
  await part(LEAVES[3], SUB_SUB, values(2, 0))
  await part(LEAVES[4], SUB_SUB, values(2, 1))
  await query(`INSERT INTO go_goscope_locks SELECT 'lock:' || n, 'me', 'epoch' FROM generate_series(1, 100) AS n`)

  await query(`CREATE TABLE ${CACHE} (key text PRIMARY KEY, value jsonb NOT NULL, expires_at timestamp,
    created_at timestamp DEFAULT now(), accessed_at timestamp DEFAULT now()) ${sub('key')}`)
  await part('"Else where".sub', CACHE, `${values(1, 0)} ${sub('key')}`)
  await part('"Else where".leaf', '"Else where".sub', values(1, 0))
  await query(`INSERT INTO ${CACHE} (key, value) SELECT n, '1' FROM generate_series(1, 10) AS n`)
}

const GIVEN = ['--only', 'locks', '--table', 'Else where.My "Cache"']

/** @param {string} url */
async function complaints(url) {
  const { stdout } = await runCommand(['doctor', '--json', ...GIVEN], { DATABASE_URL: url })
  /** @type {{ checks: { name: string, status: string, message: string }[] }} */
  const { checks } = JSON.parse(stdout)
  return checks
    .filter(({ name, status }) => status !== 'ok' && /go_goscope|Cache/.test(name))
    .map(({ name, status }) => `${name}: ${status}`)
}

/** @param {string} url */
async function check(url) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await makeTables((sql) => client.query(sql))
    const adapter = new PostgresAdapter({ connectionString: url })
    await adapter.connect()
    await adapter.disconnect()
    assert.deepEqual(await complaints(url), [
      'go_goscope_locks indexes: warning',
      'Else where.My "Cache" indexes: warning',
    ])
    const { stdout, stderr, code } = await runCommand(['schema', '--missing', ...GIVEN], { DATABASE_URL: url })
    assert.equal(code, 0, stderr)
    assert.equal(stdout.match(/INDEX CONCURRENTLY/g)?.length, 6, stdout)
    // Like psql: statement by statement. Some of them may have run before.
    const statements = stdout.split(/(?<=;)\n/).filter((sql) => sql.trim() !== '')
    for (const sql of statements.slice(0, 6)) await client.query(sql)
    for (const sql of statements) await client.query(sql)
    assert.deepEqual(await complaints(url), [])
    const { rows } = await client.query(`SELECT count(*)::int AS n, bool_and(indisvalid) AS valid
      FROM pg_partition_tree('idx_locks_expires') JOIN pg_index ON indexrelid = relid`)
    assert.deepEqual(rows, [{ n: 8, valid: true }])
    const again = await runCommand(['schema', '--missing', ...GIVEN], { DATABASE_URL: url })
    assert.equal(again.stdout, '-- Nothing is missing.\n')
  } finally {
    await client.end()
  }
}

test('two and three levels of partitions: the printed statements create valid indexes', async () => {
  await check((await here).ownUrl)
})

test('the printed statements create valid indexes on PostgreSQL 13, too', async () => {
  const server = await startPostgres({ package: postgresPackage(13) })
  try {
    await check(server.url)
  } finally {
    await server.stop()
  }
})
