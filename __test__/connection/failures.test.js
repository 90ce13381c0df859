// @ts-check
// @configurations first
// Each failure is provoked through pg and through this package, and gives the same error.
'use strict'

const assert = require('node:assert/strict')
const dns = require('node:dns')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { withListener } = require('../support/listener.js')
const { startProxy } = require('../support/proxy.js')
const { until } = require('../support/waiting.js')
const { failureOf, failuresOfBoth, fieldsOf, withGivenCode } = require('../support/drivers.js')

const database = useDatabase()

async function config() {
  const url = new URL((await database).url)
  return {
    host: url.hostname,
    port: Number(url.port || 5432),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: url.pathname.slice(1),
  }
}

/**
 * Fields that describe the statement and the moment, not the failure. (The statements differ: pg's is the test's.)
 */
const OF_THE_STATEMENT = ['length', 'position', 'where', 'client']

/**
 * @param {any[]} both
 * @param {Record<string, unknown>} expected of either
 */
function assertSame([theirs, ours], expected) {
  const compared = (/** @type {any} */ error) => {
    const fields = fieldsOf(error)
    for (const name of OF_THE_STATEMENT) delete fields[name]
    return fields
  }
  assert.deepEqual(compared(ours), withGivenCode(compared(theirs)))
  for (const [name, value] of Object.entries(expected)) assert.equal(ours[name], value, name)
}

/**
 * Like {@link failuresOfBoth}, for failures after which pg leaves its connection open (for the server to close in a
 * minute): through a proxy that closes the connection.
 *
 * @param {import('pg').PoolConfig} settings
 */
async function failuresBeforeAuthentication(settings) {
  const proxy = await startProxy((await database).url)
  try {
    const { hostname: host, port } = new URL(proxy.url)
    return await failuresOfBoth({ ...settings, host, port: Number(port) })
  } finally {
    await proxy.stop()
  }
}

test('server down', async () => {
  assertSame(await failuresOfBoth({ host: '127.0.0.1', port: 1, user: 'x' }), {
    code: 'ECONNREFUSED',
    syscall: 'connect',
  })
})

test('server down at each of several addresses', { skip: process.platform !== 'linux' }, async (t) => {
  // On Linux, all of 127.0.0.0/8 is this machine. The name is in no hosts file.
  const addresses = ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 }))
  const lookup = (/** @type {string} */ _, /** @type {any} */ __, /** @type {Function} */ found) =>
    process.nextTick(found, null, addresses)
  t.mock.method(dns, 'lookup', /** @type {any} */ (lookup))
  t.mock.method(dns.promises, 'lookup', /** @type {any} */ (async () => addresses))
  const both = await failuresOfBoth({ host: 'two.example', port: 1, user: 'x' })
  assertSame(both, { code: 'ECONNREFUSED', name: 'AggregateError' })
  assert.equal(both[1].errors.length, 2)
})

test('bad host name', async () => {
  assertSame(await failuresOfBoth({ host: 'no-such-host.invalid', user: 'x' }), { code: 'ENOTFOUND' })
})

test('no such socket', { skip: process.platform === 'win32' }, async () => {
  assertSame(await failuresOfBoth({ host: '/no/such/folder', user: 'x' }), { code: 'ENOENT' })
})

test('wrong password', async () => {
  assertSame(await failuresOfBoth({ ...(await config()), password: 'wrong' }), { code: '28P01', name: 'error' })
})

test('no such role', async () => {
  assertSame(await failuresOfBoth({ ...(await config()), user: 'nobody' }), { code: '28P01' })
})

test('no password', async () => {
  const { PGPASSWORD: _, PGPASSFILE: __, ...env } = process.env
  const before = process.env
  process.env = { ...env, PGPASSFILE: '/no/such/file' }
  try {
    const { password: ___, ...rest } = await config()
    assertSame(await failuresBeforeAuthentication(rest), {
      message: 'SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string',
    })
  } finally {
    process.env = before
  }
})

for (const [title, password] of /** @type {[string, any][]} */ ([
  ['that is no string', () => 5],
  ['of null', () => null],
  ['that is undefined', () => undefined],
])) {
  test(`a password function with an answer ${title}`, async () => {
    assertSame(await failuresBeforeAuthentication({ ...(await config()), password }), {})
  })
}

test("a password function's own error reaches the caller unchanged", async () => {
  const mine = new RangeError('the vault is closed')
  const password = async () => {
    throw mine
  }
  const both = await failuresBeforeAuthentication({ ...(await config()), password })
  assert.deepEqual([both[0] === mine, both[1] === mine], [true, true])
})

