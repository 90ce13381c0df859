// @ts-check
// @configurations first
// Through PgBouncer in transaction mode, in which clients share sessions.
'use strict'

const assert = require('node:assert/strict')
const { test, after } = require('node:test')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { missing, startPooler } = require('../../scripts/servers/pooler.js')
const { startProxy } = require('../support/proxy.js')
const { inProcesses } = require('../support/processes.js')
const { failureOf } = require('../support/drivers.js')
const { inTime } = require('../support/waiting.js')

const skip = missing || false
const database = useDatabase()
const pooler = skip ? undefined : database.then(({ url }) => startPooler(url))
after(async () => (await pooler)?.stop())

test('the operations work', { skip }, async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool({ connectionString: /** @type {any} */ (await pooler).url }))
  await adapter.connect()
  for (let round = 0; round < 5; round++) {
    const handle = await adapter.acquire('x', 60_000)
    assert.equal(await handle?.isValid(), true)
    assert.equal(await handle?.extend(60_000), true)
    await handle?.release()
    await Promise.all(Array.from({ length: 100 }, (_, n) => adapter.set(`k${n}`, n, 60_000)))
    assert.deepEqual(
      await Promise.all(Array.from({ length: 100 }, (_, n) => adapter.get(`k${n}`))),
      Array.from({ length: 100 }, (_, n) => n),
    )
    assert.equal(await adapter.recordFailure('c', 100), round + 1)
  }
})

test('no process ever executes a statement of another: reads delete nothing', { skip }, async () => {
  const db = await database
  const { url } = /** @type {any} */ (await pooler)
  const adapter = new PostgresAdapter(db.pool())
  await Promise.all(Array.from({ length: 50 }, (_, n) => adapter.set(`kept${n}`, n)))
  await inProcesses(4, 'readOrDelete', { url, rounds: 60 })
  const kept = await db.query("SELECT count(*)::int AS n FROM go_goscope_cache WHERE key LIKE 'cache:kept%'")
  assert.equal(kept[0].n, 50)
})

test('with connect hooks, shared sessions keep their settings, and no statement is mistaken for another', {
  skip,
}, async () => {
  const db = await database
  const few = await startPooler(db.url, 'ignore_startup_parameters = options\ndefault_pool_size = 2')
  try {
    const adapter = new PostgresAdapter(db.pool())
    await adapter.set('kept', 1)
    await inProcesses(1, 'deleteAbsent', { url: few.url })
    const [found] = await inProcesses(1, 'findKept', { url: few.url })
    assert.deepEqual(found, [true, true, true, true])
    assert.equal(await adapter.get('kept'), 1)
    for (const session of await bothSessions(few.url)) {
      assert.deepEqual(session, { enable_seqscan: 'on', jit: 'on', plan_cache_mode: 'auto', mark: null, prepared: '0' })
    }
  } finally {
    await few.stop()
  }
})

/**
 * What other clients find in the sessions of a pooler that has two sessions for all clients.
 *
 * @param {string} url
 */
async function bothSessions(url) {
  const clients = [0, 1].map(() => new pg.Client({ connectionString: url }))
  const sessions = []
  for (const client of clients) {
    await client.connect()
    await client.query('BEGIN')
    const { rows } = await client.query(`SELECT current_setting('enable_seqscan') AS enable_seqscan,
      current_setting('jit') AS jit, current_setting('plan_cache_mode') AS plan_cache_mode,
      nullif(current_setting('goscope_postgres.session', true), '') AS mark,
      (SELECT count(*) FROM pg_prepared_statements) AS prepared`)
    sessions.push(rows[0])
  }
  await Promise.all(clients.map((client) => client.end()))
  return sessions
}

test('a pooler that ignores the timeouts that pg sends, and no other option, is used with them', { skip }, async () => {
  const db = await database
  const ignored = 'statement_timeout,lock_timeout,idle_in_transaction_session_timeout'
  const strict = await startPooler(db.url, `ignore_startup_parameters = ${ignored}`)
  try {
    const timeouts = { statement_timeout: 5000, lock_timeout: 4000, idle_in_transaction_session_timeout: 3000 }
    const pool = db.pool({ connectionString: strict.url, ...timeouts })
    await pool.query('SELECT 1')
    const adapter = new PostgresAdapter(pool)
    await adapter.set('strict', 1)
    assert.equal(await adapter.get('strict'), 1)
    await adapter.disconnect()
  } finally {
    await strict.stop()
  }
})

test('a wrong password is tried once', { skip }, async () => {
  const db = await database
  const strict = await startPooler(db.url, '')
  try {
    for (const [server, code] of [
      [strict.url, '08P01'],
      [db.url, '28P01'],
    ]) {
      const proxy = await startProxy(server)
      const wrong = new URL(proxy.url)
      wrong.password = 'wrong'
      const error = await failureOf(new PostgresAdapter(db.pool({ connectionString: wrong.href })).get('x'))
      // PgBouncer has refused the options before. With the options, it asks for no password.
      assert.deepEqual([error.code, proxy.messages.match(/^p{1,2}$/)?.length], [code, 1])
      assert.equal(proxy.connections, code === '28P01' ? 1 : 2)
    }
  } finally {
    await strict.stop()
  }
})

test('a pooler that refuses start-up options is used without them', { skip }, async () => {
  const db = await database
  const strict = await startPooler(db.url, '')
  try {
    const adapter = new PostgresAdapter(db.pool({ connectionString: strict.url }))
    for (let n = 0; n < 5; n++) {
      await adapter.set('strict', n)
      assert.equal(await adapter.get('strict'), n)
    }
    await adapter.disconnect()
  } finally {
    await strict.stop()
  }
})

test('a connection abandoned during a hook query leaves its server connection to other clients', {
  skip,
}, async () => {
  const db = await database
  const few = await startPooler(db.url, 'ignore_startup_parameters = options\ndefault_pool_size = 2')
  try {
    for (const sql of [
      'SELECT pg_sleep(600)',
      'CREATE TEMPORARY TABLE given_up (n int) ON COMMIT DROP; COPY given_up FROM STDIN',
    ]) {
      let asked = 0
      const pool = db.pool({
        connectionString: few.url,
        max: 1,
        connectionTimeoutMillis: 2000,
        .../** @type {any} */ ({
          onConnect: (/** @type {any} */ client) => {
            asked++
            return client.query(sql)
          },
        }),
      })
      const adapter = new PostgresAdapter(pool)
      while (asked < 3) await failureOf(adapter.has('x'))
      const other = new PostgresAdapter(db.pool({ connectionString: few.url }))
      assert.equal(await inTime('the call of another client', other.has('x')), false)
      await Promise.all([other, adapter].map((each) => each.disconnect()))
    }
  } finally {
    await few.stop()
  }
})
