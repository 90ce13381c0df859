// @ts-check
// @configurations first
// Changes without a notification by a trigger, settings of writer or subscriber that change the quoting of names, and reads
// that are never answered.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { startProxy } = require('../support/proxy.js')
const { inTime, until } = require('../support/waiting.js')

const [silent, quoting, quoted] = Array.from({ length: 3 }, () => useDatabase())

/** @typedef {Awaited<typeof silent>} Database */

/**
 * Subscribes, and waits until notifications arrive.
 *
 * @param {Database} db
 * @param {string} key
 */
async function subscribe(db, key) {
  const adapter = new PostgresAdapter(db.pool())
  await adapter.connect()
  /** @type {string[]} */
  const states = []
  adapter.subscribe(key, ({ state }) => states.push(state))
  await until('it listens', async () => {
    const listening = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    return (await db.query(listening)).length > 0
  })
  await adapter.setState(key, { state: 'open', failureCount: 1 })
  await until('the first change', async () => states.length === 1)
  return { states, adapter }
}

/** SQL of another application with its own setting. @param {Database} db @param {string} setting @param {string} sql */
async function write(db, setting, sql) {
  const client = await db.plain.connect()
  await client.query(`SET ${setting}`)
  await client.query(sql)
  client.release(true)
}

test('a change under session_replication_role = replica, which fires no trigger, is found', async () => {
  const db = await silent
  const { states } = await subscribe(db, 'k')
  await write(db, 'session_replication_role = replica', "UPDATE go_goscope_circuit SET state = 'half-open'")
  await until('the change is found', async () => states.includes('half-open'))
  assert.deepEqual(states, ['open', 'half-open'])
})

test('notifications of a writer with quote_all_identifiers = on have the same topic', async () => {
  const db = await quoting
  await subscribe(db, 'k')
  const listener = await db.plain.connect()
  /** @type {string[]} */
  const notices = []
  listener.on('notification', ({ payload }) => notices.push(String(payload)))
  await listener.query('LISTEN go_goscope')
  await write(db, 'quote_all_identifiers = on', "UPDATE go_goscope_circuit SET state = 'half-open'")
  await until('a notification', async () => notices.length > 0)
  assert.deepEqual(notices, ['public.go_goscope_circuit:circuit:k'])
  listener.release()
})

test('with quote_all_identifiers = on in the database, connect(), subscribe, lock() and values work', async () => {
  const db = await quoted
  await db.query(`ALTER DATABASE ${db.name} SET quote_all_identifiers = on`)
  const { states, adapter } = await subscribe(db, 'k')
  const notices = await db.plain.connect()
  /** @type {string[]} */
  const topics = []
  notices.on('notification', ({ payload }) => topics.push(String(payload)))
  await notices.query('LISTEN go_goscope')
  await adapter.setState('k', { state: 'closed', failureCount: 0 })
  await until('the second change', async () => states.length === 2)
  // The subscriber has a connection of its own, and may be the first.
  await until('a notification', async () => topics.length > 0)
  assert.deepEqual(topics, ['public.go_goscope_circuit:circuit:k'])
  const held = await adapter.lock('k', { ttl: 600_000 })
  const next = adapter.lock('k', { ttl: 600_000 })
  await held.release()
  await (await next).release()
  await adapter.set('k', { a: [1] })
  assert.deepEqual(await adapter.get('k'), { a: [1] })
  // A second connect() finds everything, and creates nothing.
  const indexes = async () => (await db.query("SELECT FROM pg_indexes WHERE tablename LIKE 'go_goscope%'")).length
  const before = await indexes()
  await new PostgresAdapter(db.pool()).connect()
  assert.equal(await indexes(), before)
  notices.release()
})

test('disconnect() does not wait for a read of a subscription that is never answered', async () => {
  const db = await silent
  const proxy = await startProxy(db.url)
  try {
    const adapter = new PostgresAdapter(db.pool({ connectionString: proxy.url, max: 1 }))
    await adapter.connect()
    const { struck } = proxy.strikeNext('unanswered', { in: 'answer', how: 'silence' })
    adapter.subscribe('unanswered', () => {})
    await inTime('its first read', struck)
    assert.equal(adapter.metrics().calls.inFlight, 0)
    await inTime('the end', adapter.disconnect())
  } finally {
    await proxy.stop()
  }
})
