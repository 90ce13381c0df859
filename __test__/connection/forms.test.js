// @ts-check
// @configurations first
// The first argument without a pool: a connection string, a configuration, nothing. Also without pg installed.
'use strict'

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test, after } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { failureOf, seenOfOurs, withEnvironment } = require('../support/drivers.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-without-pg-'))
after(() => fs.rmSync(folder, { recursive: true, force: true }))

test('a connection string, for every adapter', async () => {
  const { url } = await database
  const adapter = new PostgresAdapter(url)
  const cache = new PostgresCacheAdapter(url)
  const results = new PostgresIdempotencyAdapter(url)
  await adapter.connect()
  await adapter.set('by string', { n: 1 })
  assert.deepEqual(await cache.get('by string'), null, 'the cache adapter has a table of its own')
  await results.set('by string', { done: true })
  assert.deepEqual((await results.get('by string'))?.value, { done: true })
  assert.equal(adapter.isConnected(), true)
  await adapter.disconnect()
  assert.equal(adapter.isConnected(), false)
  await assert.rejects(adapter.get('x'), { message: 'Cannot use a pool after calling end on the pool' })
  // Each adapter made connections of its own.
  assert.equal(await cache.has('x'), false)
})

test('a setting with invalid text rejects with its name, with a code', async () => {
  const { url } = await database
  for (const name of ['application_name', 'database', 'options', 'user']) {
    for (const [value, code] of /** @type {[any, string][]} */ ([
      [true, 'ERR_INVALID_ARG_TYPE'],
      ['a\0b', 'ERR_INVALID_ARG_VALUE'],
    ])) {
      const { hostname: host, port, password } = new URL(url)
      const adapter = new PostgresAdapter({ host, port: Number(port), user: 'postgres', password, [name]: value })
      await assert.rejects(adapter.get('k'), { code, message: new RegExp(`['"]${name}['"]`) })
    }
  }
})

test('a query_timeout that is no number rejects, and is not taken for no limit', async () => {
  const { url } = await database
  for (const value of ['10s', 'x']) {
    const adapter = new PostgresAdapter(/** @type {any} */ ({ connectionString: url, query_timeout: value }))
    await assert.rejects(adapter.get('k'), { code: 'ERR_INVALID_ARG_VALUE', message: /'query_timeout'.*milliseconds/ })
  }
  const adapter = new PostgresAdapter(/** @type {any} */ ({ connectionString: url, query_timeout: '5000' }))
  assert.equal(await adapter.has('k'), false)
  await adapter.disconnect()
})

test('an option of the adapter in the configuration of its pool is refused by name', async () => {
  const { url: connectionString } = await database
  for (const [Adapter, name, value] of /** @type {[any, string, any][]} */ ([
    [PostgresAdapter, 'keyPrefix', 'shop:'],
    [PostgresAdapter, 'createTables', false],
    [PostgresCacheAdapter, 'tableName', 'entries'],
  ])) {
    const message = new RegExp(`'pool.${name}' is an option of the adapter, and belongs into its second argument`)
    assert.throws(() => new Adapter({ connectionString, [name]: value }), { code: 'ERR_INVALID_ARG_VALUE', message })
  }
})

test('a configuration is copied: later changes of the object have no effect', async () => {
  const { url } = await database
  const config = { connectionString: url, application_name: 'copied' }
  const adapter = new PostgresAdapter(config)
  config.connectionString = 'postgres://nobody@127.0.0.1:1/nowhere'
  assert.equal(await adapter.has('x'), false)
  await adapter.disconnect()
})

