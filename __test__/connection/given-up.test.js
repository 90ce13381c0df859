// @ts-check
// @configurations first
// A connection that is abandoned during its set-up closes its socket at once, whatever the server is busy with. So it
// leaves no server session behind, and no server connection of a pooler.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const net = require('node:net')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { certificate } = require('../../scripts/servers/certificates.js')
const { useDatabase } = require('../support/database.js')
const { startProxy } = require('../support/proxy.js')
const { failureOf } = require('../support/drivers.js')
const { inTime, until } = require('../support/waiting.js')

const database = useDatabase()
const proxy = database.then(({ url }) => startProxy(url))

/** Ten minutes: far longer than any test waits. */
const SLOW = 'SELECT pg_sleep(600)'
/** In one text, so in one transaction, which ends with the connection. */
const COPY_IN = 'CREATE TEMPORARY TABLE given_up (n int) ON COMMIT DROP; COPY given_up FROM STDIN'

/** How a pool gets a hook of each kind. @type {[string, (hook: (client: any) => unknown) => any][]} */
const KINDS = [
  ['onConnect', (hook) => ({ onConnect: hook })],
  ['a listener', (hook) => ({ listener: hook })],
  ['verify', (hook) => ({ verify: verifying(hook) })],
]

/** @param {(client: any) => unknown} hook */
const verifying = (hook) => (/** @type {any} */ client, /** @type {(error?: unknown) => void} */ done) =>
  Promise.resolve(hook(client)).then(() => done(), done)

/** @param {{ listener?: (client: any) => unknown } & Record<string, any>} options */
async function hookedPool({ listener, ...options }) {
  const pool = (await database).pool({ max: 1, connectionString: (await proxy).url, ...options })
  if (listener) pool.on('connect', listener)
  return pool
}

const untilNoneIsOpen = () => until('no connection is open', async () => (await proxy).open === 0)

for (const [kind, withHook] of KINDS) {
  test(`connectionTimeoutMillis within the query of ${kind} closes the socket at once`, async () => {
    /** @type {any[]} */
    const asked = []
    const hook = (/** @type {any} */ client) => {
      const query = client.query(SLOW)
      asked.push(failureOf(query))
      return query
    }
    const pool = await hookedPool({ connectionTimeoutMillis: 1000, ...withHook(hook) })
    const adapter = new PostgresAdapter(pool)
    while (asked.length < 2) {
      const { code } = await inTime('the call', failureOf(adapter.has('x')))
      assert.equal(code, 'ETIMEDOUT')
    }
    await untilNoneIsOpen()
    for (const { code } of await Promise.all(asked)) assert.equal(code, 'ECONNRESET')
    await adapter.disconnect()
  })

  for (const [title, sql] of [
    ['COPY FROM STDIN', COPY_IN],
    ['COPY TO STDOUT', 'COPY (SELECT 1) TO STDOUT'],
  ]) {
    test(`${title} in ${kind} rejects with a code and names COPY, also if the hook ignores it, and leaves no session`, async () => {
      const db = await database
      const hook = async (/** @type {any} */ client) => {
        const error = await failureOf(client.query(sql))
        assert.equal(error.code, 'ERR_GOSCOPE_HOOK')
        assert.equal((await failureOf(client.query('SELECT 1'))).code, 'ERR_GOSCOPE_HOOK')
      }
      for (const each of [hook, (/** @type {any} */ client) => client.query(sql)]) {
        const adapter = new PostgresAdapter(await hookedPool(withHook(each)))
        for (let n = 0; n < 3; n++) {
          const { code, message } = await inTime('the call', failureOf(adapter.has('x')))
          assert.equal(code, 'ERR_GOSCOPE_HOOK')
          assert.match(message, /COPY FROM STDIN or COPY TO STDOUT/)
        }
        await untilNoneIsOpen()
        await until('no session is in a COPY', async () => {
          const [{ n }] = await db.query(
            "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query = $1",
            [sql],
          )
          return n === 0
        })
        await adapter.disconnect()
      }
    })
  }

  test(`${kind} that fails while a query of its own runs rejects the call with its error at once`, async () => {
    /** @type {unknown[]} */
    const unhandled = []
    const note = (/** @type {unknown} */ error) => unhandled.push(error)
    process.on('unhandledRejection', note)
    const hook = (/** @type {any} */ client) => {
      client.query(SLOW)
      throw new RangeError('not like this')
    }
    // Not as a promise of an async function: it must throw at the place where pg's pool calls it.
    const options = kind === 'verify' ? { verify: hook } : withHook(hook)
    const adapter = new PostgresAdapter(await hookedPool(options))
    const error = await inTime('the call', failureOf(adapter.has('x')))
    assert.deepEqual([error.name, error.message], ['RangeError', 'not like this'])
    await untilNoneIsOpen()
    await adapter.disconnect()
    process.off('unhandledRejection', note)
    assert.deepEqual(unhandled, [])
  })

  for (const nothing of [undefined, null]) {
    test(`${kind} that throws ${nothing} rejects the call with an error that has a code and names the hook`, async () => {
      const hook = () => {
        throw nothing
      }
      const options = kind === 'verify' ? { verify: hook } : withHook(hook)
      const adapter = new PostgresAdapter(await hookedPool(options))
      const error = await failureOf(adapter.has('x'))
      assert.ok(error instanceof Error)
      assert.equal(/** @type {any} */ (error).code, 'ERR_GOSCOPE_HOOK')
      assert.match(error.message, kind === 'a listener' ? /listener of 'connect'/ : new RegExp(kind))
      await adapter.disconnect()
    })
  }
}

