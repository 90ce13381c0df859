// @ts-check
// @configurations first
// The application's hooks for new connections run on native connections, before any call uses them.
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')
const { inspect } = require('node:util')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { failureOf } = require('../support/drivers.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()

/** The schema in which the adapter's table was made: that of the session's search_path. */
async function schemaOfCache() {
  const rows = await (await database).query("SELECT schemaname FROM pg_tables WHERE tablename = 'go_goscope_cache'")
  return rows.map(({ schemaname }) => schemaname).sort()
}

test("pool.on('connect') sets up the session: search_path", async () => {
  const db = await database
  await db.query('CREATE SCHEMA tenant')
  const pool = db.pool()
  pool.on('connect', (client) => {
    client.query('SET search_path TO tenant')
  })
  const adapter = new PostgresAdapter(pool)
  await adapter.set('x', 1)
  assert.deepEqual(await schemaOfCache(), ['tenant'])
  await adapter.disconnect()
})

test('an asynchronous listener is awaited, statement by statement', async () => {
  const db = await database
  await db.query('CREATE SCHEMA slow')
  const pool = db.pool()
  pool.on('connect', async (client) => {
    await client.query('SELECT 1')
    await sleep(50)
    await client.query('SET search_path TO slow')
  })
  const adapter = new PostgresAdapter(pool)
  await adapter.set('x', 1)
  assert.ok((await schemaOfCache()).includes('slow'))
  await adapter.disconnect()
})

test('each new connection is shown once, and all hooks in pg-pool’s order', async () => {
  const db = await database
  /** @type {string[]} */
  const calls = []
  const pool = db.pool(
    /** @type {any} */ ({
      max: 1,
      onConnect: async () => {
        calls.push('onConnect')
      },
      verify: (/** @type {any} */ _, /** @type {() => void} */ done) => {
        calls.push('verify')
        setImmediate(done)
      },
    }),
  )
  pool.on('connect', () => calls.push('connect'))
  pool.once('connect', () => calls.push('once'))
  const adapter = new PostgresAdapter(pool)
  for (let n = 0; n < 5; n++) await adapter.has('x')
  assert.deepEqual(calls, ['onConnect', 'connect', 'once', 'verify'])
  await db.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()',
  )
  // A session that is being terminated may take its time.
  await until('another connection serves', async () => (await adapter.has('x')) || calls.length > 4)
  assert.deepEqual(calls.slice(4), ['onConnect', 'connect', 'verify'])
})

test('what the hooks see: rows, values, several statements, callbacks, errors with their codes', async () => {
  const db = await database
  /** @type {any} */
  const seen = {}
  const pool = db.pool()
  pool.on('connect', async (/** @type {any} */ client) => {
    seen.rows = (await client.query('SELECT 1 AS n, NULL AS nothing')).rows
    seen.values = (
      await client.query('SELECT $1::int + 1 AS n, $2 AS t, $3::text[] AS list', [41, "it's \\ so", ['a', 'b"c']])
    ).rows
    seen.object = (await client.query({ text: 'SELECT $1::jsonb AS j', values: [{ a: 1 }], rowMode: 'array' })).rows
    seen.several = (await client.query('SELECT 1; SELECT 2')).length
    seen.changed = (await client.query('CREATE TEMPORARY TABLE t AS SELECT generate_series(1, 3)')).rowCount
    seen.called = await new Promise((resolve) =>
      client.query('SELECT 5 AS five', (/** @type {any} */ error, /** @type {any} */ result) =>
        resolve(error ?? result.rows),
      ),
    )
    seen.error = await client.query('SELECT * FROM nowhere').catch((/** @type {any} */ error) => error)
    seen.after = (await client.query('SELECT 6 AS six')).rows
    seen.literal = client.escapeLiteral("a'b")
  })
  const adapter = new PostgresAdapter(pool)
  assert.equal(await adapter.has('x'), false)
  assert.deepEqual(seen.rows, [{ n: '1', nothing: null }])
  assert.deepEqual(seen.values, [{ n: '42', t: "it's \\ so", list: '{a,"b\\"c"}' }])
  assert.deepEqual(seen.object, [['{"a": 1}']])
  assert.deepEqual([seen.several, seen.changed], [2, 3])
  assert.deepEqual(seen.called, [{ five: '5' }])
  assert.deepEqual([seen.error.code, seen.error.name, seen.error instanceof pg.DatabaseError], ['42P01', 'error', true])
  assert.deepEqual(seen.after, [{ six: '6' }])
  assert.equal(seen.literal, "'a''b'")
})

