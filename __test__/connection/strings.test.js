// @ts-check
// @configurations first, last
// Connection strings of every shape. Each is parsed as pg parses it, or refused with a message without the password.
// No host is contacted that the string does not name.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { inspect } = require('node:util')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { poolOf } = require('../../lib/connecting/pool-of.js')
const { useDatabase } = require('../support/database.js')
const { RUNS, fc, holds } = require('../support/hostile.js')
const { inTime } = require('../support/waiting.js')

const database = useDatabase()
const SECRET = 'plantedSecret'
const ENCODED = [
  '%',
  '%zz',
  '%25',
  '%2F',
  '%00',
  '%20',
  '+',
  '&',
  '=',
  '#',
  '?',
  '[',
  ']',
  '\\',
  '"',
  "'",
  ' ',
  '%E9',
  '🙂',
]

const odd = fc
  .array(fc.constantFrom('a', 'B', '0', '.', '_', '~', ...ENCODED), { maxLength: 4 })
  .map((all) => all.join(''))
// Names that resolve to this machine or to nothing. No process listens on port 1.
const host = fc.constantFrom('127.0.0.1', 'localhost', '[::1]', '', '%2Fno%2Fsuch%2Ffolder', 'no-such-host.invalid')
const port = fc.constantFrom('', ':1', ':', ':0', ':65536', ':x')
const scheme = fc.constantFrom(
  'postgres://',
  'postgresql://',
  'POSTGRES://',
  'socket:',
  '/',
  'postgres:',
  'http://',
  '',
)
const user = fc.tuple(odd, odd).map(([name, rest]) => `${name}:${SECRET}${rest}@`)
const parameter = fc.tuple(
  fc.constantFrom(
    ...[
      'host',
      'port',
      'user',
      'password',
      'dbname',
      'database',
      'sslmode',
      'ssl',
      'options',
      'application_name',
      'encoding',
    ],
    ...['client_encoding', 'target_session_attrs', 'statement_timeout', 'sslcert', 'sslkey', 'sslrootcert', 'x', ''],
    ...['connect_timeout', 'keepalives', 'uselibpqcompat', 'fallback_application_name', '__proto__', 'constructor'],
  ),
  fc.oneof(
    odd,
    fc.constantFrom('127.0.0.1', '1', 'disable', 'no-verify', 'require', 'verify-full', 'any', 'primary', '/no/file'),
  ),
)
const query = fc
  .array(parameter, { maxLength: 3 })
  .map((all) => all.map(([name, value]) => `${name}=${value}`).join('&'))
const single = fc
  .tuple(scheme, fc.oneof(user, fc.constant('')), host, port, odd, query)
  .map(([s, u, h, p, path, q]) => `${s}${u}${h}${p}/${path}${q && `?${q}`}`)
const several = fc
  .tuple(user, fc.array(fc.tuple(host, port), { minLength: 2, maxLength: 4 }), query)
  .map(([u, hosts, q]) => `postgres://${u}${hosts.map((each) => each.join('')).join(',')}/db?${q}`)

const LOCAL = /^(|127\.0\.0\.1|localhost|\[?::1\]?|\/.*|.*\.invalid)$/

/** @param {any} pool */
function parametersOf(pool) {
  try {
    return pool.connectionParameters()
  } catch (error) {
    return { error }
  }
}

/**
 * How pg parses it.
 *
 * @param {string} connectionString
 */
function theirs(connectionString) {
  try {
    return /** @type {any} */ (new pg.Client({ connectionString })).connectionParameters
  } catch (error) {
    return { error }
  }
}

const hasSecret = (/** @type {unknown} */ thing) =>
  inspect(thing, { depth: 12, showHidden: true }).includes(SECRET) || String(thing).includes(SECRET)

test('a connection string with one host is parsed as pg parses it', async () => {
  let read = 0
  let refused = 0
  await holds(
    [single],
    async (text) => {
      /** @type {any} */
      let pool
      try {
        pool = poolOf(text)
      } catch (/** @type {any} */ error) {
        // Not a connection string at all: pg would take the host from the environment.
        assert.equal(error.code, 'ERR_INVALID_ARG_VALUE')
        assert.ok(!hasSecret(error), error.stack)
        refused++
        return
      }
      const [ours, expected] = [parametersOf(pool), theirs(text)]
      if (expected.error || ours.error) {
        assert.equal(ours.error?.message, expected.error?.message, text)
        assert.ok(!hasSecret(ours.error), text)
        refused++
        return
      }
      for (const name of ['user', 'database', 'password', 'options', 'application_name']) {
        assert.equal(ours[name] ?? undefined, expected[name] ?? undefined, `${name} of ${text}`)
      }
      assert.equal(ours.host, expected.host, text)
      // pg parses a value that is not a number as NaN, and then tries 5432.
      assert.equal(Number.parseInt(ours.port, 10) || 5432, expected.port || 5432, text)
      assert.deepEqual(ours.ssl, expected.ssl, text)
      read++
    },
    RUNS * 10,
  )
  console.log(`# figure: ${read} connection strings read as pg reads them, ${refused} refused as pg refuses them`)
})

test('a call through any of them fails with an error that names the cause and contains no password', async () => {
  let tried = 0
  await holds(
    [fc.oneof(single, several)],
    async (text) => {
      // Only this machine may be contacted, whatever the string has become.
      const { hosts, elsewhere } = readingOf(text)
      if (!hosts.every((each) => LOCAL.test(each))) return
      /** @type {any} */
      let adapter
      const outcome = await inTime(
        text,
        (async () => {
          adapter = new PostgresAdapter(text)
          await adapter.get('x')
        })().catch((error) => error),
      )
      assert.ok(outcome instanceof Error, `${text} leads to a server`)
      // A part of the string that is parsed as a host or a name is not a password, and an error may contain it.
      if (!elsewhere.includes(SECRET)) assert.ok(!hasSecret(outcome) && !outcome.stack?.includes(SECRET), text)
      assert.ok(/** @type {any} */ (outcome).code !== 'ERR_INTERNAL_ASSERTION', outcome.stack)
      if (adapter) assert.ok(!inspect(adapter, { depth: 12 }).includes(SECRET), text)
      await adapter?.disconnect().catch(() => {})
      tried++
    },
    RUNS * 2,
  )
  console.log(`# figure: ${tried} connection strings that lead nowhere, each with a reason`)
  // The process is unharmed.
  const adapter = new PostgresAdapter((await database).url)
  assert.equal(await adapter.get('x'), null)
  await adapter.disconnect()
})

/**
 * The hosts of a connection string, and every part of it that is not its password.
 *
 * @param {string} text
 */
function readingOf(text) {
  try {
    const { password: _, ...rest } = /** @type {any} */ (poolOf(text)).connectionParameters()
    return { hosts: String(rest.host ?? '').split(','), elsewhere: JSON.stringify(rest) }
  } catch {
    return { hosts: [], elsewhere: '' }
  }
}
