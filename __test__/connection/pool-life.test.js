// @ts-check
// @configurations first
// Connections open and close with the application's pool.
'use strict'

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { test } = require('node:test')
const { PostgresAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()
const ROOT = require('node:path').join(__dirname, '../..')

/** The processes of an application's sessions. */
async function sessions(/** @type {string} */ name) {
  const rows = await (await database).query(
    'SELECT pid FROM pg_stat_activity WHERE application_name = $1 ORDER BY pid',
    [name],
  )
  return rows.map(({ pid }) => pid)
}

for (const [form, end] of /** @type {[string, (pool: any) => Promise<unknown>][]} */ ([
  ['a promise', (pool) => pool.end()],
  ['a callback', (pool) => new Promise((ended) => pool.end(ended))],
])) {
  test(`the application's own pool.end(), with ${form}, ends the native connections at once`, async () => {
    const db = await database
    const name = `ended with ${form}`
    const pool = db.pool({ application_name: name, idleTimeoutMillis: 0 })
    const adapter = new PostgresAdapter(pool)
    const results = new PostgresIdempotencyAdapter(pool)
    await Promise.all([adapter.set('x', 1), results.set('x', 1)])
    const underWay = Promise.all(Array.from({ length: 50 }, (_, n) => adapter.set(`under way ${n}`, n)))
    const ending = end(pool)
    assert.equal(pool.ending, true)
    await assert.rejects(adapter.get('x'), { message: 'Cannot use a pool after calling end on the pool' })
    await ending
    await underWay
    await until('the server has no session left', async () => (await sessions(name)).length === 0)
    assert.equal(pool.ended, true)
    assert.equal(adapter.isConnected(), false)
    await adapter.disconnect()
    await assert.rejects(pool.end(), { message: 'Called end on pool more than once' })
  })
}

test('a caller that makes one call after another uses one connection', async () => {
  const db = await database
  const counts = []
  for (let round = 0; round < 12; round++) {
    const names = Array.from({ length: 8 }, (_, n) => `one after the other ${round} ${n}`)
    const pools = names.map((name) => db.pool({ application_name: name }))
    await Promise.all(
      pools.map(async (pool) => {
        const adapter = new PostgresAdapter(pool)
        await adapter.connect()
        for (let n = 0; n < 5; n++) await adapter.get('x')
      }),
    )
    for (const name of names) counts.push((await sessions(name)).length)
    await Promise.all(pools.map((pool) => pool.end()))
  }
  assert.deepEqual([...new Set(counts)], [1], String(counts))
})

test('disconnect and pool.end() at once: both resolve', async () => {
  const pool = (await database).pool()
  const adapter = new PostgresAdapter(pool)
  await adapter.set('x', 1)
  await Promise.all([adapter.disconnect(), pool.end().catch(() => {}), adapter.disconnect()])
  assert.equal(pool.ended, true)
})

test('maxUses replaces a connection after so many checkouts', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool({ application_name: 'uses', max: 1, maxUses: 3 }))
  const pids = new Set()
  for (let n = 0; n < 12; n++) {
    await adapter.has('x')
    for (const pid of await sessions('uses')) pids.add(pid)
  }
  assert.ok(pids.size >= 3, `${pids.size} connections for 12 calls`)
})

test('maxLifetimeSeconds replaces a connection', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool({ application_name: 'lifetime', max: 1, maxLifetimeSeconds: 1 }))
  await adapter.has('x')
  const [first] = await sessions('lifetime')
  await until('another connection serves', async () => {
    await adapter.has('x')
    const now = await sessions('lifetime')
    return now.length > 0 && !now.includes(first)
  })
})

test('min keeps that many idle connections open', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool({ application_name: 'least', min: 1, max: 4, idleTimeoutMillis: 100 }))
  const holder = await db.plain.connect()
  await adapter.set('held', 0)
  await holder.query("BEGIN; SELECT * FROM go_goscope_cache WHERE key = 'cache:held' FOR UPDATE")
  // A call that waits for the row has a connection to itself.
  const blocked = adapter.set('held', 1)
  await db.untilWaiting(1)
  await until('a second connection is open', async () => {
    await adapter.has('x')
    return (await sessions('least')).length >= 2
  })
  await holder.query('ROLLBACK')
  holder.release()
  await blocked
  await until('one is left', async () => (await sessions('least')).length === 1)
  const [kept] = await sessions('least')
  await new Promise((resolve) => setTimeout(resolve, 500))
  assert.deepEqual(await sessions('least'), [kept])
})

for (const [title, code] of [
  ['has made a call', 'await adapter.set("x", 1)'],
  ['was never used', ''],
  ['has ended its pool', 'await adapter.set("x", 1); await pool.end()'],
  ['was disconnected', 'await adapter.set("x", 1); await adapter.disconnect()'],
  ['holds a lock', 'await adapter.acquire("exit", 60000)'],
]) {
  test(`a process whose adapter ${title} exits by itself, with code 0`, async () => {
    const script = `
      const { Pool } = require('pg')
      const { PostgresAdapter } = require('goscope-postgres')
      const pool = new Pool({ connectionString: process.argv[1], idleTimeoutMillis: 0 })
      const adapter = new PostgresAdapter(pool)
      ;(async () => { ${code} })()`
    const child = spawn(process.execPath, ['-e', script, (await database).url], {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    // A process that does not exit is killed, and counts as failed.
    const late = setTimeout(() => child.kill('SIGKILL'), 60_000)
    const [status, signal] = await new Promise((resolve) => child.once('exit', (...how) => resolve(how)))
    clearTimeout(late)
    assert.deepEqual([status, signal], [0, null])
  })
}
