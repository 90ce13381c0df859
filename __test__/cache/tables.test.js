// @ts-check
// @configurations every
// @without role, partitions: it is about making tables
// PostgresCacheAdapter's tables: their names, how they are found or made, and their indexes.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { urlAs, without } = require('../support/route.js')
const { assertLastsToItsEnd, assertLease } = require('../support/leases.js')

const database = useDatabase()
const pool = database.then((db) => db.pool())

/** Separate databases for the tests of names that could collide. */
const [pgBased, bothAdapters, cacheFirst, serverNamed] = Array.from({ length: 4 }, useDatabase)

/** @param {import('goscope-postgres').PostgresCacheAdapterOptions} [options] */
async function cache(options) {
  return new PostgresCacheAdapter(await pool, options)
}

/**
 * @param {string} name
 * @param {string} [schema]
 * @param {typeof database} [where]
 */
async function tableExists(name, schema = 'public', where = database) {
  const sql = 'SELECT count(*)::int AS n FROM pg_tables WHERE tablename = $1 AND schemaname = $2'
  return (await (await where).query(sql, [name, schema]))[0].n === 1
}

/**
 * @param {typeof database} where
 * @param {string} table
 * @returns {Promise<{ indexname: string, indexdef: string }[]>}
 */
async function expiryIndexes(where, table) {
  const sql = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = $1 AND indexdef LIKE '%(expires_at)%'"
  return (await where).query(sql, [table])
}

/** One call of every method. @param {PostgresCacheAdapter} adapter */
async function worksWith(adapter) {
  await adapter.set('k', { v: 1 }, 60_000)
  await adapter.set('k', { v: 2 }, 60_000)
  assert.deepEqual(await adapter.get('k'), { v: 2 })
  assert.equal(await adapter.has('k'), true)
  assert.deepEqual(await adapter.keys('k*'), ['k'])
  assert.equal((await adapter.stats()).size, 1)
  assert.equal(await adapter.prune(), 0)
  await adapter.delete('k')
  await adapter.clear()
  assert.deepEqual(await adapter.keys(), [])
}

test("initialize makes the documented table, 'cache' by default, and changes nothing the second time", async () => {
  const adapter = await cache()
  assert.equal(await adapter.initialize(), undefined)
  const columns = await (await database).query(`
    SELECT column_name AS name, data_type AS type, is_nullable AS nullable FROM information_schema.columns
     WHERE table_name = 'cache' ORDER BY ordinal_position`)
  assert.deepEqual(
    columns.map(({ name, type, nullable }) => [name, type, nullable]).filter(([name]) => name !== 'created_at'),
    [
      ['key', 'text', 'NO'],
      ['value', 'jsonb', 'NO'],
      ['expires_at', 'timestamp without time zone', 'YES'],
      ['accessed_at', 'timestamp without time zone', 'YES'],
    ],
  )
  assert.equal((await expiryIndexes(database, 'cache')).length, 1)
  await adapter.set('kept', 1)
  await adapter.initialize()
  await (await cache({ tableName: /** @type {any} */ (null) })).initialize()
  assert.equal(await adapter.get('kept'), 1)
  assert.equal((await expiryIndexes(database, 'cache')).length, 1)
})

test('without initialize the table is made on first use, whichever method is called first', async () => {
  /** @type {[string, (adapter: PostgresCacheAdapter) => Promise<any>, any][]} */
  const calls = [
    ['get', (adapter) => adapter.get('k'), null],
    ['set', (adapter) => adapter.set('k', 1), undefined],
    ['has', (adapter) => adapter.has('k'), false],
    ['delete', (adapter) => adapter.delete('k'), undefined],
    ['keys', (adapter) => adapter.keys(), []],
    ['clear', (adapter) => adapter.clear(), undefined],
    ['stats', (adapter) => adapter.stats(), { hits: 0, misses: 0, size: 0, hitRatio: 0 }],
    ['prune', (adapter) => adapter.prune(), 0],
  ]
  for (const [name, call, expected] of calls) {
    assert.deepEqual(await call(await cache({ tableName: `first_${name}` })), expected)
    assert.ok(await tableExists(`first_${name}`))
    assert.equal((await expiryIndexes(database, `first_${name}`)).length, 1)
  }
})

