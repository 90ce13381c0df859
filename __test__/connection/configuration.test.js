// @ts-check
// @configurations first
// One pool's configuration for pg and for us: the server sees the same.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test, before, after } = require('node:test')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { administer, useDatabase } = require('../support/database.js')
const { failureOf, seenOfBoth, seenOfOurs, withEnvironment } = require('../support/drivers.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-configuration-'))
after(() => fs.rmSync(folder, { recursive: true, force: true }))

const WEIRD_PASSWORD = 'p@ss:w/o?r#d %41\'"\\'

/** @type {{ host: string, port: number, user: string, password: string, database: string }} */
let at
/** The folder of the server's Unix socket, if it is on this machine. */
let socket = ''
/** @type {string} */
let authority

before(async () => {
  const db = await database
  const url = new URL(db.url)
  at = {
    host: url.hostname,
    port: Number(url.port || 5432),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: db.name,
  }
  authority = `${url.username}:${url.password}@${url.host}`
  const [{ unix_socket_directories: folders }] = await db.query('SHOW unix_socket_directories')
  socket = folders.split(',')[0].trim()
  await db.query(`CREATE ROLE "odd user" LOGIN SUPERUSER PASSWORD '${WEIRD_PASSWORD.replaceAll("'", "''")}'`)
})
after(() => administer('DROP ROLE "odd user"'))

/** @type {[string, () => pg.PoolConfig | false][]} */
const CONFIGURATIONS = [
  ['discrete fields', () => ({ ...at })],
  ['a connection string', () => ({ connectionString: `postgres://${authority}/${at.database}` })],
  ['postgresql://', () => ({ connectionString: `postgresql://${authority}/${at.database}` })],
  [
    'a string before fields',
    () => ({
      connectionString: `postgres://${authority}/${at.database}`,
      user: 'nobody',
      database: 'nowhere',
      port: 1,
      password: 'wrong',
    }),
  ],
  [
    'percent-encoded credentials',
    () => ({
      connectionString: `postgres://odd%20user:${encodeURIComponent(WEIRD_PASSWORD)}@${at.host}:${at.port}/${at.database}`,
    }),
  ],
  ['credentials as fields', () => ({ ...at, user: 'odd user', password: WEIRD_PASSWORD })],
  [
    'credentials as parameters of the string',
    () => ({
      connectionString: `postgres://${at.host}:${at.port}/${at.database}?user=${at.user}&password=${at.password}`,
    }),
  ],
  [
    'host and port as parameters of the string',
    () => ({
      connectionString: `postgres://${at.user}:${at.password}@/${at.database}?host=${at.host}&port=${at.port}`,
    }),
  ],
  ['a host name, which has several addresses', () => ({ ...at, host: 'localhost' })],
  ['a socket as the host', () => socket !== '' && { ...at, host: socket }],
  [
    'a socket, percent-encoded',
    () =>
      socket !== '' && {
        connectionString: `postgres://${at.user}:${at.password}@${encodeURIComponent(socket)}:${at.port}/${at.database}`,
      },
  ],
  [
    'a socket as a parameter',
    () =>
      socket !== '' && {
        connectionString: `postgres://${at.user}:${at.password}@/${at.database}?host=${socket}&port=${at.port}`,
      },
  ],
  [
    'a socket: URL',
    () =>
      socket !== '' && {
        connectionString: `socket://${at.user}:${at.password}@${socket}?db=${at.database}`,
        port: at.port,
      },
  ],
  ['application_name', () => ({ ...at, application_name: 'Anwendung 1' })],
  [
    'application_name in the string',
    () => ({ connectionString: `postgres://${authority}/${at.database}?application_name=my%20app` }),
  ],
  ['fallback_application_name', () => ({ ...at, fallback_application_name: 'fallback' })],
  ['options', () => ({ ...at, options: '-c work_mem=5MB -c search_path=app,public' })],
  [
    'options in the string',
    () => ({ connectionString: `postgres://${authority}/${at.database}?options=-c%20work_mem%3D6MB` }),
  ],
  ['options with a space in a value', () => ({ ...at, options: '-c search_path=app,\\ public' })],
  [
    'timeouts of the server',
    () => ({
      ...at,
      statement_timeout: 61_001,
      lock_timeout: 61_002,
      idle_in_transaction_session_timeout: 61_003,
    }),
  ],
  [
    'timeouts in the string',
    () => ({
      connectionString: `postgres://${authority}/${at.database}?statement_timeout=61004&lock_timeout=61005`,
    }),
  ],
  [
    'timeouts before those of options',
    () => ({ ...at, options: '-c statement_timeout=99000', statement_timeout: 61_006 }),
  ],
  ['another client_encoding, which pg leaves at UTF8', () => ({ ...at, client_encoding: 'LATIN1' })],
  ['a password function', () => ({ ...at, password: () => at.password })],
  ['an asynchronous password function', () => ({ ...at, password: async () => at.password })],
  ['plaintext by name', () => ({ connectionString: `postgres://${authority}/${at.database}?sslmode=disable` })],
]