test('after a hook query with values fails, the next one works, and no statement is left behind', async () => {
  const pool = (await database).pool({ max: 1 })
  /** @type {any[]} */
  const codes = []
  /** @type {any} */
  const seen = {}
  pool.on('connect', async (/** @type {any} */ client) => {
    const code = (/** @type {string} */ text, /** @type {unknown[]} */ values) =>
      client.query(text, values).then(
        () => 'none',
        (/** @type {any} */ error) => error.code,
      )
    codes.push(await code('SELECT 1/$1::int', [0]), await code('SELECT 1/$1::int', [0]), await code('SELEC $1', [0]))
    // Also in a failed transaction.
    await client.query('BEGIN')
    codes.push(await code('SELECT 1/$1::int', [0]), await code('SELECT $1::int', [1]))
    await client.query('ROLLBACK')
    seen.rows = (await client.query('SELECT 6/$1::int AS n', [2])).rows
    for (const end of ['-- why', '; -- why', ';', ' /* why */']) {
      assert.deepEqual((await client.query(`SELECT 6/$1::int AS n ${end}`, [2])).rows, [{ n: '3' }])
    }
    seen.left = (await client.query("SELECT count(*) AS n FROM pg_prepared_statements WHERE name LIKE 'goscope%'")).rows
  })
  assert.equal(await new PostgresAdapter(pool).has('x'), false)
  assert.deepEqual(codes, ['22012', '22012', '42601', '22012', '25P02'])
  assert.deepEqual(seen.rows, [{ n: '3' }])
  // The statement of the failed transaction: nothing can be removed in such a transaction.
  assert.deepEqual(seen.left, [{ n: '1' }])
})

for (const [title, hooks] of /** @type {[string, any][]} */ ([
  ['onConnect', { onConnect: () => Promise.reject(new RangeError('not like this')) }],
  ['verify', { verify: (/** @type {any} */ _, /** @type {Function} */ done) => done(new RangeError('not like this')) }],
  ['a listener', { listener: () => Promise.reject(new RangeError('not like this')) }],
  [
    'a listener that throws',
    {
      listener: () => {
        throw new RangeError('not like this')
      },
    },
  ],
])) {
  test(`an error from ${title} rejects the call, and the connection is not used`, async () => {
    const db = await database
    const { listener, ...options } = hooks
    const pool = db.pool({ ...options, application_name: 'objected to' })
    if (listener) pool.on('connect', listener)
    const error = await failureOf(new PostgresAdapter(pool).has('x'))
    assert.deepEqual([error.name, error.message], ['RangeError', 'not like this'])
  })
}

test('a hook may read every property of a pg client, and any other name', async () => {
  const db = await database
  /** @type {any} */
  const seen = {}
  const pool = db.pool()
  pool.on('connect', async (/** @type {any} */ client) => {
    seen.processID = client.processID
    seen.backend = (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid
    seen.target = [client.host, client.port, client.database, client.user]
    seen.absent = [client.copyFrom, client.secretKey, client[Symbol.iterator], client.connection, 'copyFrom' in client]
    seen.text = [String(client), Object.prototype.toString.call(client)]
    seen.inspected = inspect(client).includes('Session')
    seen.json = typeof JSON.stringify(client)
    seen.parsed = client.getTypeParser(20)('7')
    seen.status = client.getTransactionStatus()
    for (const name of [...new Set([...pgMembers(), ...pgMembers().map(String)])]) Reflect.get(client, name)
    const { query } = client
    seen.detached = (await query('SELECT 1 AS one')).rows
    const derived = Object.create(client)
    derived.name = 'mine'
    seen.derived = (await derived.query('SELECT 2 AS two')).rows
    client.ref()
    client.unref()
    client.mark = 1
    seen.mark = client.mark
  })
  assert.equal(await new PostgresAdapter(pool).has('x'), false)
  const { hostname, port, pathname, username } = new URL(db.url)
  assert.deepEqual(seen.target, [hostname, Number(port), pathname.slice(1), username])
  assert.equal(String(seen.processID), seen.backend)
  assert.deepEqual(seen.absent, [undefined, undefined, undefined, undefined, false])
  assert.deepEqual(seen.text, ['[object Object]', '[object Object]'])
  assert.deepEqual([seen.inspected, seen.json, seen.parsed, seen.status, seen.mark], [true, 'string', '7', null, 1])
  assert.deepEqual([seen.detached, seen.derived], [[{ one: '1' }], [{ two: '2' }]])
})

/** All property names for which a pg client has a value. */
function pgMembers() {
  const client = new pg.Client()
  const names = []
  for (let object = client; object && object !== Object.prototype; object = Object.getPrototypeOf(object)) {
    names.push(...Reflect.ownKeys(object))
  }
  return names
}

for (const [name, use] of /** @type {[string, (client: any) => unknown][]} */ ([
  ['connect', (client) => client.connect()],
  ['end', (client) => client.end()],
  ['cancel', (client) => client.cancel()],
  ['copyFrom', (client) => client.copyFrom('t')],
])) {
  test(`a hook that calls client.${name}(), which a native connection lacks, rejects the call and is not skipped`, async () => {
    const pool = (await database).pool()
    pool.on('connect', use)
    const error = await failureOf(new PostgresAdapter(pool).has('x'))
    assert.equal(error.name, 'TypeError')
    assert.match(error.message, new RegExp(`client\\.${name}`))
    assert.equal(error.code, name === 'copyFrom' ? undefined : 'ERR_INVALID_ARG_VALUE')
  })
}

test('a hook cannot remove settings that our statements rely on', async () => {
  const db = await database
  const pool = db.pool()
  pool.on('connect', (client) => {
    client.query("SET default_transaction_isolation = 'serializable'; SET TimeZone = 'Asia/Tokyo'")
  })
  const adapter = new PostgresAdapter(pool)
  const counts = await Promise.all(Array.from({ length: 100 }, () => adapter.recordFailure('hooked', 1000)))
  assert.deepEqual(
    counts.map(Number).sort((a, b) => a - b),
    Array.from({ length: 100 }, (_, n) => n + 1),
  )
})
