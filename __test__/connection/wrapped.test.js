// @ts-check
// @configurations first
// The first argument as a pool that the application has wrapped by hand, and as a pg client: the forms that the
// pg-based adapter accepts. Their configuration is read, their `end` is called, and they are not queried.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter, PostgresCacheAdapter, createPostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { failureOf } = require('../support/drivers.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()
const ENDED = { message: 'Cannot use a pool after calling end on the pool' }

/**
 * Only what is documented of a pool. It counts the requests that it receives.
 *
 * @param {pg.Pool} inner
 * @param {object} [more]
 */
function wrap(inner, more) {
  const asked = { connect: 0, query: 0, end: 0 }
  const wrapper = {
    async connect() {
      asked.connect++
      return inner.connect()
    },
    async query(/** @type {string} */ sql) {
      asked.query++
      return inner.query(sql)
    },
    async end() {
      asked.end++
      await inner.end()
    },
    get totalCount() {
      return inner.totalCount
    },
    ...more,
  }
  return { wrapper, asked }
}

/** The server's name for the sessions of an application. */
async function sessionsOf(/** @type {string} */ name) {
  const sql = 'SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = $1'
  return (await (await database).query(sql, [name]))[0].n
}

test('a wrapped pool without options lends one client, whose configuration is read before its release', async () => {
  const inner = (await database).pool({ application_name: 'lent' })
  const { wrapper, asked } = wrap(inner)
  const adapter = createPostgresAdapter(wrapper, { keyPrefix: 'wrapped:' })
  const cache = new PostgresCacheAdapter(wrapper)
  assert.ok(adapter instanceof PostgresAdapter)
  await Promise.all([adapter.connect(), cache.initialize(), adapter.set('key', 1), cache.set('key', 2)])
  assert.deepEqual([await adapter.get('key'), await cache.get('key')], [1, 2])
  assert.deepEqual(asked, { connect: 1, query: 0, end: 0 })
  assert.deepEqual([inner.totalCount, inner.idleCount], [1, 1])
  assert.ok((await sessionsOf('lent')) > 1)
  const error = await failureOf(adapter.set('key', '\0'))
  assert.ok(error instanceof pg.DatabaseError)
  await adapter.disconnect()
  await adapter.disconnect()
  assert.equal(asked.end, 1)
  assert.equal(adapter.isConnected(), false)
  await assert.rejects(cache.get('key'), ENDED)
})

test('a wrapped pool with options is not asked for a client; its settings apply', async () => {
  const db = await database
  const inner = db.pool({ application_name: 'by options', max: 1 })
  const { wrapper, asked } = wrap(inner, { options: /** @type {any} */ (inner).options })
  const adapter = new PostgresAdapter(wrapper)
  await Promise.all(Array.from({ length: 50 }, (_, n) => adapter.set(`key ${n}`, n)))
  assert.equal(await sessionsOf('by options'), 1)
  assert.deepEqual(asked, { connect: 0, query: 0, end: 0 })
  // When the application ends it, the native connections end, too.
  await wrapper.end()
  assert.equal(asked.end, 1)
  await assert.rejects(adapter.get('key'), ENDED)
  await adapter.disconnect()
  assert.equal(asked.end, 1)
})

test('options that name no server are settings of the pool, and a client names the server', async () => {
  const { wrapper, asked } = wrap((await database).pool({ application_name: 'elsewhere' }), { options: { max: 1 } })
  const adapter = new PostgresAdapter(wrapper)
  await Promise.all(Array.from({ length: 50 }, (_, n) => adapter.set(`key ${n}`, n)))
  assert.equal(await sessionsOf('elsewhere'), 2, 'the client that was lent, and a native connection')
  assert.deepEqual(asked, { connect: 1, query: 0, end: 0 })
  await adapter.disconnect()
})