test('no such database', async () => {
  assertSame(await failuresOfBoth({ ...(await config()), database: 'no_such_database' }), { code: '3D000' })
})

test('a start-up option that does not exist', async () => {
  assertSame(await failuresOfBoth({ ...(await config()), options: '-c no_such_setting=1' }), { code: '42704' })
})

test('a server that accepts and says nothing: connectionTimeoutMillis', async () => {
  await withListener(
    () => {},
    async (port) => {
      const both = await failuresOfBoth({ host: '127.0.0.1', port, user: 'x', connectionTimeoutMillis: 200 })
      assertSame(both, { message: 'Connection terminated due to connection timeout' })
    },
  )
})

test('a server that accepts and closes', async () => {
  await withListener(
    (socket) => socket.end(),
    async (port) => {
      const both = await failuresOfBoth({ host: '127.0.0.1', port, user: 'x' })
      assertSame(both, { message: 'Connection terminated unexpectedly' })
    },
  )
})

test('a server that resets the connection', async () => {
  await withListener(
    (socket) => socket.once('data', () => socket.resetAndDestroy()),
    async (port) => {
      assertSame(await failuresOfBoth({ host: '127.0.0.1', port, user: 'x' }), { code: 'ECONNRESET', syscall: 'read' })
    },
  )
})

test('a server without TLS', async () => {
  const [{ ssl }] = await (await database).query("SELECT current_setting('ssl') AS ssl")
  if (ssl === 'on') return
  assertSame(await failuresOfBoth({ ...(await config()), ssl: true }), {
    message: 'The server does not support SSL connections',
  })
})

test('every connection is busy: connectionTimeoutMillis', async () => {
  const db = await database
  const settings = { max: 1, connectionTimeoutMillis: 4_000 }
  const theirs = db.pool(settings)
  const busy = await theirs.connect()
  const expected = await failureOf(theirs.query('SELECT 1'))
  busy.release()

  const ours = new PostgresAdapter(db.pool(settings))
  await new PostgresAdapter(db.pool()).set('busy', 1)
  await db.query(`CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(8); RETURN NEW; END';
    CREATE TRIGGER sleep BEFORE UPDATE ON go_goscope_cache FOR EACH ROW EXECUTE FUNCTION sleep()`)
  const slow = ours.set('busy', 2)
  // The one connection is busy for longer than a caller may wait. (A statement that waits for a lock would be moved
  // aside.)
  await until('the statement sleeps', async () => {
    const sleeping = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    return (await db.query(sleeping)).length > 0
  })
  const error = await failureOf(ours.get('something else'))
  assertSame([expected, error], { message: 'timeout exceeded when trying to connect' })
  await slow
  await db.query('DROP TRIGGER sleep ON go_goscope_cache')
  assert.equal(await ours.get('busy'), 2, 'the call that had a connection was not abandoned')
})

test('query_timeout', async () => {
  const db = await database
  const theirs = await failureOf(db.pool({ query_timeout: 1_000 }).query('SELECT pg_sleep(30)'))
  await new PostgresAdapter(db.pool()).set('timed', 1)
  const adapter = new PostgresAdapter(db.pool({ query_timeout: 1_000 }))
  const holder = await db.plain.connect()
  await holder.query("BEGIN; SELECT * FROM go_goscope_cache WHERE key = 'cache:timed' FOR UPDATE")
  const ours = await failureOf(adapter.set('timed', 2))
  assertSame([theirs, ours], { message: 'Query read timeout' })
  await holder.query('ROLLBACK')
  holder.release()
  const served = () =>
    adapter.get('timed').then(
      () => true,
      () => false,
    )
  await until('the pool serves again', served)
})

/** @typedef {(at: { db: Awaited<typeof database>, name: string }) => Promise<unknown>} Meanwhile */

/**
 * Waits for a row that another session holds, through pg and through this package.
 *
 * @param {import('pg').PoolConfig} settings
 * @param {Meanwhile} [meanwhile] called while it waits
 */
