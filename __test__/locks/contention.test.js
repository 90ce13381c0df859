// @ts-check
// @configurations every
// Which contender gets a contested lock: adapters and processes; absent, expired and just released rows.
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { inProcesses } = require('../support/processes.js')
const { until } = require('../support/waiting.js')
const { without } = require('../support/route.js')

const PROCESSES = 6
const CONTENDERS = 64

const database = useDatabase()

/** @param {string} sql makes the rows that the contenders find */
const contest = async (sql) => {
  const db = await database
  await new PostgresAdapter(db.pool()).connect()
  await db.query('TRUNCATE go_goscope_locks')
  await db.query(sql)
  const keys = Array.from({ length: 20 }, (_, n) => `k${n}`)
  const each = Math.ceil(CONTENDERS / PROCESSES)
  const won = await inProcesses(PROCESSES, 'contend', { url: db.url, keys, each })
  const winners = won.flat()
  assert.deepEqual(winners.map(([key]) => key).sort(), [...keys].sort(), 'each key has exactly one winner')
  const rows = await db.query('SELECT key, owner FROM go_goscope_locks')
  assert.deepEqual(
    new Map(rows.map(({ key, owner }) => [key, owner])),
    new Map(winners.map(([key, owner]) => [`lock:${key}`, owner])),
    'the rows contain the winners',
  )
}

test('66 contenders in 6 processes for absent locks: one wins each, the rest get null', async () => {
  await contest('SELECT 1')
})

test('66 contenders in 6 processes for expired locks: one wins each, the rest get null', async () => {
  await contest(`INSERT INTO go_goscope_locks
                 SELECT 'lock:k' || n, 'gone', timezone('UTC', now()) - interval '1 second' FROM generate_series(0, 19) AS n`)
})

test('64 contenders over 8 adapters in one process, repeatedly over one just released lock', async () => {
  const db = await database
  const adapters = Array.from({ length: 8 }, () => new PostgresAdapter(db.pool({ max: 4 })))
  await adapters[0].connect()
  for (let round = 0; round < 25; round++) {
    const handles = await Promise.all(
      Array.from({ length: CONTENDERS }, (_, n) => adapters[n % 8].acquire('released', 600_000, `${round}:${n}`)),
    )
    const winners = handles.filter((handle) => handle !== null)
    assert.equal(winners.length, 1, `round ${round}`)
    await winners[0]?.release()
  }
})

test('64 contenders while a holder releases: never an error, never two', async () => {
  const db = await database
  const adapters = Array.from({ length: 8 }, () => new PostgresAdapter(db.pool({ max: 4 })))
  for (let round = 0; round < 15; round++) {
    const holder = await adapters[0].acquire('handed-over', 600_000, 'holder')
    assert.ok(holder)
    const tries = Array.from({ length: CONTENDERS }, (_, n) => adapters[n % 8].acquire('handed-over', 600_000, `${n}`))
    const [handles] = await Promise.all([Promise.all(tries), holder.release()])
    const winners = handles.filter((handle) => handle !== null)
    assert.ok(winners.length <= 1, `round ${round}: ${winners.length} winners`)
    await winners[0]?.release()
  }
})

test('no update is lost under the lock, over 6 processes', async () => {
  const db = await database
  await db.query('CREATE TABLE counter (n int)')
  await db.query('INSERT INTO counter VALUES (0)')
  const rounds = 25
  await inProcesses(PROCESSES, 'count', { url: db.url, rounds })
  assert.equal((await db.query('SELECT n FROM counter'))[0].n, PROCESSES * rounds)
})

test('processes that clean up and acquire the same locks do not deadlock', { skip: without.sessions }, async () => {
  const db = await database
  const log = async () =>
    (await db.query('SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()'))[0].deadlocks
  const before = await log()
  const keys = Array.from({ length: 40 }, (_, n) => `sweep${n}`)
  const pools = Array.from({ length: 6 }, () => db.pool({ max: 4, application_name: 'sweeper' }))
  const adapters = pools.map((pool) => new PostgresAdapter(pool))
  for (let round = 0; round < 10; round++) {
    const shuffled = () => [...keys].sort(() => Math.random() - 0.5)
    const acquire = async (/** @type {PostgresAdapter} */ adapter) => {
      const all = shuffled()
      // After a pause the next of them sweeps.
      for (const part of [all.slice(0, 20), all.slice(20)]) {
        await Promise.all(part.map((key) => adapter.acquire(key, 5)))
        await sleep(2)
      }
    }
    await Promise.all(adapters.map(acquire))
    await sleep(8)
  }
  // A session has reported all of its statistics when it ends. PostgreSQL 13 takes a moment to publish them.
  await Promise.all(adapters.map((adapter) => adapter.disconnect()))
  await until('the end of the sessions', async () => {
    const left = await db.query("SELECT FROM pg_stat_activity WHERE application_name = 'sweeper'")
    return left.length === 0
  })
  await sleep(1_200)
  assert.equal(await log(), before)
})