test('nothing: DATABASE_URL, and without it the PG* environment', async () => {
  const db = await database
  const url = new URL(db.url)
  const environment = {
    PGHOST: url.hostname,
    PGPORT: url.port,
    PGUSER: decodeURIComponent(url.username),
    PGPASSWORD: decodeURIComponent(url.password),
    PGDATABASE: db.name,
  }
  await withEnvironment({ ...environment, DATABASE_URL: undefined }, async () => {
    const adapter = new PostgresAdapter()
    await adapter.set('nothing', 'PG*')
    await adapter.disconnect()
  })
  await withEnvironment({ DATABASE_URL: db.url, PGHOST: 'no-such-host.invalid', PGDATABASE: 'nowhere' }, async () => {
    const adapter = new PostgresAdapter(null, { keyPrefix: '' })
    assert.equal(await adapter.get('nothing'), 'PG*')
    await adapter.disconnect()
  })
  await withEnvironment({ DATABASE_URL: 'app.example.com/db', PGPASSWORD: undefined }, async () => {
    assert.throws(() => new PostgresAdapter(), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /connection string must begin with/,
    })
  })
})

test('settings of the pool apply without a pool, too', async () => {
  const db = await database
  const adapter = new PostgresAdapter({ connectionString: db.url, application_name: 'two at most', max: 2 })
  await Promise.all(Array.from({ length: 200 }, (_, n) => adapter.set(`at most ${n}`, n)))
  const [{ n }] = await db.query(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'two at most'",
  )
  assert.ok(n >= 1 && n <= 2, `${n} connections`)
  await adapter.disconnect()
})

