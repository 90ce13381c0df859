// @ts-check
// @configurations first
// The cost and the effect of a cache's durability, measured with the server's log and with servers that crash.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { Pool } = require('pg')
const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { startRestartableServer } = require('../support/restartable-server.js')
const { runScript } = require('../support/script.js')
const { until } = require('../support/waiting.js')

/** @typedef {import('goscope-postgres').CacheDurability} CacheDurability */

/** A server crash equals a machine crash only if the server hands nothing to the kernel before it must. */
const onLinux = { skip: process.platform === 'linux' ? false : 'it looks into /proc' }

const [fresh, logged, unlogged] = Array.from({ length: 3 }, useDatabase)
const ALL = /** @type {CacheDurability[]} */ (['full', 'async', 'unlogged'])

/** @param {typeof fresh} database @param {string} table @returns {Promise<string>} */
const persistence = async (database, table) =>
  (await (await database).query('SELECT relpersistence FROM pg_class WHERE oid = $1::regclass', [table]))[0]
    .relpersistence

/** A round of each operation that writes or reads. @param {PostgresAdapter | PostgresCacheAdapter} cache */
async function works(cache) {
  await cache.set('k', { a: 1 }, 60_000)
  await cache.set('k', { a: 2 }, 60_000)
  assert.deepEqual(await cache.get('k'), { a: 2 })
  await cache.setMany(Array.from({ length: 100 }, (_, n) => [`k${n}`, n]))
  assert.deepEqual(await cache.getMany(['k7', 'k8']), [7, 8])
  const sums = await Promise.all(['n1', 'n2', 'n1'].map((key) => cache.increment(key)))
  assert.deepEqual(sums, [1, 1, 2])
  const compared = [
    cache.compareAndSet('k', { a: 2 }, 3),
    cache.compareAndSet('k1', 1, 2),
    cache.compareAndSet('absent1', undefined, 1),
    cache.compareAndSet('absent2', undefined, 1),
  ]
  assert.deepEqual(await Promise.all(compared), [true, true, true, true])
  assert.deepEqual(await Promise.all(['k3', 'k4', 'absent3'].map((key) => cache.touch(key, 60_000))), [
    true,
    true,
    false,
  ])
  await cache.delete('k')
  assert.deepEqual(await cache.deleteMany(['k1', 'k2', 'absent1', 'absent2', 'n1']), Array(5).fill(true))
  assert.deepEqual(await Promise.all([cache.take('n2'), cache.take('absent3')]), [1, null])
  assert.equal((await cache.keys()).length, 98)
  await cache.clear()
  assert.deepEqual(await cache.keys(), [])
}

test('each durability supports every operation, and creates the matching table', async () => {
  const db = await fresh
  for (const durability of ALL) {
    const cache = new PostgresCacheAdapter(db.pool(), { tableName: `c_${durability}`, durability })
    await cache.initialize()
    await works(cache)
    assert.equal(await persistence(fresh, `c_${durability}`), durability === 'unlogged' ? 'u' : 'p')
  }
  const cacheDurability = 'unlogged'
  // Without connect: the table is created on first use.
  await works(new PostgresAdapter(db.pool(), { cacheDurability }))
  await new PostgresAdapter(db.pool(), { cacheDurability }).acquire('lock', 1000)
  assert.equal(await persistence(fresh, 'go_goscope_cache'), 'u')
  assert.equal(await persistence(fresh, 'go_goscope_locks'), 'p')
})

