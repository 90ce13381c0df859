// @ts-check
// @configurations first
// A password appears nowhere: in no error at any depth, in no view of an adapter, and in no log.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')

const { after, before, test } = require('node:test')
const { inspect } = require('node:util')
const pg = require('pg')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { startPostgres } = require('goscope-postgres/embedded')
const { withListener } = require('../support/listener.js')
const { startScript } = require('../support/script.js')

const SECRET = 'planted5ecret'
const ENCODED = Buffer.from(SECRET).toString('base64')
const HEX = Buffer.from(SECRET).toString('hex')

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server
/** The role that has this password, and the URL that contains it. */
let url = ''

before(async () => {
  server = await startPostgres({
    settings: { log_statement: 'all', log_connections: 'on', log_min_messages: 'debug1' },
  })
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  // As a verifier, so that the secret itself is in no statement.
  await client.query('CREATE ROLE holder LOGIN')
  await client.query('GRANT CREATE ON SCHEMA public TO holder')
  await client.query(
    `DO $$ BEGIN EXECUTE format('ALTER ROLE holder PASSWORD %L', convert_from(decode('${HEX}', 'hex'), 'UTF8')); END $$`,
  )
  await client.end()
  const own = new URL(server.url)
  own.username = 'holder'
  own.password = SECRET
  url = own.href
})
after(() => server?.stop())

/**
 * @param {unknown} thing
 * @param {string} where
 */
function assertSilent(thing, where) {
  const views = [
    inspect(thing, { depth: Infinity, showHidden: thing instanceof Error, getters: true, maxStringLength: Infinity }),
    String(thing),
    JSON.stringify(thing, (_, value) => (typeof value === 'bigint' ? String(value) : value)) ?? '',
    thing instanceof Error ? `${thing.stack} ${thing.message}` : '',
  ]
  for (const view of views) {
    for (const secret of [SECRET, ENCODED, HEX]) assert.ok(!view.includes(secret), `${where}: ${view.slice(0, 2000)}`)
  }
}

/** Each form of the first argument, with the password in it. */
const forms = (/** @type {string} */ given) => {
  const { hostname: host, port, username: user, password, pathname } = new URL(given)
  const config = { host: host.replace(/^\[|\]$/g, ''), port: Number(port), user, password, database: pathname.slice(1) }
  return /** @type {[string, any][]} */ ([
    ['a pool of a URL', new pg.Pool({ connectionString: given })],
    ['a pool', new pg.Pool(config)],
    ['a pool with a function', new pg.Pool({ ...config, password: async () => password })],
    ['a URL', given],
    ['a configuration', config],
    ['a configuration with a function', { ...config, password: () => password }],
  ])
}

