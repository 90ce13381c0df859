// @ts-check
// @configurations first
// `goscope-postgres doctor`: each check, on a server where it passes and on one where it does not. Its advice fixes it.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { startPostgres } = require('../../embedded.js')
const { runCommand } = require('../support/command.js')
const { useDatabase } = require('../support/database.js')
const { missing: noPooler, startPooler } = require('../../scripts/servers/pooler.js')
const { TABLES } = require('../support/documented-tables.js')
const { until } = require('../support/waiting.js')
const { grants, urlAs } = require('../support/route.js')

const [sound, narrow, broken, set, pgBased] = Array.from({ length: 5 }, () => useDatabase())

/** @typedef {Awaited<typeof sound>} Database */
/** @typedef {{ name: string, status: 'ok' | 'warning' | 'failed', message: string, advice?: string }} Check */

/**
 * @param {string} url
 * @param {string[]} [args]
 * @param {Record<string, string>} [env]
 */
async function examine(url, args = [], env = {}) {
  const { code, stdout, stderr } = await runCommand(['doctor', '--json', ...args], { DATABASE_URL: url, ...env })
  assert.equal(stderr, '')
  /** @type {{ ok: boolean, checks: Check[] }} */
  const { ok, checks } = JSON.parse(stdout)
  assert.equal(code, ok ? 0 : 1)
  assert.equal(
    ok,
    checks.every(({ status }) => status !== 'failed'),
  )
  for (const { status, advice } of checks) assert.equal(advice === undefined, status === 'ok')
  const check = (/** @type {string} */ name) => {
    const found = checks.find((each) => each.name === name)
    assert.ok(found, `${name} of ${checks.map((each) => each.name)}`)
    return found
  }
  return { ok, checks, check, bad: checks.filter(({ status }) => status !== 'ok').map(({ name }) => name) }
}

/** @param {Database} db */
async function connect(db) {
  const pool = db.pool({ connectionString: db.ownUrl })
  await new PostgresAdapter(pool).connect()
  await new PostgresIdempotencyAdapter(pool).connect()
}

/** Settings that the tests' own server has on purpose, because it is temporary. */
const OF_THE_SERVER = ['durability']

test('on a sound database the exit code is 0, and each check passes', async () => {
  const db = await sound
  await connect(db)
  const { ok, bad, check } = await examine(db.ownUrl)
  assert.ok(ok)
  assert.deepEqual(bad, OF_THE_SERVER)
  assert.match(check('connection').message, new RegExp(`"${db.name}"`))
  assert.match(check('clocks').message, /agree; a round trip takes [\d.]+ ms/)
  for (const table of TABLES) {
    for (const what of ['columns', 'indexes', 'rights', 'upkeep']) assert.equal(check(`${table} ${what}`).status, 'ok')
  }
})

test('text output has a folded line per check, and a summary', async () => {
  const db = await sound
  const { code, stdout } = await runCommand(['doctor'], { DATABASE_URL: db.ownUrl })
  assert.equal(code, 0)
  assert.match(stdout, /^ok {4}connection: to the database/m)
  assert.match(stdout, /^warn {2}durability: .*\n {6}→ Leave them on/m)
  assert.match(stdout, /^\d+ checks: 0 failed, 1 warning\n$/m)
})

test('missing tables that will be created are reported as such', async () => {
  const db = await broken
  const { ok, check } = await examine(db.ownUrl)
  assert.ok(ok)
  for (const table of TABLES) assert.match(check(table).message, /is missing; connect\(\) or the first use makes it/)
})

