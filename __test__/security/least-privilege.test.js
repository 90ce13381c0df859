// @ts-check
// @configurations first
// Tables from the migrations in `sql/`, and a role with no more rights than `sql/role.sql` grants. The runner's last
// configuration shows that such a role can do everything that the contract promises.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { after, test } = require('node:test')
const { PostgresCacheAdapter } = require('goscope-postgres')
const { files } = require('../../cli/migrations.js')
const { NAMES } = require('../../cli/tables.js')
const { runCommand } = require('../support/command.js')
const { administer, useDatabase } = require('../support/database.js')
const { OPERATIONS, adaptersOn, connectAll, perform } = require('../support/operations.js')
const { grants, migration, urlAs } = require('../support/route.js')

const [connected, migrated, printed, single, narrow, closed] = Array.from({ length: 6 }, () => useDatabase())

const role = `goscope_test_${crypto.randomBytes(6).toString('hex')}`
// The database's drop, which also drops its grants, comes first: hooks run in the order in which they were made.
after(() => administer(`DROP ROLE IF EXISTS ${role}`))
const executor = `${role}_executor`
after(() => administer(`DROP ROLE IF EXISTS ${executor}`))

/** @typedef {Awaited<typeof connected>} Database */

/** Tables, columns and indexes, as the catalogue describes them. */
const catalogue = async (/** @type {Database} */ db) => ({
  columns: await db.query(`
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull,
           pg_get_expr(d.adbin, d.adrelid) AS default
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
      LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY c.relname, a.attnum`),
  indexes: await db.query("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexdef"),
  constraints: await db.query(`
    SELECT conrelid::regclass::text AS table, pg_get_constraintdef(oid) AS is FROM pg_constraint
     WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2`),
  sequences: await db.query(`
    SELECT s.seqrelid::regclass::text AS sequence, s.seqincrement, s.seqcache, d.refobjid::regclass::text AS of, d.refobjsubid
      FROM pg_sequence s JOIN pg_depend d ON d.objid = s.seqrelid AND d.deptype = 'a' ORDER BY 1`),
  triggers: await db.query(`
    SELECT regexp_replace(pg_get_triggerdef(oid), 'public\\.', '', 'g') AS is FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1`),
  functions: await db.query(`
    SELECT replace(pg_get_functiondef(oid), 'public.', '') AS is FROM pg_proc
     WHERE pronamespace = 'public'::regnamespace ORDER BY proname`),
})

const WITHOUT_TABLES = { createTables: false }

const migrate = async (/** @type {Database} */ db) => {
  await db.query(migration('schema.sql'))
  await db.query(migration('cache-table.sql'))
}

test('connect(), the files of sql/ and the command make the same tables, and the last two can run twice', async () => {
  const [ours, theirs, commands] = await Promise.all([connected, migrated, printed])
  await connectAll(adaptersOn(ours.pool()))
  const made = await catalogue(ours)
  assert.equal(new Set(made.columns.map(({ relname }) => relname)).size, 6)
  assert.equal(made.triggers.length, 5)
  for (let run = 0; run < 2; run++) {
    await migrate(theirs)
    assert.deepEqual(await catalogue(theirs), made)
    const { stdout } = await runCommand(['schema', '--table', 'cache'])
    await commands.query(stdout)
    assert.deepEqual(await catalogue(commands), made)
  }
})

test('each table that the command prints by itself is the same', async () => {
  const [whole, parts] = await Promise.all([connected, single])
  for (const word of Object.keys(NAMES)) await parts.query((await runCommand(['schema', '--only', word])).stdout)
  const without = (/** @type {any} */ made) =>
    JSON.stringify(made, (_, value) =>
      Array.isArray(value)
        ? value.filter((row) => !/^(CREATE (UNIQUE )?INDEX \w+ ON public\.)?cache\b/.test(Object.values(row)[0]))
        : value,
    )
  assert.equal(without(await catalogue(parts)), without(await catalogue(whole)))
})

