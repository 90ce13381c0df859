// @ts-check
// @configurations first
// getOrSet: one caller of all processes computes a missing value. A stale value is returned and refreshed.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { assertLease } = require('../support/leases.js')
const { Worker, inProcesses } = require('../support/processes.js')
const { inTime, until } = require('../support/waiting.js')

const database = useDatabase()
const witness = database.then((db) =>
  db.query('CREATE TABLE witness (id serial PRIMARY KEY, key text NOT NULL, by int NOT NULL)'),
)

/** How often each of these keys was computed. @param {string[]} keys */
async function computations(keys) {
  await witness
  const sql =
    'SELECT count(id)::int AS n FROM unnest($1::text[]) AS wanted LEFT JOIN witness ON key = wanted GROUP BY wanted'
  return (await (await database).query(sql, [keys])).map(({ n }) => n)
}

for (const own of [false, true]) {
  const title = own ? 'PostgresCacheAdapter' : 'PostgresAdapter'
  const table = own ? 'cache' : 'go_goscope_cache'
  const stored = (/** @type {string} */ key) => (own ? `p_%:${key}` : `p_%:cache:${key}`)
  const name = (/** @type {string} */ key) => `${own}:${key}`
  const make = async () => {
    const pool = (await database).pool()
    return new (own ? PostgresCacheAdapter : PostgresAdapter)(pool, { keyPrefix: 'p_%:' })
  }

  test(`${title}: a hit computes nothing; a miss computes and stores for ttl and staleTtl`, async () => {
    const db = await database
    const cache = await make()
    let computed = 0
    const compute = async () => ({ at: ++computed, date: new Date(0) })
    const since = await db.clock()
    const first = await cache.getOrSet('k', compute, { ttl: 40_000, staleTtl: 20_000 })
    // The same value as from the cache, also for the caller that computed it.
    assert.deepStrictEqual(first, { at: 1, date: '1970-01-01T00:00:00.000Z' })
    await assertLease(db, table, stored('k'), { ttl: 60_000, since })
    assert.deepStrictEqual(await cache.getOrSet('k', compute, { ttl: 40_000, staleTtl: 20_000 }), first)
    assert.deepStrictEqual(await cache.getOrSet('k', compute), first)
    assert.deepStrictEqual(await cache.get('k'), first)
    await cache.delete('k')
    assert.equal((await cache.getOrSet('k', compute)).at, 2)
    assert.equal((await db.query(`SELECT expires_at FROM ${table} WHERE key = $1`, [stored('k')]))[0].expires_at, null)
    // A stored null is a hit.
    await cache.set('null', null)
    assert.equal(await cache.getOrSet('null', () => assert.fail('it was there')), null)
    assert.equal(await cache.getOrSet('plain', () => 'not a promise'), 'not a promise')
    const long = 'k'.repeat(5_000)
    for (let time = 0; time < 2; time++) {
      assert.equal(await cache.getOrSet(long, () => 'long', { ttl: 40_000, staleTtl: 20_000 }), 'long')
    }
  })

  test(`${title}: callers of one process share a computation, and each gets a copy of its value`, async () => {
    const cache = await make()
    let computed = 0
    const compute = async () => {
      await sleep(50)
      return { n: ++computed }
    }
    const values = await Promise.all(Array.from({ length: 50 }, () => cache.getOrSet('shared', compute)))
    assert.equal(computed, 1)
    for (const value of values) assert.deepStrictEqual(value, { n: 1 })
    assert.equal(new Set(values).size, 50)
  })

  test(`${title}: a failure rejects all waiting callers, and is not stored`, async () => {
    const cache = await make()
    let computed = 0
    const compute = async () => {
      computed++
      await sleep(20)
      throw new Error('no value')
    }
    const calls = await Promise.allSettled(Array.from({ length: 5 }, () => cache.getOrSet('fails', compute)))
    assert.equal(computed, 1)
    for (const call of calls) assert.match(String(/** @type {any} */ (call).reason), /no value/)
    assert.equal(await cache.has('fails'), false)
    const thrown = () => {
      throw new RangeError('at once')
    }
    await assert.rejects(cache.getOrSet('fails', thrown), RangeError)
    await assert.rejects(
      cache.getOrSet('fails', () => undefined),
      { code: 'ERR_INVALID_ARG_TYPE' },
    )
    assert.equal(await cache.getOrSet('fails', () => 'now it does not'), 'now it does not')
  })

  test(`${title}: invalid arguments reject, and nothing is computed`, async () => {
    const cache = await make()
    const compute = () => assert.fail('it was called')
    /** @type {[any, any, any, string][]} */
    const calls = [
      [{}, compute, {}, 'ERR_INVALID_ARG_TYPE'],
      ['bad', 'compute', {}, 'ERR_INVALID_ARG_TYPE'],
      ['bad', compute, 60_000, 'ERR_INVALID_ARG_TYPE'],
      ['bad', compute, { ttl: -1 }, 'ERR_OUT_OF_RANGE'],
      ['bad', compute, { staleTtl: -1 }, 'ERR_OUT_OF_RANGE'],
      ['bad', compute, { staleTtl: Infinity }, 'ERR_OUT_OF_RANGE'],
      ['bad', compute, { claimTtl: 0 }, 'ERR_OUT_OF_RANGE'],
      ['bad', compute, { claimTtl: '1' }, 'ERR_INVALID_ARG_TYPE'],
    ]
    for (const [key, callback, options, code] of calls) {
      await assert.rejects(cache.getOrSet(key, callback, options), { code })
    }
  })

  test(`${title}: a stale value is returned at once, while one caller refreshes it`, async () => {
    const cache = await make()
    let computed = 0
    let finish = () => {}
    const compute = () => {
      computed++
      return new Promise((resolve) => (finish = () => resolve(`new ${computed}`)))
    }
    const options = { ttl: 60_000, staleTtl: 30_000 }
    // Stale from the start: it has less than `staleTtl` left.
    await cache.set('stale', 'old', 20_000)
    const values = await Promise.all(Array.from({ length: 20 }, () => cache.getOrSet('stale', compute, options)))
    assert.deepStrictEqual(values, Array(20).fill('old'))
    await until('the computation', () => computed > 0)
    // The computation continues although no caller waits for it.
    assert.equal(await cache.getOrSet('stale', compute, options), 'old')
    finish()
    await until('the new value', async () => (await cache.get('stale')) === 'new 1')
    assert.equal(await cache.getOrSet('stale', compute, options), 'new 1')
    assert.equal(computed, 1)
  })

  test(`${title}: a failed refresh is retried, and rejects no caller while the stale value is live`, async () => {
    const cache = await make()
    let computed = 0
    const compute = async () => {
      computed++
      throw new Error('no new value')
    }
    await cache.set('stands', 'old', 20_000)
    await until('two refreshes', async () => {
      assert.equal(await cache.getOrSet('stands', compute, { ttl: 60_000, staleTtl: 30_000 }), 'old')
      return computed >= 2
    })
  })

  test(`${title}: one of several processes computes`, async () => {
    const db = await database
    await witness
    const keys = Array.from({ length: 5 }, (_, n) => name(`together${n}`))
    const input = { url: db.url, own, keys, each: 4, ms: 200, options: { ttl: 60_000, claimTtl: 60_000 } }
    const results = await inProcesses(4, 'getOrSet', input)
    assert.deepStrictEqual(await computations(keys), [1, 1, 1, 1, 1])
    const [first] = results
    for (const other of results) assert.deepStrictEqual(other, first)
    const values = first.map((/** @type {any} */ value) => value.id)
    assert.equal(new Set(values).size, keys.length)
  })

  test(`${title}: other processes get a value as soon as it is stored, long before the claim would end`, async () => {
    const db = await database
    await witness
    const keys = [name('woken')]
    const input = { url: db.url, own, keys, each: 1, ms: 1_500, options: { claimTtl: 600_000 } }
    const results = await inTime('the value', inProcesses(3, 'getOrSet', input))
    assert.deepStrictEqual(results[1], results[0])
    assert.deepStrictEqual(await computations(keys), [1])
  })

  test(`${title}: a computation that takes longer than claimTtl is not repeated`, async () => {
    const db = await database
    await witness
    const keys = [name('renewed')]
    const input = { url: db.url, own, keys, each: 2, ms: 3_000, options: { claimTtl: 1_000 } }
    await inProcesses(3, 'getOrSet', input)
    assert.deepStrictEqual(await computations(keys), [1])
  })

  test(`${title}: if one process fails, another one computes`, async () => {
    const db = await database
    await witness
    const keys = [name('in turn')]
    const input = { url: db.url, own, keys, each: 2, options: { claimTtl: 600_000 } }
    const failing = new Worker('getOrSet', { ...input, index: 1, ms: 500, fails: true })
    const other = new Worker('getOrSet', { ...input, index: 2, ms: 1 })
    await Promise.all([failing.ready, other.ready])
    const began = failing.note()
    failing.start()
    await began
    other.start()
    assert.deepStrictEqual(await failing.result, Array(2).fill('failed: the work of 1 failed'))
    assert.deepStrictEqual(
      (await other.result).map((/** @type {any} */ value) => value.by),
      [2, 2],
    )
    assert.deepStrictEqual(await computations(keys), [2])
  })

  test(`${title}: if a process is killed while it computes, others wait until its claim expires`, async () => {
    const db = await database
    await witness
    const keys = [name('killed')]
    const input = { url: db.url, own, keys, each: 1, ms: 1, options: { claimTtl: 2_000 } }
    const killed = new Worker('getOrSet', { ...input, index: 1, hangs: true })
    const others = [2, 3].map((index) => new Worker('getOrSet', { ...input, index }))
    await Promise.all([killed, ...others].map((worker) => worker.ready))
    const began = killed.note()
    killed.start()
    await began
    for (const other of others) other.start()
    killed.kill()
    const [[first], [second]] = await inTime('the value', Promise.all(others.map((other) => other.result)))
    assert.deepStrictEqual(second, first)
    assert.deepStrictEqual(await computations(keys), [2])
  })

  test(`${title}: several processes refresh a stale value once`, async () => {
    const db = await database
    await witness
    const cache = await make()
    const keys = [name('stale together')]
    await cache.set(keys[0], 'old', 30_000)
    const options = { ttl: 600_000, staleTtl: 60_000 }
    const input = { url: db.url, own, keys, each: 5, ms: 500, options, old: 'old' }
    const results = await inTime('the new value', inProcesses(4, 'getOrSet', input))
    assert.deepStrictEqual(results, Array(4).fill(Array(5).fill('old')))
    assert.notEqual(await cache.get(keys[0]), null)
    assert.deepStrictEqual(await computations(keys), [1])
  })
}

