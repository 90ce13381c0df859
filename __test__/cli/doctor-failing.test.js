// @ts-check
// @configurations first
// `goscope-postgres doctor` exits with 1 if an adapter with the same options fails, and with 0 if it works.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { after, test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { runCommand } = require('../support/command.js')
const { administer, useDatabase } = require('../support/database.js')
const { missing: noPooler, startPooler } = require('../../scripts/servers/pooler.js')
const { TABLES } = require('../support/documented-tables.js')
const { migration, urlAs } = require('../support/route.js')

const [empty, shapes, odd, typed, partitions, citus, pooled] = Array.from({ length: 7 }, () => useDatabase())

const role = `goscope_test_${crypto.randomBytes(6).toString('hex')}`
const made = administer(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
after(() => administer(`DROP ROLE IF EXISTS ${role}`))

/** @typedef {Awaited<typeof empty>} Database */

/** @param {string} url @param {string[]} args */
async function examine(url, ...args) {
  const { code, stdout } = await runCommand(['doctor', '--json', ...args], { DATABASE_URL: url })
  /** @type {{ checks: { name: string, status: string, message: string, advice?: string }[] }} */
  const { checks } = JSON.parse(stdout)
  const failed = checks.filter(({ status }) => status === 'failed').map(({ name }) => name)
  return { code, failed, check: (/** @type {string} */ title) => checks.find(({ name }) => name === title) }
}

/**
 * Whether an adapter works.
 *
 * @param {Database} db
 * @param {string} url
 * @param {ConstructorParameters<typeof PostgresAdapter>[1]} [options]
 */
async function works(db, url, options) {
  const adapter = new PostgresAdapter(db.pool({ connectionString: url }), options)
  try {
    await adapter.connect()
    // Alone, and many at once: these take another path through a pooler.
    await adapter.set('k', 1, 60_000)
    await Promise.all(Array.from({ length: 20 }, (_, n) => adapter.set(`k${n}`, n)))
    return (await adapter.acquire('k', 60_000, 'me')) !== null
  } catch {
    return false
  }
}

test('missing tables fail for a role that may not create them, and for adapters that do not create them', async () => {
  await made
  const db = await empty
  const url = urlAs(db.ownUrl, role)
  await db.query('REVOKE CREATE ON SCHEMA public FROM PUBLIC')
  assert.equal(await works(db, url), false)
  const role1 = await examine(url)
  assert.deepEqual([role1.code, role1.failed], [1, TABLES])

  assert.equal(await works(db, db.ownUrl, { createTables: false }), false)
  const without = await examine(db.ownUrl, '--no-create-tables')
  assert.deepEqual([without.code, without.failed], [1, TABLES])
  assert.match(String(without.check('go_goscope_locks')?.advice), /schema \| psql/)
  assert.equal((await examine(db.ownUrl)).code, 0)

  // Tables that the application does not use may be missing.
  await db.query((await runCommand(['schema', '--only', 'locks,cache', '--role', role])).stdout)
  assert.deepEqual((await examine(url, '--only', 'locks,cache')).failed, [])
  assert.deepEqual(
    (await examine(url)).failed,
    TABLES.filter((name) => !/locks|_cache/.test(name)),
  )
  await db.query(migration('schema.sql'))
  assert.equal((await examine(db.ownUrl, '--no-create-tables')).code, 0)
  assert.equal(await works(db, db.ownUrl, { createTables: false }), true)
  await db.query(`DROP OWNED BY ${role}`)
})

test('a relation that is no table, or has rules, fails; row-level security is a warning', async () => {
  await made
  const db = await shapes
  await new PostgresAdapter(db.pool()).connect()
  await db.query('ALTER TABLE go_goscope_cache RENAME TO kept; CREATE VIEW go_goscope_cache AS SELECT * FROM kept')
  assert.equal(await works(db, db.url), false)
  const view = await examine(db.url)
  assert.equal(view.code, 1)
  assert.match(String(view.check('go_goscope_cache shape')?.message), /^is a view/)

  await db.query('DROP VIEW go_goscope_cache; ALTER TABLE kept RENAME TO go_goscope_cache')
  await db.query('CREATE RULE logs AS ON INSERT TO go_goscope_cache DO ALSO NOTIFY other')
  assert.equal(await works(db, db.url), false)
  assert.deepEqual((await examine(db.url)).failed, ['go_goscope_cache shape'])

  await db.query('DROP RULE logs ON go_goscope_cache')
  await db.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role}`)
  await db.query(`GRANT USAGE ON SEQUENCE go_goscope_locks_fencing_token_seq TO ${role}`)
  await db.query('ALTER TABLE go_goscope_cache ENABLE ROW LEVEL SECURITY')
  const without = await examine(urlAs(db.ownUrl, role), '--only', 'cache')
  assert.deepEqual([without.code, without.failed], [1, ['go_goscope_cache shape']])
  await db.query(`CREATE POLICY reads ON go_goscope_cache FOR SELECT TO ${role} USING (true)`)
  assert.equal((await examine(urlAs(db.ownUrl, role), '--only', 'cache')).code, 1)
  await db.query(`CREATE POLICY all_of_a ON go_goscope_cache TO ${role} USING (key LIKE 'cache:a%')`)
  const hidden = await examine(urlAs(db.ownUrl, role), '--only', 'cache')
  assert.deepEqual([hidden.code, hidden.check('go_goscope_cache shape')?.status], [0, 'warning'])
  assert.equal(
    (await examine(db.ownUrl)).check('go_goscope_cache shape'),
    undefined,
    'policies do not apply to its owner',
  )
  await db.query('ALTER TABLE go_goscope_cache DISABLE ROW LEVEL SECURITY')

  await db.query('ALTER TABLE go_goscope_cache DROP CONSTRAINT go_goscope_cache_pkey, ADD PRIMARY KEY (key) DEFERRABLE')
  assert.equal(await works(db, db.url), false)
  assert.deepEqual((await examine(db.url)).failed, ['go_goscope_cache columns'])
  await db.query(`DROP OWNED BY ${role}`)
})

test('unusable columns fail, and usable ones do not', async () => {
  const db = await odd
  await new PostgresAdapter(db.pool()).connect()
  await db.query('DROP TABLE go_goscope_locks CASCADE')
  const locks = (/** @type {string} */ columns) => `CREATE TABLE go_goscope_locks (${columns})`
  const documented = 'key text PRIMARY KEY, owner text NOT NULL, expires_at timestamp NOT NULL'
  for (const [columns, message] of [
    [`${documented}, tenant int NOT NULL`, 'tenant is NOT NULL without a default'],
    [documented.replace('owner text', 'owner varchar(20)'), 'owner is character varying(20)'],
    [documented.replace('timestamp', 'timestamp(0)'), 'expires_at is timestamp(0)'],
    [documented.replace('timestamp', 'timestamptz(2)'), 'expires_at is timestamp(2)'],
    [documented.replace('timestamp', 'date'), 'expires_at is date'],
  ]) {
    await db.query(locks(columns))
    const { code, failed, check } = await examine(db.ownUrl, '--only', 'locks')
    assert.deepEqual([code, failed], [1, ['go_goscope_locks columns']], columns)
    assert.ok(
      check('go_goscope_locks columns')?.message.startsWith(message),
      check('go_goscope_locks columns')?.message,
    )
    await db.query('DROP TABLE go_goscope_locks')
  }
  await db.query(
    'CREATE DOMAIN lock_key AS text; CREATE RULE off AS ON INSERT TO go_goscope_cache DO ALSO NOTIFY other',
  )
  await db.query('ALTER TABLE go_goscope_cache DISABLE RULE off')
  for (const columns of [
    `${documented.replace('key text', 'key lock_key')}, tenant int NOT NULL DEFAULT 1`,
    documented.replace('key text', 'key bpchar').replace('timestamp', 'timestamptz(3)'),
  ]) {
    await db.query(locks(columns))
    assert.equal(await works(db, db.ownUrl), true, columns)
    assert.deepEqual((await examine(db.ownUrl, '--only', 'locks,cache')).failed, [], columns)
    await db.query('DROP TABLE go_goscope_locks')
  }
})

test('a column whose type is no time fails, and the other checks still run', async () => {
  const db = await typed
  await db.query('CREATE TABLE own (key text PRIMARY KEY, value jsonb, expires_at text, accessed_at timestamp)')
  const { code, failed } = await examine(db.ownUrl, '--only', 'locks', '--table', 'own')
  assert.deepEqual([code, failed], [1, ['own columns']])
})

test('missing partitions, at any level, fail', async () => {
  const db = await partitions
  await db.query(`CREATE TABLE go_goscope_cache (key text PRIMARY KEY, value jsonb NOT NULL, expires_at timestamp,
    created_at timestamp DEFAULT now(), accessed_at timestamp DEFAULT now()) PARTITION BY HASH (key)`)
  const lacks = async () => {
    const { code, failed, check } = await examine(db.ownUrl, '--only', 'cache')
    const message = String(check('go_goscope_cache shape')?.message)
    return code === 1 && failed.join() === 'go_goscope_cache shape' && message.startsWith('lacks partitions')
  }
  const part = (/** @type {string} */ name, /** @type {string} */ of, /** @type {string} */ rest) =>
    db.query(`CREATE TABLE ${name} PARTITION OF ${of} ${rest}`)
  assert.equal(await works(db, db.ownUrl), false)
  assert.equal(await lacks(), true)
  await part('third0', 'go_goscope_cache', 'FOR VALUES WITH (MODULUS 3, REMAINDER 0)')
  await part('third1', 'go_goscope_cache', 'FOR VALUES WITH (MODULUS 3, REMAINDER 1)')
  assert.equal(await works(db, db.ownUrl), false)
  assert.equal(await lacks(), true)
  await part('third2', 'go_goscope_cache', 'FOR VALUES WITH (MODULUS 3, REMAINDER 2) PARTITION BY HASH (key)')
  await part('sixth', 'third2', 'FOR VALUES WITH (MODULUS 2, REMAINDER 0)')
  assert.equal(await works(db, db.ownUrl), false)
  assert.equal(await lacks(), true)
  await part('other_sixth', 'third2', 'FOR VALUES WITH (MODULUS 2, REMAINDER 1)')
  assert.equal(await works(db, db.ownUrl), true)
  assert.equal((await examine(db.ownUrl, '--only', 'cache')).code, 0)
})

// The extension itself is not available here. This is its catalogue, as in its documentation.
test('connect() and doctor report tables that the catalogue of Citus lists as distributed', async () => {
  const db = await citus
  await new PostgresAdapter(db.pool()).connect()
  const client = await db.plain.connect()
  await client.query('SET allow_system_table_mods = on')
  await client.query(
    `CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass, partmethod "char", repmodel "char")`,
  )
  await client.query('GRANT SELECT ON pg_catalog.pg_dist_partition TO PUBLIC')
  const fill = (/** @type {string} */ method, /** @type {string} */ model) =>
    client.query(`TRUNCATE pg_catalog.pg_dist_partition;
      INSERT INTO pg_catalog.pg_dist_partition VALUES ('go_goscope_cache', '${method}', '${model}')`)
  assert.equal(await works(db, db.url), true, 'none is listed')
  assert.equal((await examine(db.url)).code, 0)
  await fill('n', 's')
  assert.equal(await works(db, db.url), true, 'a table of the coordinator alone')
  assert.equal((await examine(db.url)).code, 0)
  for (const [method, model] of [
    ['h', 's'],
    ['n', 't'],
  ]) {
    await fill(method, model)
    const adapter = new PostgresAdapter(db.pool())
    await assert.rejects(adapter.connect(), { code: 'ERR_GOSCOPE_TABLE_DISTRIBUTED', table: 'public.go_goscope_cache' })
    await assert.rejects(adapter.set('k', 1), { code: 'ERR_GOSCOPE_TABLE_DISTRIBUTED' })
    const found = await examine(db.url)
    assert.deepEqual([found.code, found.failed], [1, ['go_goscope_cache shape']])
  }
  client.release()
})

const skip = process.env.CI === 'true' ? false : noPooler || false

for (const [mode, isFine, message] of /** @type {const} */ ([
  ['statement', false, /in statement mode/],
  ['transaction', true, /shares sessions between transactions/],
  ['session', true, /No session was seen to be shared/],
])) {
  test(`through a pooler in ${mode} mode ${isFine ? 'an adapter works, and doctor exits with 0' : 'both fail'}`, {
    skip,
  }, async () => {
    const db = await pooled
    await new PostgresAdapter(db.pool({ connectionString: db.ownUrl })).connect()
    const settings = `ignore_startup_parameters = options\npool_mode = ${mode}`
    const pooler = await startPooler(db.ownUrl, settings)
    try {
      assert.equal(await works(db, pooler.url), isFine)
      const { code, check } = await examine(pooler.url)
      assert.deepEqual([code, check('pooler')?.status], isFine ? [0, 'warning'] : [1, 'failed'])
      assert.match(String(check('pooler')?.message), message)
      if (!isFine) {
        // Many concurrent calls are sent as a transaction of three statements.
        const adapter = new PostgresAdapter(db.pool({ connectionString: pooler.url }))
        const writes = Array.from({ length: 20 }, (_, n) => adapter.set(`k${n}`, n))
        await assert.rejects(Promise.all(writes), { code: '08P01', message: /not allowed in statement pooling mode/ })
      }
      for (const command of ['locks', 'status', 'circuits']) {
        const { code, stderr } = await runCommand([command], { DATABASE_URL: pooler.url })
        if (code !== 0) assert.match(stderr, /pool_mode/, command)
        if (isFine) assert.equal(code, 0, stderr)
      }
    } finally {
      await pooler.stop()
    }
  })
}
