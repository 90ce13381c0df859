// @ts-check
// @configurations first
// The network drops the end of one of our transactions. Without a limit the server would keep its locks for two hours.
'use strict'

const assert = require('node:assert/strict')
const { after, test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { startProxy } = require('../support/proxy.js')
const { inTime } = require('../support/waiting.js')
const { missing, startPooler } = require('../../scripts/servers/pooler.js')

/** @typedef {import('../support/proxied-connection.js').Fault} Fault */

// One for each test: what a test leaves silent holds locks that the next would wait for.
const databases = { creation: useDatabase(), addition: useDatabase({ migrated: false }), write: useDatabase() }

/**
 * The first request with this text meets the fault. What is under way then never ends.
 *
 * @param {{ url: string }} server
 * @param {string} text
 * @param {Fault} fault
 * @param {(url: string) => unknown} use
 */
async function silenced(server, text, fault, use) {
  const proxy = await startProxy(server.url)
  const strike = proxy.strikeNext(text, fault)
  use(proxy.url)
  await inTime(`a request with ${text}`, strike.struck)
}

/** @type {Fault} */
const UNHEARD = { in: 'answer', how: 'silence' }

test('an adapter that falls silent while it makes its tables holds up no other for long', async () => {
  const db = await databases.creation
  await silenced(db, 'CREATE TABLE', UNHEARD, (connectionString) =>
    new PostgresAdapter(db.pool({ connectionString })).connect().catch(() => {}),
  )
  const other = new PostgresAdapter(db.pool())
  await inTime('connect() of the other', other.connect())
  await other.set('k', 1)
})

test('an adapter that falls silent while it adds to a table blocks that for its other users only for a while', async () => {
  const db = await databases.addition
  await db.query(
    'CREATE TABLE go_goscope_locks (key text PRIMARY KEY, owner text NOT NULL, expires_at timestamp NOT NULL)',
  )
  await silenced(db, 'LOCK TABLE', UNHEARD, (connectionString) =>
    new PostgresAdapter(db.pool({ connectionString })).connect().catch(() => {}),
  )
  assert.deepEqual(await inTime('a query of the table', db.query('SELECT * FROM go_goscope_locks')), [])
})

test('a write through PgBouncer whose COMMIT is lost blocks its row only for a while', {
  skip: missing || false,
}, async () => {
  const db = await databases.write
  const pooler = await startPooler(db.url)
  after(() => pooler.stop())
  const other = new PostgresAdapter(db.pool())
  await other.connect()
  await other.set('a', 0)
  // Two calls share a statement, which waits for locks with a limit. So it is a transaction of three; the last ends the request.
  const fault = /** @type {Fault} */ ({ in: 'request', how: 'silence', after: -1 })
  await silenced(pooler, 'cache:a', fault, (connectionString) => {
    const through = new PostgresAdapter(db.pool({ connectionString }))
    return Promise.all([through.set('a', 1), through.set('b', 1)]).catch(() => {})
  })
  await inTime('a write of the row', other.set('a', 2))
  assert.equal(await other.get('a'), 2)
})