test('a new password is used after the server has refused the old one', async () => {
  const db = await database
  const role = `goscope_test_${crypto.randomBytes(6).toString('hex')}`
  await db.query(`CREATE ROLE ${role} LOGIN PASSWORD 'old'`)
  let password = 'old'
  const url = new URL(db.url)
  // With a connection string, pg would ignore the function.
  const where = {
    connectionString: undefined,
    host: url.hostname,
    port: Number(url.port),
    database: db.name,
    user: role,
  }
  const inner = db.pool({ ...where, password: () => password, idleTimeoutMillis: 10, max: 2 })
  const adapter = new PostgresAdapter(wrap(inner).wrapper)
  await adapter.ping()
  password = 'new'
  await db.query(`ALTER ROLE ${role} PASSWORD 'new'`)
  await db.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role}'`)
  await until('the new password is used', () =>
    adapter.ping().then(
      () => true,
      () => false,
    ),
  )
  await adapter.disconnect()
  await db.query(`DROP ROLE ${role}`)
})

test('connect hooks in the options of a wrapped pool run', async () => {
  const inner = (await database).pool()
  let hooked = 0
  const options = { .../** @type {any} */ (inner).options, password: /** @type {any} */ (inner).options.password }
  const { wrapper } = wrap(inner, { options: { ...options, onConnect: () => void hooked++ } })
  const adapter = new PostgresAdapter(wrapper)
  await adapter.has('key')
  assert.ok(hooked > 0)
  await adapter.disconnect()
})

for (const isConnected of [false, true]) {
  test(`a client of pg, ${isConnected ? '' : 'not '}connected: its configuration is read, and it is ended`, async () => {
    const client = new pg.Client({ connectionString: (await database).url, application_name: 'of a client' })
    if (isConnected) await client.connect()
    let ends = 0
    const { end } = client
    client.end = /** @type {any} */ (
      (/** @type {any[]} */ ...given) => {
        ends++
        return Reflect.apply(end, client, given)
      }
    )
    const adapter = new PostgresAdapter(client)
    const cache = new PostgresCacheAdapter(client)
    await adapter.set('key', 3)
    await cache.has('key')
    assert.equal(await adapter.get('key'), 3)
    assert.ok((await sessionsOf('of a client')) >= (isConnected ? 2 : 1))
    assert.ok((await failureOf(adapter.set('key', '\0'))) instanceof pg.DatabaseError)
    await adapter.disconnect()
    assert.equal(ends, 1)
    await assert.rejects(cache.get('key'), ENDED)
  })
}

test('a client whose password is wrong is refused with the server’s code', async () => {
  const url = new URL((await database).url)
  url.password = 'wrong'
  const error = await failureOf(new PostgresAdapter(new pg.Client({ connectionString: url.href })).get('key'))
  assert.equal(error.code, '28P01')
})

test('a pool-like object that lends no pg client is refused, and the error names what is missing', async () => {
  const query = async () => ({ rows: [] })
  const other = { connect: async () => ({ query }), query, end: async () => {}, totalCount: 0 }
  await assert.rejects(new PostgresAdapter(other).get('key'), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /configuration of pg in its `options`/,
  })
  const failing = { ...other, connect: () => Promise.reject(new RangeError('no client today')) }
  await assert.rejects(new PostgresAdapter(failing).get('key'), { name: 'RangeError', message: 'no client today' })
  // A socket that is not Node's own, so native connections could not use it.
  const net = require('node:net')
  class Tunnel extends net.Socket {}
  const tunnelled = new pg.Client(/** @type {any} */ ({ stream: () => new Tunnel() }))
  await assert.rejects(new PostgresAdapter(tunnelled).get('key'), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /pool\.options\.stream/,
  })
})

test('the end of a frozen wrapper is noticed at the next call, if it or its pool reports it', async () => {
  const inner = (await database).pool()
  const { wrapper } = wrap(inner)
  const says = { ...wrapper, connect: wrapper.connect }
  const frozen = Object.freeze(Object.defineProperty(says, 'ending', { get: () => inner.ending, enumerable: true }))
  const adapter = new PostgresAdapter(frozen, { keyPrefix: 'frozen:' })
  assert.equal(await adapter.get('key'), null)
  await frozen.end()
  assert.equal(adapter.isConnected(), false)
  await assert.rejects(adapter.get('key'), ENDED)
  await adapter.disconnect()
})