for (const [title, configuration] of CONFIGURATIONS) {
  test(title, async (t) => {
    const config = configuration()
    if (!config) return t.skip('the server has no Unix socket')
    const [theirs, ours] = await seenOfBoth(config)
    assert.deepEqual(ours, { ...theirs })
    // Also without a pool: the same keys have the same meaning.
    assert.deepEqual(await seenOfOurs(config), { ...theirs })
  })
}

test('a path and a database', async (t) => {
  if (socket === '') return t.skip('the server has no Unix socket')
  const { user, password, port } = at
  // A connection string without a password removes the password of a field.
  await withEnvironment({ PGPASSWORD: password }, async () => {
    const config = { connectionString: `${socket} ${at.database}`, user, port, password: 'wrong' }
    const [theirs, ours] = await seenOfBoth(config)
    assert.deepEqual(ours, { ...theirs })
    assert.deepEqual(await seenOfOurs(config), ours)
  })
})

test('PG* environment variables', async () => {
  const variables = {
    PGHOST: at.host,
    PGPORT: String(at.port),
    PGUSER: 'odd user',
    PGPASSWORD: WEIRD_PASSWORD,
    PGDATABASE: at.database,
    PGAPPNAME: 'of the environment',
    PGOPTIONS: '-c work_mem=7MB',
  }
  await withEnvironment({ ...variables, DATABASE_URL: undefined }, async () => {
    const [theirs, ours] = await seenOfBoth({})
    assert.deepEqual(ours, { ...theirs })
    assert.deepEqual([ours.user, ours.application_name, ours.work_mem], ['odd user', 'of the environment', '7MB'])
    assert.deepEqual(await seenOfOurs({}), ours)
    // Fields take precedence.
    const [named, named2] = await seenOfBoth({ user: at.user, password: at.password, application_name: 'mine' })
    assert.deepEqual(named2, { ...named })
    assert.equal(named2.application_name, 'mine')
  })
})

test('the environment is read at each connection', async () => {
  const { user, password, ...rest } = at
  const pool = new pg.Pool({ ...rest, idleTimeoutMillis: 1 })
  const adapter = new PostgresAdapter(pool)
  await withEnvironment({ PGUSER: user, PGPASSWORD: 'wrong' }, async () => {
    assert.equal((await failureOf(adapter.has('x'))).code, '28P01')
  })
  await withEnvironment({ PGUSER: user, PGPASSWORD: password }, async () => {
    assert.equal(await adapter.has('x'), false)
    await adapter.disconnect()
  })
})

test('a password file', async () => {
  const file = path.join(folder, 'pgpass')
  fs.writeFileSync(file, `*:*:*:nobody:wrong\n${at.host}:${at.port}:${at.database}:${at.user}:${at.password}\n`, {
    mode: 0o600,
  })
  const { password: _, ...config } = at
  await withEnvironment({ PGPASSFILE: file, PGPASSWORD: undefined }, async () => {
    const [theirs, ours] = await seenOfBoth(config)
    assert.deepEqual(ours, { ...theirs })
    assert.deepEqual(await seenOfOurs(config), ours)
  })
})

