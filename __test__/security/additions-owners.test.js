// @ts-check
// @configurations first
// A role that may create in the schema creates functions, triggers, sequences and tables under our names before we do.
// They must not be used: they would run with the rights of each role that writes.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { after, test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { runCommand } = require('../support/command.js')
const { administer, useDatabase } = require('../support/database.js')
const { migration, urlAs } = require('../support/route.js')

const [functions, sequences, triggers, paths, versions, tables, takenRole, raced, migrated, owned] = Array.from(
  { length: 10 },
  () => useDatabase(),
)

const stranger = `goscope_test_${crypto.randomBytes(6).toString('hex')}`
const made = administer(`CREATE ROLE ${stranger} LOGIN PASSWORD 'secret'`)
after(() => administer(`DROP ROLE IF EXISTS ${stranger}`))

/** @typedef {Awaited<typeof functions>} Database */

/** @param {Database} db @param {string} sql */
async function asStranger(db, sql) {
  await made
  await db.query(`GRANT CREATE ON SCHEMA public TO ${stranger}`)
  const client = new pg.Client({ connectionString: urlAs(db.ownUrl, stranger) })
  await client.connect()
  await client.query(sql).finally(() => client.end())
}

/** The body of a foreign function: if a superuser runs it, it makes its owner a superuser. */
const ATTACK = `BEGIN EXECUTE 'ALTER ROLE ${stranger} SUPERUSER'; RETURN NULL; EXCEPTION WHEN OTHERS THEN RETURN NULL; END`

/** @param {Database} db */
async function isSuperuser(db) {
  return (await db.query('SELECT rolsuper FROM pg_roles WHERE rolname = $1', [stranger]))[0].rolsuper
}

/** @param {Database} db */
const adapterOf = (db) => new PostgresAdapter(db.pool({ connectionString: db.ownUrl }))

/** What fires each of our triggers. @param {PostgresAdapter} adapter */
async function work(adapter) {
  await adapter.setState('c', { state: 'open', failureCount: 1 })
  await adapter.recordSuccess('c')
  const lease = await adapter.acquire('k', 60_000, 'me')
  const waiting = adapter.lock('k', { ttl: 60_000, wait: 20_000 })
  await new Promise((resolve) => setTimeout(resolve, 100))
  await lease?.release()
  await (await waiting)?.release()
}

/** @param {Database} db @param {string} name */
async function doctor(db, name, url = db.ownUrl) {
  const { stdout } = await runCommand(['doctor', '--json'], { DATABASE_URL: url })
  return JSON.parse(stdout).checks.find((/** @type {any} */ check) => check.name === name)
}

/** @param {Database} db */
const missing = async (db) => (await runCommand(['schema', '--missing'], { DATABASE_URL: db.ownUrl })).stdout

test('functions of another role are not used, and doctor names them; if absent, connect() creates ours', async () => {
  const db = await functions
  const names = ['go_goscope_notify', 'go_goscope_notify_all']
  for (const name of names) {
    await asStranger(db, `CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $$ ${ATTACK} $$`)
  }
  await asStranger(
    db,
    `CREATE FUNCTION go_goscope_check_fencing_token(key text, token bigint, key_prefix text DEFAULT '')
     RETURNS void LANGUAGE plpgsql AS $$ BEGIN END $$`,
  )
  const adapter = adapterOf(db)
  await adapter.connect()
  await work(adapter)
  assert.equal(await isSuperuser(db), false)
  assert.deepEqual(await db.query('SELECT tgname FROM pg_trigger WHERE NOT tgisinternal'), [])
  for (const table of ['go_goscope_locks', 'go_goscope_circuit']) {
    const { status, message } = await doctor(db, `${table} additions`)
    assert.equal(status, 'warning')
    assert.match(message, new RegExp(`go_goscope_notify is of the role ${stranger}`))
  }
  // The migration does not adopt them, either. This holds even for a superuser, who is allowed everything.
  await assert.rejects(db.query(migration('schema.sql')), { message: new RegExp(stranger) })
  await assert.rejects(db.query(await missing(db)), { message: new RegExp(stranger) })

  await db.query(`DROP OWNED BY ${stranger}`)
  await adapter.connect()
  assert.equal((await db.query('SELECT tgname FROM pg_trigger WHERE NOT tgisinternal')).length, 5)
  assert.equal((await doctor(db, 'go_goscope_locks additions')).status, 'ok')
  await work(adapter)
})

test('a function whose owner changes to another role is no longer used', async () => {
  const db = await functions
  await db.query(
    `GRANT CREATE ON SCHEMA public TO ${stranger}; ALTER FUNCTION go_goscope_notify() OWNER TO ${stranger}`,
  )
  assert.match((await doctor(db, 'go_goscope_circuit additions')).message, new RegExp(stranger))
  await db.query('DROP FUNCTION go_goscope_notify() CASCADE')
  await adapterOf(db).connect()
  assert.equal((await doctor(db, 'go_goscope_circuit additions')).status, 'ok')
  await db.query(`DROP OWNED BY ${stranger}`)
})