test('the loss of a claim aborts the signal; the value is still stored', async () => {
  const db = await database
  const cache = new PostgresAdapter(db.pool(), { keyPrefix: 'signal:' })
  /** @type {AbortSignal | undefined} */
  let seen
  const value = cache.getOrSet(
    'k',
    async ({ signal }) => {
      seen = signal
      assert.equal(signal.aborted, false)
      await until('the claim', async () => {
        const sql = `DELETE FROM go_goscope_locks WHERE key = 'signal:compute:"go_goscope_cache":k' RETURNING key`
        return (await db.query(sql)).length === 1
      })
      await until('the loss', () => signal.aborted)
      return signal.reason.code
    },
    { claimTtl: 300 },
  )
  assert.equal(await value, 'ERR_LEASE_LOST')
  assert.equal(seen?.aborted, true)
  assert.equal(await cache.get('k'), 'ERR_LEASE_LOST')
})

test('a claim conflicts neither with the application’s locks nor with the claims of another table', async () => {
  const db = await database
  const pool = db.pool()
  const adapter = new PostgresAdapter(pool)
  const caches = [
    adapter,
    new PostgresCacheAdapter(pool, { tableName: 'one' }),
    new PostgresCacheAdapter(pool, { tableName: 'two' }),
  ]
  let depth = 0
  // The computations are nested: if two of them shared a claim, this would never end.
  const nested = caches.reduceRight(
    (inner, cache) => () =>
      cache.getOrSet('same', async () => {
        await inner()
        return ++depth
      }),
    async () => {
      const lock = await adapter.acquire('same', 60_000)
      assert.notEqual(lock, null)
      await lock?.release()
      return 0
    },
  )
  assert.equal(await inTime('the value', nested()), 3)
  await until('the claims are released', async () => (await db.query('SELECT FROM go_goscope_locks')).length === 0)
})

test('a lookup counts as one hit or miss, and a stale value as a hit', async () => {
  const db = await database
  const cache = new PostgresCacheAdapter(db.pool(), { keyPrefix: 'counted:' })
  await cache.getOrSet('k', () => 1, { ttl: 60_000 })
  await cache.getOrSet('k', () => 2, { ttl: 60_000 })
  await cache.getOrSet('k', () => 3, { ttl: 60_000, staleTtl: 120_000 })
  const { hits, misses } = await cache.stats()
  assert.deepStrictEqual([hits, misses], [2, 1])
})