test('the files of sql/ are made from sql/source/', () => {
  for (const [name, sql] of Object.entries(files())) assert.equal(migration(name), `${sql}\n`, 'node scripts/sql.js')
})

const TABLES = [...new Set(OPERATIONS.map(({ table }) => table))]
let keys = 0

/**
 * The SQLSTATEs of the operations on a table that fail.
 *
 * @param {import('../support/operations.js').Adapters} on
 * @param {string} table
 */
async function failures(on, table) {
  /** @type {string[]} */
  const codes = []
  for (const operation of OPERATIONS.filter((each) => each.table === table)) {
    await perform(operation, on, `k${keys++}`).catch((error) => codes.push(error.code ?? error.message))
  }
  return codes
}

test('the documented rights are enough if a database lets no role execute functions by default', async () => {
  const db = await closed
  await db.query('ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC')
  await migrate(db)
  await db.query(`CREATE ROLE ${executor} LOGIN PASSWORD 'secret'`)
  await db.query(`${grants(executor)}; GRANT SELECT, INSERT, UPDATE, DELETE ON cache TO ${executor}`)
  const pool = db.pool({ connectionString: urlAs(db.url, executor) })
  const on = adaptersOn(pool, WITHOUT_TABLES)
  await connectAll(on)
  for (const table of TABLES) assert.deepEqual(await failures(on, table), [], table)
  const lock = await on.main.acquire('checked', 60_000)
  const check = 'SELECT go_goscope_check_fencing_token($1, $2)'
  await pool.query(check, ['checked', lock?.fencingToken])
  await db.query(`REVOKE EXECUTE ON FUNCTION go_goscope_check_fencing_token FROM ${executor}`)
  await assert.rejects(pool.query(check, ['checked', lock?.fencingToken]), { code: '42501' })
})

test('the documented rights are sufficient, and each of them is necessary', async () => {
  const db = await narrow
  await migrate(db)
  await db.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
  await db.query(`${grants(role)}; GRANT SELECT, INSERT, UPDATE, DELETE ON cache TO ${role}`)
  const url = urlAs(db.url, role)
  const on = adaptersOn(db.pool({ connectionString: url }), WITHOUT_TABLES)
  await connectAll(on)
  for (const table of TABLES) assert.deepEqual(await failures(on, table), [], table)

  const granted = await db.query(
    'SELECT table_name, privilege_type FROM information_schema.role_table_grants WHERE grantee = $1 ORDER BY 1, 2',
    [role],
  )
  assert.equal(granted.length, 6 * 4 - 1)
  for (const { table_name: table, privilege_type: right } of granted) {
    await db.query(`REVOKE ${right} ON ${table} FROM ${role}`)
    const codes = await failures(on, table)
    assert.ok(codes.includes('42501') && codes.every((code) => code === '42501'), `${right} on ${table}: ${codes}`)
    await db.query(`GRANT ${right} ON ${table} TO ${role}`)
  }
  console.log(`# figure: ${granted.length} rights on ${TABLES.length} tables, each of them needed`)
})

test('the role cannot create, alter or truncate a table, and sees no other table', async () => {
  const db = await narrow
  await db.query('CREATE TABLE secrets (it text)')
  const url = urlAs(db.url, role)
  const pool = db.pool({ connectionString: url })
  for (const sql of [
    'CREATE TABLE mine (it text)',
    'DROP TABLE go_goscope_locks',
    'ALTER TABLE go_goscope_locks ADD COLUMN it text',
    'TRUNCATE go_goscope_cache',
    'DELETE FROM go_goscope_circuit',
    'SELECT FROM secrets',
  ]) {
    await assert.rejects(pool.query(sql), { code: '42501' }, sql)
  }
  const made = new PostgresCacheAdapter(pool, { tableName: 'mine' })
  await assert.rejects(made.initialize(), { code: '42501' })
})

test('the migrations are in the package', () => {
  const { files } = require('../../package.json')
  assert.ok(files.includes('sql'))
})
