// @ts-check
// @configurations last
// @without first: doctor on other servers; here cli/doctor and cli/doctor-failing run
// `goscope-postgres doctor`, on causes of failing, waiting or lost writes although the tables are as documented.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { after, test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { startPostgres } = require('../../embedded.js')
const { administer, useDatabase } = require('../support/database.js')
const { examine } = require('../support/doctor.js')
const { migration, grants, urlAs } = require('../support/route.js')

const [rights, swallowed, held, limited, padded] = Array.from({ length: 5 }, () => useDatabase())

const role = `goscope_test_${crypto.randomBytes(6).toString('hex')}`
const made = administer(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
after(() => administer(`DROP ROLE IF EXISTS ${role}`))

/** @typedef {Awaited<typeof rights>} Database */

/** @param {Database} db */
async function migrate(db) {
  await made
  await db.query(`${migration('schema.sql')}; ${grants(role)}`)
  return urlAs(db.ownUrl, role)
}

/** @param {Database} db @param {string} url @param {(adapter: PostgresAdapter) => Promise<unknown>} act */
async function attempt(db, url, act) {
  const adapter = new PostgresAdapter(db.pool({ connectionString: url }))
  const outcome = act(adapter).then(
    () => undefined,
    (/** @type {any} */ error) => error.code,
  )
  return outcome.finally(() => adapter.disconnect())
}

const acquire = (/** @type {PostgresAdapter} */ adapter) => adapter.acquire('k', 60_000, 'me')
const release = async (/** @type {PostgresAdapter} */ adapter) => (await adapter.acquire('k', 60_000, 'me'))?.release()

test('functions of the server that the role may not execute fail, and the advice fixes it', async () => {
  const db = await rights
  const url = await migrate(db)
  assert.deepEqual((await examine(url)).failed, [])
  for (const [name, args, act] of /** @type {const} */ ([
    ['set_config', 'text, text, boolean', release],
    ['nextval', 'regclass', acquire],
    ['statement_timestamp', '', acquire],
  ])) {
    const signature = `pg_catalog.${name}(${args})`
    await db.query(`REVOKE EXECUTE ON FUNCTION ${signature} FROM PUBLIC`)
    assert.equal(await attempt(db, url, act), '42501', name)
    const { code, failed, check } = await examine(url)
    assert.deepEqual([code, failed], [1, ['functions']], name)
    assert.match(check('functions').message, new RegExp(`no EXECUTE of ${name}\\(`))
    await db.query(String(check('functions').advice))
    assert.equal(await attempt(db, url, act), undefined, name)
    assert.deepEqual((await examine(url)).failed, [], name)
  }
  await db.query('REVOKE EXECUTE ON FUNCTION pg_notify(text, text) FROM PUBLIC')
  assert.equal(await attempt(db, url, (adapter) => adapter.setState('b', { state: 'open', failureCount: 1 })), '42501')
  assert.deepEqual((await examine(url)).failed, ['functions'])
  await db.query(`DROP OWNED BY ${role}`)
})

test('a trigger that runs before each row is named, also on a partition', async () => {
  const db = await swallowed
  const url = await migrate(db)
  await db.query(`
    CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER "Audit" BEFORE INSERT OR UPDATE ON go_goscope_cache FOR EACH ROW EXECUTE FUNCTION swallow();
    CREATE TRIGGER off BEFORE INSERT ON go_goscope_locks FOR EACH ROW EXECUTE FUNCTION swallow();
    ALTER TABLE go_goscope_locks DISABLE TRIGGER off`)
  const adapter = new PostgresAdapter(db.pool({ connectionString: url }))
  await adapter.set('k', 1)
  assert.equal(await adapter.get('k'), null, 'the write is lost')
  const found = await examine(url)
  assert.deepEqual([found.code, found.failed, found.warned], [0, [], ['go_goscope_cache triggers']])
  assert.match(found.check('go_goscope_cache triggers').message, /Audit on go_goscope_cache; if it returns NULL/)

  await db.query(`
    DROP TABLE go_goscope_cache;
    CREATE TABLE go_goscope_cache (key text PRIMARY KEY, value jsonb NOT NULL, expires_at timestamp,
      created_at timestamp DEFAULT now(), accessed_at timestamp DEFAULT now()) PARTITION BY HASH (key);
    CREATE INDEX ON go_goscope_cache (expires_at);
    CREATE TABLE half PARTITION OF go_goscope_cache FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE other_half PARTITION OF go_goscope_cache FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    CREATE TRIGGER swallow_half BEFORE INSERT ON half FOR EACH ROW EXECUTE FUNCTION swallow();
    ${grants(role)}`)
  const parts = await examine(url)
  assert.match(parts.check('go_goscope_cache triggers').message, /swallow_half on half/)
  await db.query(`CREATE TRIGGER whole BEFORE INSERT ON go_goscope_cache FOR EACH ROW EXECUTE FUNCTION swallow()`)
  const both = (await examine(url)).check('go_goscope_cache triggers').message
  assert.equal(both.match(/whole on/g)?.length, 1, both)
  await db.query(`ALTER TABLE other_half ADD CONSTRAINT brief CHECK (length(key) < 8);
    ALTER TABLE go_goscope_cache ADD CONSTRAINT brisk CHECK (length(key) < 9)`)
  const constraints = (await examine(url)).check('go_goscope_cache constraints').message
  assert.match(constraints, /brief on other_half \(CHECK/)
  assert.equal(constraints.match(/brisk/g)?.length, 1, constraints)
  await db.query(`DROP OWNED BY ${role}`)
})

test('undocumented constraints are named; a default whose sequence this role may not use fails', async () => {
  const db = await held
  const url = await migrate(db)
  await db.query(`
    CREATE TABLE owners (owner text PRIMARY KEY);
    ALTER TABLE go_goscope_locks ADD CONSTRAINT short CHECK (length(key) < 8),
      ADD CONSTRAINT known FOREIGN KEY (owner) REFERENCES owners;
    CREATE UNIQUE INDEX one_each ON go_goscope_locks (owner);
    CREATE DOMAIN small AS text CONSTRAINT tiny CHECK (length(value) < 3);
    ALTER TABLE go_goscope_circuit ALTER COLUMN key TYPE small`)
  assert.equal(await attempt(db, url, acquire), '23503')
  assert.equal(await attempt(db, url, (adapter) => adapter.acquire('longer', 60_000, 'me')), '23514')
  const { code, failed, warned, check } = await examine(url)
  assert.deepEqual([code, failed], [0, []])
  assert.deepEqual(warned, ['go_goscope_locks constraints', 'go_goscope_circuit constraints'])
  for (const name of [/\bshort \(CHECK/, /known \(FOREIGN KEY/, /one_each \(UNIQUE/]) {
    assert.match(check('go_goscope_locks constraints').message, name)
  }
  assert.match(check('go_goscope_circuit constraints').message, /tiny \(CHECK/)

  await db.query('ALTER TABLE go_goscope_cache ADD COLUMN id serial')
  assert.equal(await attempt(db, url, (adapter) => adapter.set('k', 1)), '42501')
  const drawn = await examine(url)
  assert.deepEqual([drawn.code, drawn.failed], [1, ['go_goscope_cache columns']])
  await db.query(`GRANT USAGE ON SEQUENCE go_goscope_cache_id_seq TO ${role}`)
  assert.equal(await attempt(db, url, (adapter) => adapter.set('k', 1)), undefined)
  assert.deepEqual((await examine(url)).failed, [])
  await db.query(`DROP OWNED BY ${role}`)
})

test('connection limits of the role and of the database that one pool can reach are reported', async () => {
  const db = await limited
  await migrate(db)
  // A database of its own: idle connections of the other tests stay open for a while.
  const few = `${role}_few`
  await db.query(`CREATE ROLE ${few} LOGIN PASSWORD 'secret'; ${grants(few)}`)
  const url = urlAs(db.ownUrl, few)
  await db.query(`ALTER ROLE ${few} CONNECTION LIMIT 9`)
  const ofRole = await examine(url)
  assert.deepEqual([ofRole.code, ofRole.warned], [0, ['connection limit']])
  assert.match(ofRole.check('connection limit').message, new RegExp(`the role ${few} may have 9 connections`))
  await db.query(`ALTER ROLE ${few} CONNECTION LIMIT -1; ALTER DATABASE ${db.name} CONNECTION LIMIT 10`)
  assert.match((await examine(url)).check('connection limit').message, /^this database may have 10 connections/)
  assert.deepEqual((await examine(db.ownUrl)).warned, [], 'no limit holds for a superuser')
  await db.query(`ALTER DATABASE ${db.name} CONNECTION LIMIT 11`)
  assert.deepEqual((await examine(url)).warned, [])
  await db.query(`DROP OWNED BY ${role}, ${few}; DROP ROLE ${few}`)
})

test('disconnected synchronous standbys fail, because each write would wait', async () => {
  const server = await startPostgres()
  try {
    await administer(migration('schema.sql'), server.url)
    await administer("CREATE ROLE app LOGIN PASSWORD 'secret'", server.url)
    await administer(grants('app'), server.url)
    await administer("ALTER SYSTEM SET synchronous_commit = 'on'", server.url)
    await administer("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (a, b)'", server.url)
    await administer('SELECT pg_reload_conf()', server.url)
    for (const url of [server.url, urlAs(server.url, 'app')]) {
      const { code, failed, check } = await examine(url)
      assert.deepEqual([code, failed], [1, ['synchronous standbys']])
      assert.match(check('synchronous standbys').message, /'ANY 1 \(a, b\)', and 0 of 1 such standbys are connected/)
    }
    for (const value of ['local', 'off']) {
      await administer(`ALTER SYSTEM SET synchronous_commit = ${value}`, server.url)
      await administer('SELECT pg_reload_conf()', server.url)
      assert.equal((await examine(server.url)).code, 0, value)
    }
  } finally {
    await server.stop()
  }
})

test('columns that pad keys are a warning; columns that treat different keys as equal fail', async () => {
  const db = await padded
  const locks = (/** @type {string} */ key) =>
    db.query(`DROP TABLE IF EXISTS go_goscope_locks CASCADE; CREATE TABLE go_goscope_locks (
      key ${key} PRIMARY KEY, owner text NOT NULL, expires_at timestamp NOT NULL)`)
  await db.query(migration('schema.sql'))
  await locks('char(64)')
  assert.equal(await attempt(db, db.ownUrl, acquire), undefined)
  const { code, check } = await examine(db.ownUrl, '--only', 'locks')
  assert.deepEqual([code, check('go_goscope_locks columns').status], [0, 'warning'])
  assert.match(check('go_goscope_locks columns').message, /^key is character\(64\): character\(n\) pads/)
  await locks('varchar(64)')
  assert.equal((await examine(db.ownUrl, '--only', 'locks')).check('go_goscope_locks columns').status, 'ok')

  await db.query(`CREATE COLLATION "any case" (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`)
  await locks('text COLLATE "any case"')
  const loose = await examine(db.ownUrl, '--only', 'locks')
  assert.deepEqual([loose.code, loose.failed], [1, ['go_goscope_locks columns']])
  assert.match(loose.check('go_goscope_locks columns').message, /^key has a nondeterministic collation/)
})
