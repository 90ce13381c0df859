// @ts-check
// @configurations first
// subscribe() through PgBouncer in transaction mode, which does not forward notifications to the subscriber.
'use strict'

const assert = require('node:assert/strict')
const { after, test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { missing, startPooler } = require('../../scripts/servers/pooler.js')
const { until } = require('../support/waiting.js')

const skip = missing || false
const database = useDatabase()
const pooler = skip ? undefined : database.then(({ url }) => startPooler(url))
after(async () => (await pooler)?.stop())

test('changes are found by polling, and no session of the pooler remains listening', { skip }, async () => {
  const db = await database
  const { url } = /** @type {any} */ (await pooler)
  const [through, direct] = [url, db.url].map((connectionString) => new PostgresAdapter(db.pool({ connectionString })))
  await direct.connect()
  /** @type {Record<string, string[]>} */
  const received = { one: [], two: [] }
  for (const key of Object.keys(received)) through.subscribe(key, ({ state }) => received[key].push(state))
  await through.getState('one')
  for (const state of /** @type {const} */ (['open', 'half-open', 'closed'])) {
    await direct.setState('one', { state, failureCount: 1 })
    await until(`'${state}' is received`, () => received.one.at(-1) === state)
  }
  assert.deepEqual(received, { one: ['open', 'half-open', 'closed'], two: [] })
  assert.deepEqual(
    await db.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"),
    [],
  )
  await Promise.all([through.disconnect(), direct.disconnect()])
})