test('an error names the fault of a connection string, and shows no secret in it', async () => {
  for (const [text, message] of /** @type {[string, RegExp][]} */ ([
    ['app:hunter2@db.internal/app', /must begin with postgres:\/\//],
    ['host=db password=hunter2', /must begin with postgres:\/\//],
    ['', /must begin with postgres:\/\//],
    ['postgres://app:hunter2@a,b/app?target_session_attrs=master', /target_session_attrs.*any, read-write/],
  ])) {
    assert.throws(
      () => new PostgresAdapter(text),
      (/** @type {any} */ error) => {
        assert.equal(error.code, 'ERR_INVALID_ARG_VALUE')
        assert.match(error.message, message)
        assert.doesNotMatch(`${error.stack}${JSON.stringify(error)}`, /hunter2/)
        return true
      },
    )
  }
  const error = await failureOf(new PostgresAdapter('postgres://app:hunter2@[not-an-address/app').has('x'))
  assert.doesNotMatch(`${error.stack}${JSON.stringify(error)}`, /hunter2/)
})

test('DatabaseError without pg: the same name and fields on an Error', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.url)
  const error = await failureOf(adapter.set('x', '\0'))
  assert.ok(Object.getPrototypeOf(error) === Error.prototype)
  assert.deepEqual([error.name, error.code, error.severity], ['error', '22P05', 'ERROR'])
  await adapter.disconnect()
})

test('with no pg installed', async () => {
  // A copy of the package with only its dependencies, from which pg cannot be found.
  const root = path.join(__dirname, '../..')
  const home = path.join(folder, 'node_modules')
  const copy = path.join(home, 'goscope-postgres')
  fs.mkdirSync(copy, { recursive: true })
  for (const name of fs
    .readdirSync(root)
    .filter((name) => /^(index\.js|native\.js|package\.json|lib|.*\.node)$/.test(name))) {
    fs.cpSync(path.join(root, name), path.join(copy, name), { recursive: true })
  }
  for (const name of dependencies(['goscope-postgres'], root)) {
    fs.cpSync(path.join(root, 'node_modules', name), path.join(home, name), { recursive: true })
  }
  assert.ok(!fs.existsSync(path.join(home, 'pg')))
  const script = `
    const assert = require('node:assert')
    assert.throws(() => require('pg'), { code: 'MODULE_NOT_FOUND' })
    const { PostgresAdapter } = require('goscope-postgres')
    const adapter = new PostgresAdapter(process.argv[1])
    adapter.connect()
      .then(() => adapter.acquire('without pg', 60000))
      .then((lock) => lock.isValid())
      .then(async (valid) => { await adapter.disconnect(); console.log(valid) })`
  const out = execFileSync(process.execPath, ['-e', script, (await database).url], { cwd: folder, encoding: 'utf8' })
  assert.equal(out, 'true\n')
})

/**
 * The names of the packages that these need at run time, and of those that they need in turn.
 *
 * @param {string[]} names
 * @param {string} root
 * @returns {string[]}
 */
function dependencies(names, root) {
  const found = new Set()
  const walk = (/** @type {string} */ manifest) => {
    for (const name of Object.keys(JSON.parse(fs.readFileSync(manifest, 'utf8')).dependencies ?? {})) {
      if (found.has(name)) continue
      found.add(name)
      walk(path.join(root, 'node_modules', name, 'package.json'))
    }
  }
  for (const name of names) {
    walk(
      name === 'goscope-postgres'
        ? path.join(root, 'package.json')
        : path.join(root, 'node_modules', name, 'package.json'),
    )
  }
  return [...found]
}

// Several hosts

test('several hosts: the first that accepts', async () => {
  const db = await database
  const url = new URL(db.url)
  const credentials = `${url.username}:${url.password}`
  for (const source of [
    `postgres://${credentials}@127.0.0.1:1,${url.host}/${db.name}`,
    `postgres://${credentials}@no-such-host.invalid,${url.host}/${db.name}`,
    `postgres://${credentials}@${url.host},127.0.0.1:1/${db.name}?target_session_attrs=read-write`,
    `postgres://${credentials}@127.0.0.1:1,[::1]:1,${url.host}/${db.name}?application_name=x&target_session_attrs=primary`,
    `postgres://${credentials}@/${db.name}?host=127.0.0.1,${url.hostname}&port=1,${url.port}`,
    {
      host: `127.0.0.1,${url.hostname}`,
      port: `1,${url.port}`,
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      database: db.name,
    },
    {
      connectionString: `postgres://${credentials}@127.0.0.1:1,${url.host}/${db.name}`,
      target_session_attrs: 'prefer-standby',
    },
  ]) {
    assert.equal((await seenOfOurs(source)).database, db.name)
  }
})

test('several hosts: if none is usable, the error names the fault of each', async () => {
  const { url } = await database
  const at = new URL(url)
  const source = `postgres://${at.username}:${at.password}@127.0.0.1:1,${at.host}${at.pathname}?target_session_attrs=standby`
  const adapter = new PostgresAdapter(source)
  const error = await failureOf(adapter.has('x'))
  assert.ok(error instanceof AggregateError)
  assert.match(
    error.message,
    /ECONNREFUSED 127\.0\.0\.1:1; the server is a primary, and target_session_attrs is standby/,
  )
  assert.deepEqual(
    error.errors.map((/** @type {any} */ each) => each.code),
    ['ECONNREFUSED', 'ERR_GOSCOPE_TARGET_SESSION'],
  )
  assert.doesNotMatch(String(error.stack), new RegExp(at.password))
  await adapter.disconnect()
})

test('several hosts: one that refuses the user is not skipped', async () => {
  const { url } = await database
  const at = new URL(url)
  const adapter = new PostgresAdapter(`postgres://${at.username}:wrong@${at.host},${at.host}${at.pathname}`)
  assert.equal((await failureOf(adapter.has('x'))).code, '28P01')
  await adapter.disconnect()
})

test('a connection moves from a server that has become read-only to one that is not', async () => {
  const db = await database
  const url = new URL(db.url)
  const source = `postgres://${url.username}:${url.password}@${url.host}/${db.name}?target_session_attrs=read-write`
  const adapter = new PostgresAdapter({ connectionString: source, max: 1, idleTimeoutMillis: 1 })
  await adapter.set('writable', 1)
  await db.query(`ALTER DATABASE ${db.name} SET default_transaction_read_only = on`)
  try {
    await db
      .query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()',
      )
      .catch(() => {})
    // A session that is being terminated may take its time, and fail a write with its last message.
    const error = await until('the server is refused', async () => {
      const outcome = await adapter.set('writable', 2).catch((reason) => reason)
      return outcome?.code === 'ERR_GOSCOPE_TARGET_SESSION' && outcome
    })
    assert.match(error.message, /the server is a read-only primary, and target_session_attrs is read-write/)
  } finally {
    await db.query(`BEGIN READ WRITE; ALTER DATABASE ${db.name} RESET default_transaction_read_only; COMMIT`)
  }
  await adapter.set('writable', 3)
  assert.equal(await adapter.get('writable'), 3)
  await adapter.disconnect()
})