test('a sequence of another role is not used: locks have no tokens, and doctor reports the reason', async () => {
  const db = await sequences
  await asStranger(db, 'CREATE SEQUENCE go_goscope_locks_fencing_token_seq')
  const adapter = adapterOf(db)
  await adapter.connect()
  const lease = await adapter.acquire('k', 60_000)
  assert.throws(() => lease?.fencingToken)
  const { status, message } = await doctor(db, 'go_goscope_locks additions')
  assert.equal(status, 'warning')
  assert.match(message, new RegExp(`go_goscope_locks_fencing_token_seq is of the role ${stranger}`))
  await db.query(`DROP OWNED BY ${stranger}`)
  await adapter.connect()
  assert.equal(typeof (await adapter.acquire('k2', 60_000))?.fencingToken, 'bigint')
})

test('a trigger with our name that runs another function is replaced', async () => {
  const db = await triggers
  const adapter = adapterOf(db)
  await adapter.connect()
  await asStranger(db, `CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS $$ ${ATTACK} $$`)
  await db.query(
    `GRANT TRIGGER ON go_goscope_circuit TO ${stranger}; DROP TRIGGER go_goscope_changed ON go_goscope_circuit`,
  )
  await asStranger(
    db,
    `CREATE TRIGGER go_goscope_changed AFTER UPDATE ON go_goscope_circuit FOR EACH ROW EXECUTE FUNCTION theirs()`,
  )
  assert.match((await doctor(db, 'go_goscope_circuit additions')).message, /go_goscope_changed/)
  await adapter.connect()
  await work(adapter)
  assert.equal(await isSuperuser(db), false)
  assert.equal((await doctor(db, 'go_goscope_circuit additions')).status, 'ok')
  await db.query(`DROP OWNED BY ${stranger}`)
})

test('our functions do not find objects that another role has put on the session’s search path', async () => {
  const db = await paths
  const adapter = adapterOf(db)
  await adapter.connect()
  // A closer match than the server's own function, which takes any arguments.
  await asStranger(
    db,
    `CREATE FUNCTION format(text, name, name, text) RETURNS text LANGUAGE plpgsql AS $$
     BEGIN EXECUTE 'ALTER ROLE ${stranger} SUPERUSER'; RETURN ''; END $$`,
  )
  await work(adapter)
  assert.equal(await isSuperuser(db), false)
  const settings = await db.query(
    "SELECT DISTINCT proconfig FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'go_goscope%'",
  )
  assert.deepEqual(settings, [{ proconfig: ['search_path=pg_catalog, pg_temp'] }])
  await db.query(`DROP OWNED BY ${stranger}`)
})

/** @param {Database} db */
const bodies = async (db) =>
  (await db.query("SELECT prosrc FROM pg_proc WHERE proname LIKE 'go_goscope%' ORDER BY proname")).map(
    (row) => row.prosrc,
  )

test('connect() and schema --missing replace an older version, and keep a later one', async () => {
  const db = await versions
  await adapterOf(db).connect()
  await new PostgresIdempotencyAdapter(db.pool({ connectionString: db.ownUrl })).connect()
  const current = await bodies(db)
  const older = `CREATE OR REPLACE FUNCTION go_goscope_notify() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('go_goscope', '*'); RETURN NULL; END $$`
  await db.query(older)
  assert.match((await doctor(db, 'go_goscope_circuit additions')).message, /go_goscope_notify is of an older version/)
  // The older version is used until the table's owner connects.
  await work(adapterOf(db))
  assert.notDeepEqual(await bodies(db), current)
  await adapterOf(db).connect()
  assert.deepEqual(await bodies(db), current)

  await db.query(older)
  const sql = await missing(db)
  assert.match(sql, /FUNCTION go_goscope_notify\(\)/)
  assert.doesNotMatch(sql, /CREATE TABLE|go_goscope_notify_all/)
  await db.query(sql)
  assert.deepEqual(await bodies(db), current)

  const later = older.replace('BEGIN', '-- goscope-postgres additions 999\nBEGIN')
  await db.query(later)
  const kept = await bodies(db)
  await adapterOf(db).connect()
  assert.deepEqual(await bodies(db), kept)
  assert.equal(await missing(db), '-- Nothing is missing.\n')
})

