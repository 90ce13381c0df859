// @ts-check
// What holds for each integration with another library.
'use strict'

const assert = require('node:assert/strict')
const { PostgresAdapter } = require('goscope-postgres')
const { until } = require('./waiting.js')

/** A server that refuses connections. */
const REFUSING = 'postgres://nobody@127.0.0.1:1/nowhere'

/**
 * Closing an integration ends what it has opened itself, and nothing that was given.
 *
 * @param {Awaited<ReturnType<typeof import('./database.js').useDatabase>>} db
 * @param {(source: any) => { use: () => Promise<unknown>, close: () => Promise<unknown> }} open
 */
async function assertEndsItsOwn(db, open) {
  const adapter = new PostgresAdapter(db.pool())
  const onAdapter = open(adapter)
  await onAdapter.use()
  await onAdapter.close()
  await adapter.ping()

  const pool = db.pool()
  const onPool = open(pool)
  await onPool.use()
  await onPool.close()
  await assert.rejects(onPool.use(), { code: 'ERR_ADAPTER_CLOSED' })
  assert.equal(pool.ending, false)
  await new PostgresAdapter(pool).ping()

  const url = new URL(db.url)
  url.searchParams.set('application_name', 'its own')
  const sessions = async () => {
    const sql = "SELECT count(*)::int FROM pg_stat_activity WHERE datname = $1 AND application_name = 'its own'"
    return (await db.query(sql, [db.name]))[0].count
  }
  const onUrl = open(url.href)
  await onUrl.use()
  assert.ok((await sessions()) > 0)
  await onUrl.close()
  await until('its connections are closed', async () => (await sessions()) === 0)
  await onUrl.close()
}

/**
 * Options of a table are refused if an adapter is given, and misspelt ones in any case.
 *
 * @param {(source: any, options: any) => unknown} make
 */
function assertRefusesOptions(make) {
  const cache = new PostgresAdapter(REFUSING)
  for (const options of [{ tableName: 'other' }, { createTables: false }, { durability: 'async' }]) {
    const [name] = Object.keys(options)
    const message = new RegExp(`'options.${name}' is for a table of its own, and an adapter was given`)
    assert.throws(() => make(cache, options), { code: 'ERR_INVALID_ARG_VALUE', message })
  }
  assert.throws(() => make(cache, { tablename: 'other' }), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /'tableName' is meant/,
  })
  assert.throws(() => make(42, {}), { code: 'ERR_INVALID_ARG_TYPE' })
}

module.exports = { REFUSING, assertEndsItsOwn, assertRefusesOptions }