test('each missing privilege is found, and the advice grants it', async () => {
  const db = await narrow
  const role = `goscope_doctor_${db.name.slice(-12)}`
  await connect(db)
  await db.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'; ${grants(role)}`)
  const url = urlAs(db.ownUrl, role)
  try {
    assert.deepEqual((await examine(url)).bad, OF_THE_SERVER)
    const granted = await db.query(
      'SELECT table_name, privilege_type FROM information_schema.role_table_grants WHERE grantee = $1 ORDER BY 1, 2',
      [role],
    )
    assert.equal(granted.length, 5 * 4 - 1)
    const rightsOf = (/** @type {string} */ table) =>
      granted.filter(({ table_name }) => table_name === table).map(({ privilege_type }) => privilege_type)
    const missed = new Set()
    // One right of each table at a time: the command starts four times, not once for each right.
    for (let at = 0; at < 4; at++) {
      const revoked = TABLES.map((table) => ({ table, right: rightsOf(table)[at] })).filter(({ right }) => right)
      for (const { table, right } of revoked) await db.query(`REVOKE ${right} ON ${table} FROM ${role}`)
      const { ok, bad, check } = await examine(url)
      assert.equal(ok, false)
      assert.deepEqual(new Set(bad), new Set([...OF_THE_SERVER, ...revoked.map(({ table }) => `${table} rights`)]))
      for (const { table, right } of revoked) {
        assert.equal(check(`${table} rights`).message, `no ${right}`)
        await db.query(/** @type {string} */ (check(`${table} rights`).advice))
        missed.add(`${right} ON ${table}`)
      }
    }
    assert.equal(missed.size, granted.length)
    assert.deepEqual((await examine(url)).bad, OF_THE_SERVER)

    await db.query(`REVOKE USAGE ON SCHEMA public FROM PUBLIC, ${role}`)
    const { ok, check } = await examine(url)
    // The role sees no table of a schema that it may not use.
    assert.match(
      check('go_goscope_locks').message,
      /is not found: goscope_doctor_\w+ may use no schema of its search_path/,
    )
    assert.equal(check('go_goscope_locks').status, 'failed')
    assert.ok(!ok)
  } finally {
    await db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
  }
})

test('columns and keys that break an adapter are found, and missing indexes that make it slow', async () => {
  const db = await broken
  await connect(db)
  await db.query(`
    ALTER TABLE go_goscope_locks DROP CONSTRAINT go_goscope_locks_pkey;
    ALTER TABLE go_goscope_circuit DROP COLUMN failure_count;
    ALTER TABLE go_goscope_cache ALTER COLUMN value TYPE TEXT;
    DROP INDEX idx_cache_expires;
    ALTER TABLE go_goscope_checkpoints ALTER COLUMN progress TYPE INTEGER, ALTER COLUMN id TYPE VARCHAR(255)`)
  const { ok, bad, check } = await examine(db.ownUrl)
  assert.equal(ok, false)
  assert.deepEqual(bad.sort(), [
    'durability',
    'go_goscope_cache columns',
    'go_goscope_cache indexes',
    'go_goscope_circuit columns',
    'go_goscope_locks columns',
  ])
  assert.equal(check('go_goscope_locks columns').message, 'key is no primary key, nor unique')
  assert.equal(check('go_goscope_circuit columns').message, 'failure_count is missing')
  assert.equal(check('go_goscope_cache columns').message, 'value is text and should be jsonb')
  assert.match(check('go_goscope_cache indexes').message, /^idx_cache_expires missing/)
  assert.equal(check('go_goscope_cache indexes').status, 'warning')
})