async function failuresAtARow(settings, meanwhile) {
  const db = await database
  const name = `waits ${Math.random()}`
  const pools = [db.pool({ ...settings, application_name: name }), db.pool({ ...settings, application_name: name })]
  const adapter = new PostgresAdapter(pools[1])
  const unhurried = new PostgresAdapter(db.pool())
  await unhurried.set('row', 1)
  const holder = await db.plain.connect()
  await holder.query("BEGIN; SELECT * FROM go_goscope_cache WHERE key = 'cache:row' FOR UPDATE")
  const both = []
  for (const wait of [
    () => pools[0].query("UPDATE go_goscope_cache SET value = '2' WHERE key = 'cache:row'"),
    () => adapter.set('row', 3),
  ]) {
    const failure = failureOf(wait())
    if (meanwhile) {
      await db.untilWaiting(1)
      await meanwhile({ db, name })
    }
    both.push(await failure)
  }
  await holder.query('ROLLBACK')
  holder.release()
  assert.equal(await unhurried.get('row'), 1)
  return both
}

test('statement_timeout', async () => {
  assertSame(await failuresAtARow({ statement_timeout: 200 }), { code: '57014' })
})

test('lock_timeout', async () => {
  assertSame(await failuresAtARow({ lock_timeout: 200 }), { code: '55P03' })
})

test('a connection that is killed', async () => {
  /** @type {Meanwhile} */
  const kill = ({ db, name }) =>
    db.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [name])
  assertSame(await failuresAtARow({}, kill), { code: '57P01', severity: 'FATAL' })
})

test('a query that is cancelled', async () => {
  /** @type {Meanwhile} */
  const cancel = ({ db, name }) =>
    db.query('SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [name])
  assertSame(await failuresAtARow({}, cancel), { code: '57014' })
})

test('a read-only server', async () => {
  const db = await database
  await new PostgresAdapter(db.pool()).set('writable', 1)
  const settings = { options: '-c default_transaction_read_only=on' }
  const theirs = await failureOf(db.pool(settings).query("UPDATE go_goscope_cache SET value = '2'"))
  const ours = await failureOf(new PostgresAdapter(db.pool(settings)).set('writable', 2))
  assert.deepEqual([ours.code, ours.name, ours.severity, ours.routine], ['25006', 'error', 'ERROR', theirs.routine])
  // The server names the command.
  assert.match(ours.message, /^cannot execute .* in a read-only transaction$/)
  assert.match(theirs.message, /^cannot execute UPDATE in a read-only transaction$/)
})

test('a connection that is lost under a write', async () => {
  const db = await database
  const proxy = await startProxy(db.url)
  try {
    const pools = [db.pool({ connectionString: proxy.url }), db.pool({ connectionString: proxy.url })]
    const adapter = new PostgresAdapter(pools[1])
    await adapter.set('lost', 1)
    const holder = await db.plain.connect()
    await holder.query("BEGIN; SELECT * FROM go_goscope_cache WHERE key = 'cache:lost' FOR UPDATE")
    const theirs = failureOf(pools[0].query("UPDATE go_goscope_cache SET value = '2' WHERE key = 'cache:lost'"))
    const ours = failureOf(adapter.set('lost', 2))
    await db.untilWaiting(2)
    proxy.cutAll()
    const both = await Promise.all([theirs, ours])
    await holder.query('ROLLBACK')
    holder.release()
    assertSame(both, {})
  } finally {
    await proxy.stop()
  }
})

test('an ended pool', async () => {
  const db = await database
  const pool = db.pool()
  const adapter = new PostgresAdapter(pool)
  await pool.end()
  assertSame([await failureOf(pool.query('SELECT 1')), await failureOf(adapter.has('x'))], {
    message: 'Cannot use a pool after calling end on the pool',
  })
})

test("stacks point at the caller's line, for every failure", async () => {
  const db = await database
  const refused = new PostgresAdapter({ host: '127.0.0.1', port: 1, user: 'x' })
  const nowhere = new PostgresAdapter({ host: 'no-such-host.invalid', user: 'x' })
  const wrong = new PostgresAdapter({ ...(await config()), password: 'wrong' })
  const unsafe = new PostgresAdapter({ ...(await config()), ssl: true })
  const bad = new PostgresAdapter(db.pool())
  async function thisVeryCaller(/** @type {() => Promise<unknown>} */ fails) {
    await fails()
  }
  for (const fails of [
    () => refused.has('x'),
    () => nowhere.has('x'),
    () => wrong.acquire('x', 1000),
    () => unsafe.has('x'),
    () => bad.set('x', '\0'),
    () => bad.set(/** @type {any} */ (undefined), 1),
  ]) {
    const error = await failureOf(thisVeryCaller(fails))
    assert.match(error.stack, /thisVeryCaller .*failures\.test\.js/, error.message)
  }
})