test('any number of adapters and calls may need the table first', async () => {
  const db = await database
  const adapters = Array.from(
    { length: 8 },
    () => new PostgresCacheAdapter(db.pool({ max: 2 }), { tableName: 'raced' }),
  )
  await Promise.all(adapters.flatMap((adapter, n) => [adapter.set(`${n}`, n), adapter.initialize()]))
  assert.equal((await adapters[0].stats()).size, 8)
  assert.equal((await expiryIndexes(database, 'raced')).length, 1)
})

test('createTables: false makes no table; its calls reject with 42P01 until the table is made', async () => {
  const adapter = await cache({ tableName: 'not_made', createTables: false })
  await adapter.initialize()
  await assert.rejects(adapter.set('k', 1), { name: 'error', code: '42P01' })
  assert.equal(await tableExists('not_made'), false)
  await (await cache({ tableName: 'not_made' })).initialize()
  await worksWith(adapter)
})

for (const tableName of [
  'two words',
  "it's",
  'a"b',
  'a"; DROP TABLE x; --',
  '"quoted"',
  'UpperCase',
  'order',
  'user',
  'table',
  '123',
  '$1',
  '{table}',
  'br{ace',
  '{now:expires_at}',
  'back\\slash',
  'per%cent_',
  'naïve 🙂',
  ' ',
  'x'.repeat(63),
  'é'.repeat(31),
]) {
  test(`the table's name is an identifier to the letter: ${tableName}`, async () => {
    const db = await database
    await db.query('CREATE TABLE IF NOT EXISTS x (id int)')
    await worksWith(await cache({ tableName }))
    assert.ok(await tableExists(tableName))
    assert.ok(await tableExists('x'), 'and never SQL')
    await worksWith(await cache({ tableName: `public.${tableName}` }))
  })
}

test('schema.table is a table in a schema that exists', async () => {
  const db = await database
  await db.query('CREATE SCHEMA side; CREATE SCHEMA "Other ""Side"""')
  const [plain, side, other] = await Promise.all(
    ['entries', 'side.entries', 'Other "Side".entries'].map((tableName) => cache({ tableName })),
  )
  await Promise.all([plain.set('k', 0), side.set('k', 1), other.set('k', 2)])
  assert.deepEqual([await plain.get('k'), await side.get('k'), await other.get('k')], [0, 1, 2])
  assert.ok(await tableExists('entries', 'side'))
  assert.ok(await tableExists('entries', 'Other "Side"'))
  await worksWith(side)
  await assert.rejects((await cache({ tableName: 'missing.entries' })).initialize(), { name: 'error', code: '3F000' })
})

test('a name that is not an identifier is refused when the adapter is made', async () => {
  const options = (/** @type {any} */ tableName) => ({ tableName })
  for (const name of [
    '',
    'x'.repeat(64),
    'é'.repeat(32),
    'a.b.c',
    '.',
    'a.',
    '.b',
    'a..b',
    `a.${'x'.repeat(64)}`,
    'a\0b',
    '\ud800',
  ]) {
    await assert.rejects(cache(options(name)), {
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_VALUE',
      message: /options\.tableName/,
    })
  }
  for (const name of [1, true, {}, [], ['cache'], Symbol('cache'), 5n, () => {}]) {
    await assert.rejects(cache(options(name)), {
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: /options\.tableName/,
    })
  }
})

test('a table that unquoted SQL would have folded to lower case is found', async () => {
  const db = await database
  await db.query(`CREATE TABLE mycache (key VARCHAR(512) PRIMARY KEY, value JSONB NOT NULL, expires_at TIMESTAMP,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, accessed_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)`)
  await db.query(`INSERT INTO mycache (key, value) VALUES ('theirs', '1')`)
  for (const tableName of ['MyCache', 'MYCACHE', 'mycache', 'Public.MyCache']) {
    const adapter = await cache({ tableName })
    assert.equal(await adapter.get('theirs'), 1, tableName)
    await adapter.initialize()
  }
  assert.equal(await tableExists('MyCache'), false)
  // If both exist, the exact name wins.
  await db.query('CREATE TABLE "MyCache" (LIKE mycache INCLUDING ALL)')
  assert.equal(await (await cache({ tableName: 'MyCache' })).get('theirs'), null)
  assert.equal(await (await cache({ tableName: 'mycache' })).get('theirs'), 1)
})

