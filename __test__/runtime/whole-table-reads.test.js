// @ts-check
// @configurations every
// Reads of a whole table (`keys`, `stats`) and `load(id)` wait for the earlier writes that they must see. They delay no
// later call.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { inTime, until } = require('../support/waiting.js')
const { without } = require('../support/route.js')

const database = useDatabase({ cacheTables: ['scanned'] })

/**
 * Whether a promise is still pending after other work has been done.
 *
 * @param {Promise<unknown>} promise
 */
async function isPending(promise) {
  const pending = Symbol('pending')
  return (await Promise.race([promise, Promise.resolve(pending)])) === pending
}

test('keys() and stats() behind a blocked write finally see it, and later calls do not wait', async () => {
  const db = await database
  const cache = new PostgresCacheAdapter(db.pool(), { tableName: 'scanned' })
  await cache.initialize()
  await cache.set('blocked', 'old')
  const holder = await db.hold("SELECT FROM scanned WHERE key = 'blocked' FOR UPDATE")
  const write = cache.delete('blocked')
  const reads = [cache.keys(), cache.stats().then(({ size }) => size)]
  const after = Array.from({ length: 50 }, (_, n) => [cache.set(`key ${n}`, n), cache.get(`key ${n}`)]).flat()
  const values = await inTime('the calls after the reads', Promise.all(after))
  assert.deepEqual(
    values.filter((_, at) => at % 2 === 1),
    Array.from({ length: 50 }, (_, n) => n),
  )
  for (const read of reads) assert.ok(await isPending(read), 'a read overtook a write that it must see')
  await holder.commit()
  await write
  const [keys, size] = await inTime('the reads', Promise.all(reads))
  assert.ok(!(/** @type {string[]} */ (keys).includes('blocked')))
  assert.equal(size, 50)
})

test('clear() still waits for earlier reads, and delays later calls', async () => {
  const cache = new PostgresCacheAdapter((await database).pool(), { tableName: 'scanned' })
  await cache.initialize()
  await cache.clear()
  for (let round = 0; round < 20; round++) {
    const [, before, , after, missed] = await Promise.all([
      cache.set('a', 1),
      cache.keys(),
      cache.clear(),
      cache.keys(),
      cache.get('a'),
    ])
    assert.deepEqual([before, after, missed], [['a'], [], null])
  }
})

for (const max of [2, 3]) {
  test(`a slow stats() shares its connection with no get or set, max ${max}`, {
    skip: without.sessions || without.ddl,
  }, async () => {
    const db = await database
    // Replaces the server's own function, which only reads of a whole table call. They take as long as the test needs.
    await db.query(`CREATE FUNCTION public.starts_with(text, text) RETURNS boolean LANGUAGE sql VOLATILE
      AS 'SELECT pg_advisory_lock_shared(7) IS NOT NULL AND pg_advisory_unlock_shared(7) AND pg_catalog.starts_with($1, $2)'`)
    const options = '-c search_path=public,pg_catalog'
    const pool = db.pool({ max, options })
    const cache = new PostgresCacheAdapter(pool, { tableName: 'scanned', keyPrefix: 'slow:' })
    await cache.initialize()
    await cache.set('k', 1)
    await Promise.all([cache.keys(), cache.get('k')])
    const holder = await db.hold('SELECT pg_advisory_lock(7)')
    const scans = [cache.stats(), cache.keys(), cache.keys('%'), cache.stats()]
    for (let round = 0; round < 20; round++) {
      const calls = Array.from({ length: 40 }, (_, n) => (n % 2 ? cache.get('k') : cache.set(`k${n}`, n)))
      await inTime('the calls beside the scans', Promise.all(calls))
    }
    await until('a scan waits', async () => {
      const [{ n }] = await db.query(
        `SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      )
      return n > 0
    })
    for (const scan of scans) assert.ok(await isPending(scan))
    await holder.rollback()
    await inTime('the scans', Promise.all(scans))
    await db.query('DROP FUNCTION public.starts_with(text, text)')
    await pool.end()
  })
}

test('load() waits for the writes that can change its checkpoint, and for no other write', async () => {
  const db = await database
  const checkpoints = new PostgresAdapter(db.pool())
  const save = (/** @type {string} */ id, /** @type {string} */ taskId, /** @type {unknown} */ data) =>
    checkpoints.save({ id, taskId, sequence: 1, timestamp: 1, progress: 0, data })
  await Promise.all(['a', 'b', 'c'].map((task) => save(`${task}1`, task, 'old')))
  const holder = await db.hold("SELECT FROM go_goscope_checkpoints WHERE id = 'a1' FOR UPDATE")
  const saved = save('a1', 'a', 'new')
  const loadA = checkpoints.load('a1')
  const other = await inTime('the load of another id', checkpoints.load('b1'))
  assert.equal(other?.data, 'old')
  const deleted = checkpoints.deleteAll('a')
  const loadB = checkpoints.load('b1')
  await inTime(
    'the calls after the loads',
    Promise.all([save('b2', 'b', 1), checkpoints.list('b'), checkpoints.cleanup('c', 1), checkpoints.deleteAll('d')]),
  )
  assert.ok(await isPending(loadA), 'a load overtook the save before it')
  assert.ok(await isPending(loadB), 'a load overtook a deleteAll before it')
  await holder.commit()
  await Promise.all([saved, deleted])
  assert.equal((await inTime('the load', loadB))?.data, 'old')
  await loadA
})