test('a subclass of Client that sets parameters', async () => {
  class Tenant extends pg.Client {
    constructor(/** @type {pg.ClientConfig} */ config) {
      // pg-pool hides the password from spreading.
      super({
        ...config,
        password: config.password,
        application_name: 'of the subclass',
        options: '-c search_path=tenant,public',
      })
    }
  }
  const [theirs, ours] = await seenOfBoth(/** @type {any} */ ({ ...at, Client: Tenant }))
  assert.deepEqual(ours, { ...theirs })
  assert.deepEqual([ours.application_name, ours.search_path], ['of the subclass', 'tenant,public'])
})

test('a rotated password is used by the next connection', async () => {
  const db = await database
  await db.query("CREATE ROLE rotating LOGIN SUPERUSER PASSWORD 'first'")
  let asked = 0
  let password = 'first'
  const current = async () => {
    asked++
    return password
  }
  const pool = new pg.Pool({ ...at, user: 'rotating', password: current, maxUses: 1, max: 1 })
  const adapter = new PostgresAdapter(pool)
  try {
    await adapter.set('rotated', 1)
    assert.equal(asked, 1)
    password = 'second'
    await db.query("ALTER ROLE rotating PASSWORD 'second'")
    await db.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotating'")
    await until('a new connection requests the password again', async () => {
      assert.equal(await adapter.get('rotated'), 1)
      return asked >= 2
    })
  } finally {
    await adapter.disconnect()
    await db.query('DROP ROLE rotating')
  }
})

for (const method of ['md5', 'scram-sha-256']) {
  test(`a role whose password is stored as ${method}`, async () => {
    const db = await database
    const admin = await db.plain.connect()
    await admin.query(`SET password_encryption = '${method}'`)
    await admin.query("CREATE ROLE kept LOGIN SUPERUSER PASSWORD 'secret'")
    await admin.query('RESET password_encryption')
    admin.release()
    try {
      // A server that requires SCRAM does not accept md5: both drivers receive the same error.
      const config = { ...at, user: 'kept', password: 'secret' }
      const outcome = (/** @type {Promise<any>} */ seen) =>
        seen.then(
          (row) => row.user,
          (error) => [error.code, error.message],
        )
      const theirs = new pg.Pool(config)
      const expected = await outcome(theirs.query('SELECT current_user AS user').then(({ rows }) => rows[0]))
      await theirs.end()
      assert.deepEqual(await outcome(seenOfOurs(config)), expected)
    } finally {
      await db.query('DROP ROLE kept')
    }
  })
}

test('keepAlive is set on the socket, and is off by default', { skip: process.platform !== 'linux' }, async (t) => {
  const db = await database
  for (const keepAlive of [false, true]) {
    const name = `keep-alive ${keepAlive}`
    const config = { ...at, application_name: name, keepAlive, keepAliveInitialDelayMillis: 60_000 }
    const adapter = new PostgresAdapter(new pg.Pool(config))
    await adapter.has('x')
    const [{ client_port: port }] = await db.query(
      'SELECT client_port FROM pg_stat_activity WHERE application_name = $1',
      [name],
    )
    const local = `:${port.toString(16).padStart(4, '0').toUpperCase()}`
    const sockets = fs
      .readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
    const ours = sockets.find(([, address]) => address?.endsWith(local))
    if (!ours) return t.skip('the server is on another machine or in another network namespace')
    // The sixth column is the running timer; 02 is the keepalive timer.
    assert.equal(ours[5].split(':')[0] === '02', keepAlive, ours.join(' '))
    await adapter.disconnect()
  }
})

for (const [option, value] of /** @type {[string, any][]} */ ([
  ['stream', () => assert.fail('it was called')],
  ['replication', 'database'],
  ['scramMaxIterations', 5000],
  ['connection', {}],
])) {
  test(`${option} is refused by name`, async () => {
    for (const source of [new pg.Pool({ ...at, [option]: value }), { ...at, [option]: value }]) {
      const error = await failureOf(new PostgresAdapter(/** @type {any} */ (source)).has('x'))
      assert.equal(error.code, 'ERR_INVALID_ARG_VALUE')
      assert.match(error.message, new RegExp(option))
    }
  })
}