test('if the exact name exists, the role needs no access to the schema that the name would fold to', async () => {
  const db = await database
  const role = `${db.name}_app`
  await db.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
  try {
    await db.query(`CREATE SCHEMA "Folded"; GRANT USAGE, CREATE ON SCHEMA "Folded" TO ${role}; CREATE SCHEMA folded`)
    const url = urlAs(db.ownUrl, role)
    const ownPool = db.pool({ connectionString: url })
    await assert.rejects(new PostgresCacheAdapter(ownPool, { tableName: 'Folded.absent' }).get('x'), { code: '42501' })
    await db.query(`CREATE TABLE "Folded".cache (key TEXT PRIMARY KEY, value JSONB NOT NULL, expires_at TIMESTAMP,
      accessed_at TIMESTAMP); ALTER TABLE "Folded".cache OWNER TO ${role}`)
    const adapter = new PostgresCacheAdapter(ownPool, { tableName: 'Folded.cache' })
    await adapter.initialize()
    await adapter.set('x', 1)
    assert.equal(await adapter.get('x'), 1)
  } finally {
    await db.query(`DROP OWNED BY ${role} CASCADE`)
    await db.query(`DROP ROLE ${role}`)
  }
})

test('index names do not collide: many tables in one database', async () => {
  const long = 'x'.repeat(60)
  for (const name of ['idx', 'idx_cache', 'one', 'two', 'one_expires_at', `${long}a`, `${long}b`]) {
    await worksWith(await cache({ tableName: name }))
    const indexes = await expiryIndexes(database, name)
    assert.equal(indexes.length, 1, name)
  }
})

for (const [order, where] of /** @type {const} */ ([
  ['PostgresAdapter first', bothAdapters],
  ['PostgresCacheAdapter first', cacheFirst],
])) {
  test(`index names do not collide: cache and go_goscope_cache, ${order}`, async () => {
    const own = (await where).pool({ max: 2 })
    const [adapter, entries] = [new PostgresAdapter(own), new PostgresCacheAdapter(own)]
    if (where === bothAdapters) await adapter.connect()
    await entries.initialize()
    await adapter.connect()
    assert.equal((await expiryIndexes(where, 'cache')).length, 1)
    const [documented, ...others] = await expiryIndexes(where, 'go_goscope_cache')
    assert.equal(documented.indexname, 'idx_cache_expires')
    assert.equal(others.length, 0)
  })
}

test('index names do not collide: a cache of the pg-based adapter whose index already has the name', async () => {
  const db = await pgBased
  await db.query(`CREATE TABLE cache (key VARCHAR(512) PRIMARY KEY, value JSONB NOT NULL, expires_at TIMESTAMP,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, accessed_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)`)
  await db.query('CREATE INDEX idx_cache_expires ON cache(expires_at) WHERE expires_at IS NOT NULL')
  await db.query(`INSERT INTO cache (key, value, expires_at) VALUES
    ('app:live', '{"n": 1}', timezone('UTC', clock_timestamp()) + interval '1 minute'),
    ('app:over', '{"n": 2}', timezone('UTC', clock_timestamp()) - interval '1 second')`)
  const own = db.pool({ max: 2 })
  const entries = new PostgresCacheAdapter(own, { keyPrefix: 'app:' })
  const adapter = new PostgresAdapter(own)
  await Promise.all([entries.initialize(), adapter.connect()])
  assert.deepEqual(await entries.get('live'), { n: 1 })
  assert.equal(await entries.get('over'), null)
  await worksWith(new PostgresCacheAdapter(own, { keyPrefix: 'new:' }))
  assert.deepEqual(
    (await expiryIndexes(pgBased, 'cache')).map(({ indexname }) => indexname),
    ['idx_cache_expires'],
  )
  assert.equal((await expiryIndexes(pgBased, 'go_goscope_cache')).length, 1, 'under another name')
  await adapter.set('k', 1, 60_000)
  assert.equal(await adapter.get('k'), 1)
})

test('initialize adds a missing index to an existing table, even if its usual names are taken', async () => {
  const db = await serverNamed
  await db.query(
    'CREATE TABLE bare (key TEXT PRIMARY KEY, value JSONB NOT NULL, expires_at TIMESTAMP, accessed_at TIMESTAMP)',
  )
  await db.query('CREATE TABLE idx_bare_expires (n int); CREATE TABLE bare_expires_at_idx (n int)')
  const adapter = new PostgresCacheAdapter(db.pool({ max: 2 }), { tableName: 'bare' })
  await adapter.initialize()
  await worksWith(adapter)
  // Not through shared sessions: see `doctor`.
  const made = without.sessions ? 0 : 1
  assert.equal((await expiryIndexes(serverNamed, 'bare')).length, made)
  await adapter.initialize()
  assert.equal((await expiryIndexes(serverNamed, 'bare')).length, made)
})