test('the constructor rejects an unknown durability', async () => {
  const db = await fresh
  const bad = { code: 'ERR_INVALID_ARG_VALUE', message: /urability' must be one of 'full', 'async', 'unlogged'/ }
  assert.throws(() => new PostgresAdapter(db.pool(), { cacheDurability: /** @type {any} */ ('none') }), bad)
  assert.throws(() => new PostgresCacheAdapter(db.pool(), { durability: /** @type {any} */ (true) }), bad)
})

test('an existing table is used unchanged; one warning is given if it is logged instead of unlogged', async () => {
  const db = await logged
  await new PostgresAdapter(db.pool()).connect()
  const [warnings] = await runScript(
    db.url,
    `
    const warnings = []
    process.on('warning', (warning) => warnings.push([warning.code, warning.message, warning.detail]))
    // Not on the process's stderr, which must stay empty.
    process.removeAllListeners('warning')
    process.on('warning', (warning) => warnings.push([warning.code, warning.message, warning.detail]))
    for (const cacheDurability of ['unlogged', 'unlogged', 'async']) {
      const adapter = new PostgresAdapter(pool, { cacheDurability })
      await adapter.connect()
      await adapter.set('k', 1)
    }
    await sleep(0)
    say(warnings)
    await adapter.disconnect()`,
    { flags: ['--no-warnings'] },
  )
  assert.equal(warnings.length, 1)
  const [code, message, detail] = warnings[0]
  assert.equal(code, 'GOSCOPE_CACHE_IS_LOGGED')
  assert.match(message, /go_goscope_cache/)
  assert.equal(await persistence(logged, 'go_goscope_cache'), 'p')
  await db.query(detail.match(/ALTER TABLE .* SET UNLOGGED/)[0])
  assert.equal(await persistence(logged, 'go_goscope_cache'), 'u')
  await works(new PostgresAdapter(db.pool(), { cacheDurability: 'full' }))
})

test('writes to an unlogged table add almost nothing to the log; writes to the others do', async () => {
  const db = await unlogged
  const values = Array.from({ length: 200 }, (_, n) => /** @type {[string, string]} */ ([`k${n}`, 'v'.repeat(1_000)]))
  /** @type {Record<string, number>} */
  const bytes = {}
  for (const durability of ALL) {
    const cache = new PostgresCacheAdapter(db.pool(), { tableName: `w_${durability}`, durability })
    await cache.initialize()
    const [{ lsn }] = await db.query('SELECT pg_current_wal_insert_lsn() AS lsn')
    await cache.setMany(values)
    const sql = `SELECT sum(pg_column_size(value))::int AS stored, pg_current_wal_insert_lsn() - $1::pg_lsn AS logged
                   FROM w_${durability}`
    const [{ logged }] = await db.query(sql, [lsn])
    bytes[durability] = Number(logged)
  }
  console.log(`# figure: bytes in the log for 200 entries: ${JSON.stringify(bytes)}`)
  // The server may log something of its own meanwhile. The keys and rows of the entries alone exceed this limit.
  assert.ok(bytes.unlogged < bytes.full / 3, JSON.stringify(bytes))
  assert.ok(bytes.async > bytes.full / 3, JSON.stringify(bytes))
})

/** For this time, no background process flushes the log by itself. */
const WRITER_DELAY_MS = 10_000

test(
  'a crash loses the last writes of an asynchronous cache, all of an unlogged one, and nothing else',
  onLinux,
  async () => {
    const server = await startRestartableServer({ wal_writer_delay: `${WRITER_DELAY_MS}ms` })
    try {
      const pool = () => new Pool({ connectionString: server.url, max: 1 }).on('error', () => {})
      const adapters = ALL.map(
        (durability) => new PostgresCacheAdapter(pool(), { tableName: `t_${durability}`, durability }),
      )
      const both = new PostgresAdapter(pool(), { cacheDurability: 'async' })
      const [full, relaxed, volatile] = adapters
      await both.connect()
      for (const adapter of adapters) {
        await adapter.initialize()
        await adapter.set('early', 1)
      }
      // A commit to disk flushes all of the log before it.
      await full.set('flushed', 1)

      for (let tries = 1; ; tries++) {
        const began = performance.now()
        await volatile.set('late', 1)
        await full.set('late', tries)
        // On the connection of relaxed writes, other writes than the cache's still wait for the disk.
        await both.set('k', 1)
        assert.notEqual(await both.acquire(`lock${tries}`, 600_000, 'me'), null)
        // Several kinds of write, none of which may wait for the disk.
        await relaxed.set('late', tries)
        await relaxed.setMany([
          ['late2', tries],
          ['late3', tries],
        ])
        await relaxed.increment('sum')
        await relaxed.incrementEntry('sum')
        await relaxed.compareAndSet(`new${tries}`, undefined, 1)
        await relaxed.compareAndSet(`new${tries}`, 1, 2)
        await relaxed.touch('early', 600_000)
        await relaxed.delete('early')
        assert.equal(await relaxed.get('late3'), tries)
        await server.crash()
        const took = performance.now() - began
        await server.start()
        const [late, late2, late3, sum, added, early] = await answered(() =>
          relaxed.getMany(['late', 'late2', 'late3', 'sum', `new${tries}`, 'early']),
        )
        assert.deepEqual(await answered(() => full.getMany(['early', 'flushed', 'late'])), [1, 1, tries])
        assert.equal(await answered(() => both.extend(`lock${tries}`, 600_000, 'me')), true)
        assert.deepEqual(await answered(() => volatile.getMany(['early', 'late'])), [null, null])
        await answered(() => volatile.set('early', 1))
        // If the machine stalled, the server may have written it meanwhile.
        if (took < WRITER_DELAY_MS / 4 || tries > 5) {
          assert.deepEqual([late, late2, late3, sum, added, early], [null, null, null, null, null, 1])
          break
        }
        await relaxed.clear()
        await relaxed.set('early', 1)
        await full.set('flushed', 1)
      }
      await Promise.all(adapters.map((adapter) => adapter.get('early')))
    } finally {
      await server.stop()
    }
  },
)

/**
 * @template T
 * @param {() => Promise<T>} call
 * @returns {Promise<T>}
 */
async function answered(call) {
  /** @type {T[]} */
  const answers = []
  await until('an answer after the restart', async () => {
    try {
      answers.push(await call())
      return true
    } catch {
      await sleep(20)
      return false
    }
  })
  return answers[0]
}