test('a listener that throws leaves the promises of those before it handled', async () => {
  /** @type {unknown[]} */
  const unhandled = []
  const note = (/** @type {unknown} */ error) => unhandled.push(error)
  process.on('unhandledRejection', note)
  const pool = await hookedPool({ listener: async (client) => void (await client.query(SLOW)) })
  pool.on('connect', () => {
    throw new RangeError('not like this')
  })
  const adapter = new PostgresAdapter(pool)
  assert.equal((await inTime('the call', failureOf(adapter.has('x')))).name, 'RangeError')
  await untilNoneIsOpen()
  await adapter.disconnect()
  process.off('unhandledRejection', note)
  assert.deepEqual(unhandled, [])
})

for (const [title, query] of /** @type {[string, unknown][]} */ ([
  ['nothing', undefined],
  ['null', null],
  ['an object without a text', {}],
])) {
  test(`client.query with ${title} rejects the call with a code`, async () => {
    const adapter = new PostgresAdapter(
      await hookedPool({ onConnect: (/** @type {any} */ client) => client.query(query) }),
    )
    const error = await failureOf(adapter.has('x'))
    assert.deepEqual([error.name, error.code], ['TypeError', 'ERR_INVALID_ARG_TYPE'])
    await adapter.disconnect()
  })
}

test('a password function that throws nothing rejects the call with an error that has a code', async () => {
  const { hostname, port, pathname, username } = new URL((await proxy).url)
  const pool = (await database).pool({
    connectionString: undefined,
    host: hostname,
    port: Number(port),
    database: pathname.slice(1),
    user: username,
    password: () => Promise.reject(),
  })
  const error = await failureOf(new PostgresAdapter(pool).has('x'))
  assert.equal(error?.code, 'ERR_GOSCOPE_CONNECTION')
  assert.match(error.message, /password/)
})

test('the end of the pool closes a connection that is still being set up', async () => {
  const db = await database
  await new PostgresAdapter(db.pool()).set('held', 1)
  let shown = 0
  // The set-up of the second connection never finishes.
  const pool = await hookedPool({ max: 2, onConnect: (/** @type {any} */ client) => shown++ > 0 && client.query(SLOW) })
  const adapter = new PostgresAdapter(pool)
  await adapter.get('held')
  const holder = await db.hold("SELECT * FROM go_goscope_cache WHERE key LIKE '%held' FOR UPDATE")
  const write = adapter.set('held', 2)
  await db.untilWaiting()
  const read = adapter.get('other')
  await until('a second connection is being set up', () => shown === 2)
  await holder.commit()
  await inTime('the calls', Promise.all([write, read]))
  await inTime('the end', adapter.disconnect())
  assert.equal(
    (await proxy).open === 0 ||
      (await inTime(
        'the sockets',
        untilNoneIsOpen().then(() => true),
      )),
    true,
  )
})

test('a TLS handshake for which Node signs is abandoned with its connection', async () => {
  const { keyPem, pem } = certificate({
    name: 'client',
    issuer: certificate({ name: 'issuer', ca: true }),
    key: crypto.generateKeyPairSync('ed448').privateKey,
  })
  /** @type {Set<net.Socket>} */
  const sockets = new Set()
  // Agrees to TLS, and then sends nothing.
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.once('data', () => socket.write('S'))
    socket.on('data', () => {})
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  try {
    const { port } = /** @type {net.AddressInfo} */ (server.address())
    const pool = (await database).pool({
      connectionString: undefined,
      host: '127.0.0.1',
      port,
      user: 'someone',
      password: 'secret',
      ssl: { rejectUnauthorized: false, key: keyPem, cert: pem },
      connectionTimeoutMillis: 1000,
    })
    const adapter = new PostgresAdapter(pool)
    assert.equal((await inTime('the call', failureOf(adapter.has('x')))).code, 'ETIMEDOUT')
    await until('the sockets are closed', () => sockets.size === 0)
    await adapter.disconnect()
  } finally {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
})
