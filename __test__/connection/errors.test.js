// @ts-check
// @configurations every
// Failures look the same as through pg: same class, fields and codes.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { route, without } = require('../support/route.js')

const database = useDatabase()

/** @returns {Promise<any>} */
const failureOf = (/** @type {Promise<unknown>} */ promise) =>
  promise.then(
    () => assert.fail('it should have failed'),
    (error) => error,
  )

/** Both routes to the same server: pg's error, and ours. */
async function both(/** @type {pg.PoolConfig} */ config) {
  const pools = [new pg.Pool(config), new pg.Pool(config)]
  const theirs = await failureOf(pools[0].query('SELECT 1'))
  const ours = await failureOf(new PostgresAdapter(pools[1]).get('x'))
  await Promise.all(pools.map((pool) => pool.end()))
  return [theirs, ours]
}

test("a server error is an instance of the application's DatabaseError, with its fields", async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool())
  await adapter.connect()
  const theirs = await failureOf(db.query('SELECT \'"\\u0000"\'::jsonb'))
  const ours = await failureOf(adapter.set('x', '\0'))
  assert.ok(Reflect.getPrototypeOf(ours) === pg.DatabaseError.prototype)
  for (const field of ['name', 'code', 'severity', 'message', 'detail', 'hint', 'routine', 'file', 'line']) {
    assert.equal(ours[field], theirs[field], field)
  }
})

test('an error names constraint, schema, table and column', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool())
  await adapter.connect()
  await db.query('ALTER TABLE go_goscope_cache ADD CONSTRAINT no_evil CHECK (value <> \'"evil"\')')
  const error = await failureOf(adapter.set('x', 'evil'))
  assert.equal(error.code, '23514')
  assert.deepEqual([error.schema, error.constraint], ['public', 'no_evil'])
  assert.match(error.table, route.isPartitioned ? /^go_goscope_cache_\d$/ : /^go_goscope_cache$/)
  assert.match(error.detail, /evil/)
})

test('in a batch, only the bad call gets the error', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  const results = await Promise.allSettled(
    Array.from({ length: 300 }, (_, n) => adapter.set(`b${n}`, n === 137 ? '\0' : n)),
  )
  assert.deepEqual(
    results.flatMap(({ status }, n) => (status === 'rejected' ? [n] : [])),
    [137],
  )
  const values = await Promise.all(Array.from({ length: 300 }, (_, n) => adapter.get(`b${n}`)))
  assert.deepEqual(
    values,
    Array.from({ length: 300 }, (_, n) => (n === 137 ? null : n)),
  )
})

test('the stack leads to the line of the caller', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  const error = await failureOf(adapter.set('x', '\0').catch((caught) => Promise.reject(caught)))
  async function thisVeryCaller() {
    await adapter.set('x', '\0')
  }
  const other = await failureOf(thisVeryCaller())
  assert.match(other.stack, /thisVeryCaller .*errors\.test\.js/)
  assert.equal(error.code, other.code)
  const argument = await failureOf(adapter.set(/** @type {any} */ ({}), 1))
  assert.match(argument.stack, /errors\.test\.js/)
})

test('no listener: ECONNREFUSED', async () => {
  const [theirs, ours] = await both({ host: '127.0.0.1', port: 1, user: 'x' })
  for (const field of ['name', 'message', 'code', 'errno', 'syscall', 'address', 'port'])
    assert.equal(ours[field], theirs[field], field)
  assert.equal(ours.code, 'ECONNREFUSED')
})

test('no such host: ENOTFOUND', async () => {
  const [theirs, ours] = await both({ host: 'no-such-host.invalid', user: 'x' })
  for (const field of ['name', 'message', 'code', 'errno', 'syscall', 'hostname'])
    assert.equal(ours[field], theirs[field], field)
})

test('no such socket: ENOENT', { skip: process.platform === 'win32' }, async () => {
  const [theirs, ours] = await both({ host: '/no/such/folder', user: 'x' })
  for (const field of ['name', 'message', 'code', 'errno', 'syscall', 'address'])
    assert.equal(ours[field], theirs[field], field)
  assert.equal(ours.code, 'ENOENT')
})

test('wrong password and no such database: the SQLSTATE', { skip: without.sessions }, async () => {
  const url = new URL((await database).url)
  url.password = 'wrong'
  const [theirs, ours] = await both({ connectionString: url.href })
  for (const field of ['name', 'message', 'code', 'severity', 'routine'])
    assert.equal(ours[field], theirs[field], field)
  assert.equal(ours.code, '28P01')
  const nowhere = new URL((await database).url)
  nowhere.pathname = '/no_such_database'
  const [their3D, our3D] = await both({ connectionString: nowhere.href })
  for (const field of ['name', 'message', 'code', 'severity', 'routine'])
    assert.equal(our3D[field], their3D[field], field)
})

test("a password function's own error rejects the call unchanged", async () => {
  const mine = new RangeError('the vault is closed')
  const url = new URL((await database).url)
  const config = { host: url.hostname, port: Number(url.port), user: url.username, database: url.pathname.slice(1) }
  const pool = new pg.Pool({
    ...config,
    password: async () => {
      throw mine
    },
  })
  const adapter = new PostgresAdapter(pool)
  assert.equal(await failureOf(adapter.get('x')), mine)
  await pool.end()
  const right = new pg.Pool({ ...config, password: async () => decodeURIComponent(url.password) })
  assert.equal(await new PostgresAdapter(right).get('x'), null)
  await right.end()
})

test('a server that accepts and says nothing: connectionTimeoutMillis', async () => {
  const silent = require('node:net').createServer(() => {})
  await new Promise((listening) => silent.listen(0, '127.0.0.1', () => listening(undefined)))
  const { port } = /** @type {import('node:net').AddressInfo} */ (silent.address())
  const pool = new pg.Pool({ host: '127.0.0.1', port, user: 'x', connectionTimeoutMillis: 150 })
  const error = await failureOf(new PostgresAdapter(pool).get('x'))
  assert.equal(error.message, 'Connection terminated due to connection timeout')
  silent.close()
  await pool.end()
})

test('statement_timeout of the pool applies: 57014', { skip: without.sessions }, async () => {
  const db = await database
  // Only for the call that must fail. On a slow machine any other call may fail, too.
  const hasty = new PostgresAdapter(db.pool({ statement_timeout: 150 }))
  const adapter = new PostgresAdapter(db.pool())
  await adapter.set('slow', 1)
  const holder = await db.hold("SELECT * FROM go_goscope_cache WHERE key = 'cache:slow' FOR UPDATE")
  assert.equal((await failureOf(hasty.set('slow', 2))).code, '57014')
  await holder.rollback()
  assert.equal(await adapter.get('slow'), 1)
})

test('a connection that is killed under a write: its code, and the pool continues', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool({ application_name: 'killed' }))
  await adapter.set('killed', 1)
  const holder = await db.hold("SELECT * FROM go_goscope_cache WHERE key = 'cache:killed' FOR UPDATE")
  const failing = failureOf(adapter.set('killed', 2))
  await db.untilWaiting()
  await db.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'killed'")
  assert.equal((await failing).code, '57P01')
  await holder.rollback()
  assert.equal(await adapter.get('killed'), 1)
  await adapter.set('killed', 3)
  assert.equal(await adapter.get('killed'), 3)
})
