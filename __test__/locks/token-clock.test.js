// @ts-check
// @configurations first
// The check of a fencing token compares the end of the lease with the server's clock, whatever the type of the column.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()

test('a token is checked by the same clock after the column became TIMESTAMPTZ, in every session time zone', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool({ connectionString: db.ownUrl }))
  await adapter.connect()
  const lease = await adapter.acquire('k', 60_000)
  const client = await db.plain.connect()
  const check = () => client.query('SELECT go_goscope_check_fencing_token($1, $2)', ['k', lease?.fencingToken])
  const endsIn = (/** @type {string} */ interval, clock = "timezone('UTC', clock_timestamp())") =>
    client.query(`UPDATE go_goscope_locks SET expires_at = ${clock} + INTERVAL '${interval}'`)
  const tryAll = async (/** @type {string | undefined} */ clock = undefined) => {
    for (const zone of ['UTC', 'Asia/Tokyo', 'America/New_York']) {
      await client.query(`SET TimeZone = '${zone}'`)
      await endsIn('1 minute', clock)
      await check()
      await endsIn('-1 second', clock)
      await assert.rejects(check(), { code: 'GF001' }, zone)
      await client.query("UPDATE go_goscope_locks SET expires_at = 'infinity'")
      await check()
    }
  }
  await tryAll()
  await client.query(`UPDATE go_goscope_locks SET expires_at = timezone('UTC', now());
    ALTER TABLE go_goscope_locks ALTER COLUMN expires_at TYPE TIMESTAMPTZ USING expires_at AT TIME ZONE 'UTC'`)
  await tryAll('clock_timestamp()')
  client.release(true)
})