/** URLs that fail, each in its own way. */
const failing = () => {
  const changed = (/** @type {(url: URL) => void} */ change) => {
    const made = new URL(url)
    change(made)
    return made.href
  }
  return {
    'a wrong user': changed((each) => (each.username = 'nobody')),
    'a wrong password': changed((each) => (each.password = `${SECRET}wrong`)),
    'no such database': changed((each) => (each.pathname = '/nothing')),
    'nobody there': changed((each) => (each.port = '1')),
    'no such host': changed((each) => (each.hostname = 'no-such-host.invalid')),
    'no TLS': changed((each) => each.searchParams.set('sslmode', 'require')),
    'no such certificate': changed((each) => each.searchParams.set('sslrootcert', '/no/such/file')),
    'a bad option': changed((each) => each.searchParams.set('options', '-c no.such=1 -c nonsense=2')),
    'a bad encoding': url.replace(SECRET, `${SECRET}%zz`),
    'a bad port': url.replace(/:\d+\//, ':99999/'),
  }
}

test('no connection error contains the password, in any form of the configuration', async () => {
  let looked = 0
  for (const [why, each] of Object.entries(failing())) {
    // Settings that only a URL can express.
    const given = /zz|99999|\?/.test(each) ? [['a URL', each]] : forms(each)
    for (const [form, source] of /** @type {[string, any][]} */ (given)) {
      const where = `${why}, ${form}`
      try {
        const adapter = new PostgresAdapter(source)
        const failures = await Promise.allSettled([adapter.connect(), adapter.get('x'), adapter.acquire('x', 1000)])
        for (const failure of failures) {
          assert.equal(failure.status, 'rejected', where)
          assertSilent(/** @type {any} */ (failure).reason, where)
          looked++
        }
        assertSilent(adapter, where)
        await adapter.disconnect()
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
        assertSilent(error, where)
        looked++
      }
    }
  }
  console.log(`# figure: ${looked} errors looked through, none with the password`)
})

test('no error from a misbehaving server, a failing hook or a failing password function contains it', async () => {
  const behaviours = /** @type {Record<string, (socket: import('node:net').Socket) => void>} */ ({
    'hangs up': (socket) => socket.destroy(),
    'speaks another protocol': (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    'asks for the password and hangs up': (socket) =>
      socket.once('data', () => {
        socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]))
        socket.once('data', () => socket.destroy())
      }),
    // If an error message quotes what the client has just sent, that is the server's doing. We do not add it.
    'says that it was wrong': (socket) =>
      socket.once('data', () => {
        socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]))
        socket.once('data', () => {
          const body = 'SFATAL\0C28P01\0Mno\0\0'
          const head = Buffer.alloc(5)
          head.write('E')
          head.writeInt32BE(body.length + 4, 1)
          socket.end(Buffer.concat([head, Buffer.from(body)]))
        })
      }),
  })
  for (const [what, behave] of Object.entries(behaviours)) {
    await withListener(behave, async (port) => {
      for (const [form, source] of forms(url.replace(/:\d+\//, `:${port}/`))) {
        const adapter = new PostgresAdapter(source)
        const error = await adapter.get('x').catch((/** @type {unknown} */ error) => error)
        assert.ok(error instanceof Error, `${what}, ${form}`)
        assertSilent(error, `${what}, ${form}`)
        await adapter.disconnect()
      }
    })
  }
  const onConnect = () => {
    throw new Error('the hook failed')
  }
  const hooked = new PostgresAdapter({ connectionString: url, onConnect })
  assertSilent(await hooked.get('x').catch((error) => error), 'a hook')
  await hooked.disconnect()
})

test('no view of an adapter shows it, connected or not, and no error of a statement', async () => {
  for (const [form, source] of forms(url)) {
    const adapter = new PostgresAdapter(source)
    assertSilent(adapter, form)
    await adapter.connect()
    const handle = await adapter.acquire('x', 60_000)
    for (const thing of [adapter, handle, new PostgresCacheAdapter(source), new PostgresIdempotencyAdapter(source)]) {
      assertSilent(thing, form)
    }
    assertSilent(await adapter.set('x', '\0').catch((error) => error), form)
    assertSilent(await adapter.acquire('x', -1).catch((error) => error), form)
    assertSilent(
      await new PostgresCacheAdapter(source, { tableName: 'no.such' }).get('x').catch((error) => error),
      form,
    )
    await handle?.release()
    await adapter.disconnect()
    assertSilent(await adapter.get('x').catch((error) => error), form)
  }
})

test('an error about a wrong argument does not show a password in it', () => {
  const wrong = [
    `host=localhost password=${SECRET}`,
    `${SECRET}`,
    { client: `postgres://u:${SECRET}@h/d`, query() {} },
    { options: { password: SECRET } },
    [`postgres://u:${SECRET}@h/d`],
    new URL(`postgres://u:${SECRET}@127.0.0.1/d`),
    { connectionString: `host=localhost password=${SECRET}` },
    { connectionString: new URL(`postgres://u:${SECRET}@127.0.0.1/d`) },
  ]
  for (const each of wrong) {
    try {
      assertSilent(new PostgresAdapter(/** @type {any} */ (each)), 'an argument')
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
      assertSilent(error, 'an argument')
    }
  }
})

test('no output of a crashing process contains it', async () => {
  for (const body of [
    "adapter.get('x')",
    "const other = new PostgresAdapter(url); other.get('x')",
    'console.error(adapter); throw adapter',
  ]) {
    const wrong = url.replace('holder', 'nobody')
    const { code, stderr, stdout } = await startScript(wrong, body.replace('other.get', 'await other.get')).ended
    // Node shows the script itself, which has the URL in it. That output is not ours.
    const printed = `${stdout}${stderr}`.split('\n').filter((line) => !line.includes('const url ='))
    assert.notEqual(code, 0)
    assertSilent(printed.join('\n'), body)
  }
})

test("the server's log does not contain it", () => {
  const log = fs.readFileSync(server.logFile, 'utf8').split('\n')
  assert.ok(log.some((line) => line.includes('user=holder')))
  for (const line of log) assert.ok(!line.includes(SECRET), line)
})