/** A table with our name, whose trigger makes its owner a superuser. @param {Database} db @param {string} table */
const trap = (db, table) =>
  asStranger(
    db,
    `CREATE TABLE ${table} (key text PRIMARY KEY, owner text NOT NULL, value jsonb, expires_at timestamp NOT NULL);
     CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$ ${ATTACK} $$;
     CREATE TRIGGER trap AFTER INSERT ON ${table} EXECUTE FUNCTION trap();
     GRANT ALL ON ${table} TO PUBLIC`,
  )

test('a superuser does not use a table that another role created first, before connect() or after it', async () => {
  const db = await tables
  await trap(db, 'go_goscope_locks')
  const refused = { code: 'ERR_GOSCOPE_TABLE_OWNER', table: 'public.go_goscope_locks', message: new RegExp(stranger) }
  const adapter = adapterOf(db)
  await assert.rejects(adapter.acquire('k', 60_000), refused)
  await assert.rejects(adapter.lock('k', { ttl: 60_000 }), refused)
  await assert.rejects(adapter.connect(), refused)
  await assert.rejects(adapter.acquire('k', 60_000), refused)
  assert.equal(await isSuperuser(db), false)
  // Tables of our own are not affected.
  await adapter.set('k', 1)
  assert.equal(await adapter.get('k'), 1)
  const { status, message, advice } = await doctor(db, 'go_goscope_locks owner')
  assert.equal(status, 'failed')
  assert.match(message, new RegExp(stranger))
  assert.match(advice, /DROP TABLE "public"\."go_goscope_locks"/)
  await db.query(`DROP OWNED BY ${stranger}`)
  await adapter.connect()
  assert.ok(await adapter.acquire('k', 60_000))
})

test('a superuser with SET ROLE to the role of an application does not use such a table, either', async () => {
  const db = await takenRole
  const role = `${stranger}_app`
  await db.query(`CREATE ROLE ${role}`)
  after(() => administer(`DROP ROLE ${role}`))
  await trap(db, 'go_goscope_locks')
  const pool = db.pool({ connectionString: db.ownUrl })
  pool.on('connect', (client) => client.query(`SET ROLE ${role}`))
  await assert.rejects(new PostgresAdapter(pool).acquire('k', 60_000), { code: 'ERR_GOSCOPE_TABLE_OWNER' })
  assert.equal(await isSuperuser(db), false)
  await db.query(`DROP OWNED BY ${stranger}`)
})

test('a table that another role creates while we create it is not used', async () => {
  const db = await raced
  // Our CREATE waits for the lock that all our creations take. Meanwhile the table is created, and our CREATE finds it.
  const client = new pg.Client({ connectionString: db.ownUrl })
  await client.connect()
  await client.query(`SELECT pg_advisory_lock(${0x676f_7363_6f70_6531n})`)
  const acquired = adapterOf(db).acquire('k', 60_000)
  const refused = assert.rejects(acquired, { code: 'ERR_GOSCOPE_TABLE_OWNER' })
  const isWaiting =
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
  while ((await db.query(isWaiting)).length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  await trap(db, 'go_goscope_locks')
  await client.end()
  await refused
  assert.equal(await isSuperuser(db), false)
  await db.query(`DROP OWNED BY ${stranger}`)
})

test('an application of another role can use tables and functions of the role that runs migrations', async () => {
  const db = await migrated
  await asStranger(db, migration('schema.sql'))
  const role = `${stranger}_user`
  await db.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA public TO ${role};
    GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role}; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ${role}`)
  after(() => administer(`DROP ROLE ${role}`))
  const adapter = new PostgresAdapter(db.pool({ connectionString: urlAs(db.ownUrl, role) }))
  await adapter.connect()
  assert.equal(typeof (await adapter.acquire('k', 60_000))?.fencingToken, 'bigint')
  assert.equal((await doctor(db, 'go_goscope_locks additions', urlAs(db.ownUrl, role))).status, 'ok')
  // It cannot be distinguished from a role that was first, so doctor asks.
  const { status, message } = await doctor(db, 'go_goscope_locks owner', urlAs(db.ownUrl, role))
  assert.equal(status, 'warning')
  assert.match(message, new RegExp(`${stranger} owns it`))
  await db.query(`DROP OWNED BY ${stranger}; DROP OWNED BY ${role}`)
})

test('a superuser can use tables of the owner of the schema or of the database', async () => {
  const db = await owned
  await asStranger(db, migration('schema.sql'))
  for (const what of [
    'SCHEMA public',
    `DATABASE ${(await db.query('SELECT current_database()'))[0].current_database}`,
  ]) {
    const [{ current_user: self }] = await db.query('SELECT current_user')
    await db.query(`ALTER ${what} OWNER TO ${stranger}`)
    const adapter = adapterOf(db)
    await adapter.connect()
    assert.ok(await adapter.acquire('k', 60_000, 'me'))
    await db.query(`ALTER ${what} OWNER TO ${self}`)
  }
  await db.query(`DROP OWNED BY ${stranger}`)
})