test('a VARCHAR(512) key column, as the pg-based adapter makes it, takes keys of any length', async () => {
  const db = await database
  await db.query(`CREATE TABLE narrow (key VARCHAR(512) PRIMARY KEY, value JSONB NOT NULL, expires_at TIMESTAMP,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, accessed_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)`)
  for (const keyPrefix of ['', 'app:', 'é'.repeat(400)]) {
    const adapter = await cache({ tableName: 'narrow', keyPrefix })
    const lengths = [0, 1, 111, 112, 113, 507, 508, 509, 511, 512, 513, 600, 3_000, 10_000]
    const keys = lengths.map((length) => 'é'.repeat(length))
    await Promise.all(keys.map((key, n) => adapter.set(key, n, 60_000)))
    await Promise.all(keys.map((key, n) => adapter.set(key, n + 100)))
    assert.deepEqual(
      await Promise.all(keys.map((key) => adapter.get(key))),
      keys.map((_, n) => n + 100),
    )
    assert.deepEqual(
      (await adapter.keys()).map((key) => key.length),
      lengths,
    )
    await adapter.delete('é'.repeat(600))
    assert.equal(await adapter.has('é'.repeat(600)), false)
    assert.equal((await adapter.stats()).size, lengths.length - 1)
    await adapter.clear()
  }
})

test('the same holds under a prefix that is nearly as wide as the column, or wider', async () => {
  await (await database).query(`CREATE TABLE narrow_prefixed (key VARCHAR(512) PRIMARY KEY, value JSONB NOT NULL,
    expires_at TIMESTAMP, accessed_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)`)
  for (const keyPrefix of ['p'.repeat(450), 'p'.repeat(512), 'p'.repeat(1_000)]) {
    const adapter = await cache({ tableName: 'narrow_prefixed', keyPrefix })
    const keys = ['', 'short', 'k'.repeat(100), 'k'.repeat(3_000)]
    await Promise.all(keys.map((key, n) => adapter.set(key, n)))
    assert.deepEqual(
      await Promise.all(keys.map((key) => adapter.get(key))),
      [0, 1, 2, 3],
      `${keyPrefix.length} characters`,
    )
    assert.deepEqual((await adapter.keys()).sort(), keys.sort())
  }
})

test('one table under names that differ in letter case: one of all callers computes', async () => {
  const names = ['one_flight', 'One_Flight', 'ONE_FLIGHT']
  await (await cache({ tableName: names[0] })).initialize()
  let computed = 0
  /** @type {(nothing: void) => void} */
  let finish = () => {}
  const held = new Promise((/** @type {(nothing: void) => void} */ resolve) => (finish = resolve))
  const caches = names.map(async (tableName) => new PostgresCacheAdapter((await database).pool(), { tableName }))
  const values = (await Promise.all(caches)).map((each) => each.getOrSet('k', () => held.then(() => ++computed)))
  // Long enough for the others to have begun, if they were not to wait.
  await sleep(300)
  finish()
  assert.deepEqual(await Promise.all(values), [1, 1, 1])
})

test('expiry is also correct in a table with TIMESTAMPTZ columns', async () => {
  const db = await database
  await db.query(`CREATE TABLE zoned (key TEXT PRIMARY KEY, value JSONB NOT NULL, expires_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ DEFAULT now(), accessed_at TIMESTAMPTZ DEFAULT now())`)
  await db.query(
    `INSERT INTO zoned (key, value, expires_at) VALUES
      ('live', '1', now() + interval '1 minute'), ('over', '1', now() - interval '1 second')`,
  )
  const adapter = await cache({ tableName: 'zoned' })
  assert.deepEqual(await adapter.keys(), ['live'])
  assert.equal(await adapter.prune(), 1)
  for (const value of [1, 2]) {
    const since = await db.clock()
    await adapter.set('long', value, 60_000)
    await assertLease(db, 'zoned', 'long', { ttl: 60_000, since })
    assert.equal(await adapter.get('long'), value)
  }
  await adapter.set('short', 1, 300)
  await assertLastsToItsEnd(db, 'zoned', 'short', async () => (await adapter.get('short')) === 1)
})