test('additions that are missing or unusable are a warning, because the documented API works', async () => {
  const db = await narrow
  await db.query(
    'DROP TRIGGER go_goscope_lock_released ON go_goscope_locks; DROP FUNCTION go_goscope_check_fencing_token',
  )
  const lacking = await examine(db.ownUrl)
  assert.ok(lacking.ok)
  assert.deepEqual(lacking.bad, [...OF_THE_SERVER, 'go_goscope_locks additions'])
  assert.match(
    lacking.check('go_goscope_locks additions').message,
    /^without go_goscope_check_fencing_token, go_goscope_lock_released,/,
  )
  await db.query((await runCommand(['schema', '--missing'], { DATABASE_URL: db.ownUrl })).stdout)
  assert.deepEqual((await examine(db.ownUrl)).bad, OF_THE_SERVER)

  const role = `goscope_tokenless_${db.name.slice(-12)}`
  await db.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA public TO ${role}; ${grants(role)}
    ; REVOKE USAGE ON SEQUENCE go_goscope_locks_fencing_token_seq FROM ${role}`)
  const url = urlAs(db.ownUrl, role)
  try {
    const { ok, check } = await examine(url)
    assert.ok(ok)
    const { status, advice } = check('go_goscope_locks rights')
    assert.equal(status, 'warning')
    await db.query(/** @type {string} */ (advice))
    assert.deepEqual((await examine(url)).bad, OF_THE_SERVER)
  } finally {
    await db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
  }
})

test('a table of the pg-based adapter without additions passes with a warning', async () => {
  const db = await pgBased
  await db.query(`CREATE TABLE go_goscope_locks (key TEXT PRIMARY KEY, owner TEXT NOT NULL, expires_at TIMESTAMP NOT NULL);
    CREATE INDEX idx_locks_expires ON go_goscope_locks (expires_at)`)
  const { ok, bad } = await examine(db.ownUrl)
  assert.ok(ok)
  assert.deepEqual(bad, [...OF_THE_SERVER, 'go_goscope_locks additions'])
  const { stdout } = await runCommand(['locks', '--json'], { DATABASE_URL: db.ownUrl })
  assert.equal(stdout, '[]\n')
})

test('--table checks the table of a PostgresCacheAdapter', async () => {
  const db = await sound
  await new PostgresCacheAdapter(db.pool({ connectionString: db.ownUrl }), { tableName: 'Sessions' }).initialize()
  const well = await examine(db.ownUrl, ['--table', 'Sessions'])
  assert.deepEqual(well.bad, OF_THE_SERVER)
  for (const what of ['columns', 'indexes', 'rights', 'upkeep'])
    assert.equal(well.check(`Sessions ${what}`).status, 'ok')
  await db.query(
    'DROP INDEX "Sessions_expires_at_idx"; ALTER TABLE "Sessions" DROP COLUMN accessed_at; ALTER TABLE "Sessions" SET UNLOGGED',
  )
  const { ok, check } = await examine(db.ownUrl, ['--table', 'public.Sessions'])
  assert.equal(ok, false)
  assert.equal(check('public.Sessions columns').message, 'accessed_at is missing')
  assert.match(check('public.Sessions indexes').message, /^on expires_at missing/)
  assert.match(check('public.Sessions upkeep').message, /unlogged: a crash of the server empties it/)
  assert.match((await examine(db.ownUrl, ['--table', 'nowhere'])).check('nowhere').message, /is missing/)
})

test('settings of the database that limit or endanger writes are reported', async () => {
  const db = await set
  await connect(db)
  const alter = (/** @type {string} */ sql) => db.query(`ALTER DATABASE ${db.name} SET ${sql}`)
  await alter('synchronous_commit = off')
  await alter("statement_timeout = '500ms'")
  const warned = await examine(db.ownUrl)
  assert.ok(warned.ok)
  assert.match(warned.check('durability').message, /synchronous_commit/)
  assert.deepEqual(warned.check('time limits').status, 'warning')
  assert.match(warned.check('time limits').message, /statement_timeout is 0\.5 s/)
  await alter("statement_timeout = '1min'")
  assert.equal((await examine(db.ownUrl)).check('time limits').message, 'statement_timeout is 1 min')
  await alter('default_transaction_read_only = on')
  const readOnly = await examine(db.ownUrl)
  assert.equal(readOnly.ok, false)
  assert.deepEqual(
    [readOnly.check('writes').status, readOnly.check('writes').message],
    ['failed', 'sessions are read-only'],
  )
  await db.query(`SET default_transaction_read_only = off; ALTER DATABASE ${db.name} RESET ALL`)
})

test('dead rows without a vacuum are reported, and expired rows that are not removed', async () => {
  const db = await set
  await db.query(`
    ALTER TABLE go_goscope_locks SET (autovacuum_enabled = off);
    INSERT INTO go_goscope_locks SELECT 'lock:' || n, 'o', now() + interval '1 h' FROM generate_series(1, 12000) AS n`)
  await db.query('DELETE FROM go_goscope_locks')
  await db.query(`INSERT INTO go_goscope_cache
    SELECT 'cache:' || n, '1', timezone('UTC', now()) - interval '1 h' FROM generate_series(1, 10001) AS n`)
  // A session counts for itself at first, and adds that to the server's figures when it has been idle for seconds. Since
  // PostgreSQL 15 it does so on request.
  const flush = "SELECT proname AS name FROM pg_proc WHERE proname = 'pg_stat_force_next_flush'"
  for (const { name } of await db.query(flush)) await db.query(`SELECT ${name}()`)
  await until('the server has counted', async () => {
    const [{ dead }] = await db.query("SELECT pg_stat_get_dead_tuples('go_goscope_locks'::regclass)::int AS dead")
    return dead === 12_000
  })
  const { check } = await examine(db.ownUrl)
  assert.match(
    check('go_goscope_locks upkeep').message,
    /^12,000 dead rows beside 0 live ones; autovacuum was there never yet/,
  )
  assert.deepEqual(check('go_goscope_cache upkeep').status, 'warning')
  assert.match(check('go_goscope_cache upkeep').message, /^10,001 rows have expired/)
})

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-doctor-'))
after(() => fs.rmSync(folder, { recursive: true, force: true }))

test('clock differences in either direction are reported', async () => {
  const db = await sound
  for (const [minutes, wanted] of /** @type {[number, RegExp][]} */ ([
    [5, /server’s clock is (5 min|4 min 59 s).* behind this machine’s/],
    [-5, /server’s clock is (5 min|4 min 59 s).* ahead of this machine’s/],
  ])) {
    const wrong = path.join(folder, `clock${minutes}.js`)
    fs.writeFileSync(wrong, `const now = Date.now; Date.now = () => now() + ${minutes * 60_000}`)
    const { ok, check } = await examine(db.ownUrl, [], { NODE_OPTIONS: `--require ${wrong}` })
    assert.ok(ok)
    assert.equal(check('clocks').status, 'warning')
    assert.match(check('clocks').message, wanted)
  }
})

test('time zones are reported, and harmless', async () => {
  const db = await sound
  const { check } = await examine(db.ownUrl, [], { TZ: 'Asia/Tokyo' })
  assert.deepEqual(check('time zones').status, 'ok')
  assert.match(check('time zones').message, /session in UTC, process in Asia\/Tokyo/)
})

test('a durable server with few free connections is reported', async () => {
  const server = await startPostgres({
    settings: { max_connections: 10, fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on' },
  })
  const clients = Array.from({ length: 6 }, () => new pg.Client(server.url))
  try {
    await Promise.all(clients.map((client) => client.connect()))
    const { ok, bad, check } = await examine(server.url)
    assert.ok(ok)
    assert.deepEqual(bad, ['connections'])
    assert.equal(check('connections').message, '7 of 7 are open')
  } finally {
    await Promise.all(clients.map((client) => client.end()))
    await server.stop()
  }
})

const skip = noPooler || false
const pooler = skip ? undefined : sound.then(({ ownUrl }) => startPooler(ownUrl))
after(async () => (await pooler)?.stop())

test('a transaction pooler is a warning', { skip }, async () => {
  const { url } = /** @type {any} */ (await pooler)
  const { ok, check } = await examine(url)
  assert.ok(ok)
  assert.equal(check('pooler').status, 'warning')
})
