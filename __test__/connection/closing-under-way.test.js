// @ts-check
// @configurations every
// An adapter ends while others depend on it: work that closes the adapter of other work, and locks that are granted
// while their adapter is being closed.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { inTime } = require('../support/waiting.js')

const database = useDatabase()
const CLOSED = { code: 'ERR_ADAPTER_CLOSED' }
const ENDED = { message: 'Cannot use a pool after calling end on the pool' }

/**
 * Ways to do work that the end of an adapter waits for.
 *
 * @type {[string, any, (adapter: any, work: () => unknown) => Promise<any>][]}
 */
const WORK = [
  ['run()', PostgresIdempotencyAdapter, (adapter, work) => adapter.run('work', work)],
  ['getOrSet()', PostgresCacheAdapter, (adapter, work) => adapter.getOrSet('work', work)],
]

/** A point that several tasks must reach before any of them continues. */
function meeting(/** @type {number} */ count) {
  let isComplete = () => {}
  const complete = new Promise((/** @type {(nothing: void) => void} */ resolve) => (isComplete = resolve))
  return () => {
    if (--count === 0) isComplete()
    return complete
  }
}

for (const [name, Class, work] of WORK) {
  for (const method of ['close', 'disconnect']) {
    for (const count of [2, 3]) {
      test(`work in ${name} of ${count} adapters that each ${method}() the next one ends`, async () => {
        const db = await database
        const keyPrefix = `${name} ${method} ${count}:`
        const adapters = Array.from(
          { length: count },
          (_, n) => new Class(db.pool(), { keyPrefix: `${keyPrefix}${n}:` }),
        )
        const haveBegun = meeting(count)
        const results = adapters.map((adapter, n) =>
          work(adapter, async () => {
            await haveBegun()
            await adapters[(n + 1) % count][method]()
            // Calls of the work itself are not refused before the work has ended.
            return (await adapter.get('other')) ?? n
          }),
        )
        const all = await inTime('the work', Promise.all(results))
        assert.deepEqual(
          all,
          adapters.map((_, n) => n),
        )
        await inTime('the end of all', Promise.all(adapters.map((adapter) => adapter[method]())))
        for (const adapter of adapters) await assert.rejects(adapter.get('other'), method === 'close' ? CLOSED : ENDED)
      })
    }
  }

  test(`work in ${name} that closes another adapter waits for the work there`, async () => {
    const db = await database
    const [adapter, other] = [new Class(db.pool()), new Class(db.pool(), { keyPrefix: `${name} other:` })]
    let isOver = false
    let goOn = () => {}
    const going = new Promise((/** @type {(nothing: void) => void} */ resolve) => (goOn = resolve))
    const begun = meeting(2)
    const there = work(other, async () => {
      await begun()
      await going
      await other.get('other')
      isOver = true
      return 'done'
    })
    const here = work(adapter, async () => {
      await begun()
      const closing = other.close()
      goOn()
      await closing
      return isOver
    })
    assert.equal(await inTime('the work', here), true)
    await there
  })
}

test('holders of locks of two adapters that each close the other adapter end', async () => {
  const db = await database
  const adapters = [new PostgresAdapter(db.pool()), new PostgresAdapter(db.pool())]
  const hold = meeting(2)
  const work = adapters.map(async (adapter, n) => {
    await adapter.lock(`crosswise:${n}`, { ttl: 1_000 })
    await hold()
    await adapters[1 - n]?.close()
  })
  await inTime('the work', Promise.all(work))
})

/** @type {[string, (adapter: PostgresAdapter, key: string) => Promise<unknown>][]} */
const TAKES = [
  ['lock()', (adapter, key) => adapter.lock(key, { ttl: 600_000 })],
  ['lock() as a provider', (adapter, key) => adapter.lock.acquire(key, 600_000)],
  ['acquire()', (adapter, key) => adapter.acquire(key, 600_000)],
]

for (const [name, take] of TAKES) {
  for (const method of /** @type {const} */ (['close', 'disconnect'])) {
    test(`a lock that ${name} is granted during ${method}() is free when the call resolves`, async () => {
      const db = await database
      const pool = db.pool()
      const [adapter, other] = [new PostgresAdapter(pool), new PostgresAdapter(pool)]
      await adapter.connect()
      const key = `${name} ${method}`
      const insert = `INSERT INTO go_goscope_locks (key, owner, expires_at) VALUES ($1, 'other', '2000-01-01')`
      const held = await db.hold(insert, [`lock:${key}`])
      const refused = assert.rejects(take(adapter, key), method === 'close' ? CLOSED : ENDED)
      await db.untilWaiting()
      const closing = adapter[method]()
      await held.rollback()
      await inTime(`${method}()`, closing)
      const rows = await db.query('SELECT owner FROM go_goscope_locks WHERE key = $1', [`lock:${key}`])
      assert.deepEqual(rows, [])
      await inTime('the call', refused)
      if (method === 'close') assert.equal(await other.get('k'), null)
    })
  }
}

test('an owner named by the application keeps a lock that is granted during close()', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool())
  await adapter.connect()
  const acquiring = adapter.acquire('named', 60_000, 'me')
  await adapter.close()
  assert.ok(await acquiring)
  const later = new PostgresAdapter(db.pool())
  assert.equal(await later.extend('named', 60_000, 'me'), true)
})
