// @ts-check
// @configurations first
// getOrSet() and concurrent writes: a computed value is stored only if no process has written or deleted its key since
// the computation began.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { inProcesses } = require('../support/processes.js')
const { runScript } = require('../support/script.js')
const { until } = require('../support/waiting.js')
const reference = require('../../reference/index.js')

const database = useDatabase()
const PREFIX = 'p_%:'

/** @typedef {PostgresAdapter | PostgresCacheAdapter} Cache */

/** A promise, and the function that resolves it. */
function gate() {
  let open = () => {}
  const opened = new Promise((/** @type {(nothing: void) => void} */ resolve) => (open = resolve))
  return { open, opened }
}

for (const own of [false, true]) {
  const Class = own ? PostgresCacheAdapter : PostgresAdapter
  const of = own ? 'PostgresCacheAdapter' : 'PostgresAdapter'
  const table = own ? 'cache' : 'go_goscope_cache'
  const stored = (/** @type {string} */ key) => `${PREFIX}${own ? '' : 'cache:'}${key}`
  /** @returns {Promise<any>} */
  const make = async () => new Class((await database).pool({ max: 3 }), { keyPrefix: PREFIX })

  /**
   * Begins a computation, waits until it runs, and returns its value and a function that lets it continue.
   *
   * @param {any} cache
   * @param {string} key
   * @param {object} [options]
   */
  const begin = async (cache, key, options) => {
    const [began, goOn] = [gate(), gate()]
    const compute = async () => {
      began.open()
      await goOn.opened
      return 'computed'
    }
    const value = cache.getOrSet(key, compute, options)
    value.catch(() => {})
    await began.opened
    return { value, goOn: goOn.open }
  }

  const pgBased = async () => {
    const pool = (await database).pool()
    return own
      ? new reference.PostgresCacheAdapter(pool, { keyPrefix: PREFIX })
      : new reference.PostgresAdapter(pool, { keyPrefix: PREFIX })
  }

  /**
   * The write to the key during the computation, and the value that must be stored afterwards.
   *
   * @type {[string, (key: string, cache: any) => Promise<unknown>, unknown][]}
   */
  const writes = [
    ['set()', (key, cache) => cache.set(key, 'written'), 'written'],
    ['set() and delete()', (key, cache) => cache.set(key, 'written').then(() => cache.delete(key)), null],
    ['delete() and set()', (key, cache) => cache.delete(key).then(() => cache.set(key, 'written')), 'written'],
    ['delete()', (key, cache) => cache.delete(key), null],
    ['deleteMany()', (key, cache) => cache.deleteMany(['x', key]), null],
    ['take()', (key, cache) => cache.take(key), null],
    ['setMany()', (key, cache) => cache.setMany([['x', 1], [key, 'written']]), 'written'], // biome-ignore format: one line
    ['increment()', (key, cache) => cache.increment(key, 7), 7],
    ['incrementEntry()', (key, cache) => cache.incrementEntry(key, 7), 7],
    ['compareAndSet()', (key, cache) => cache.compareAndSet(key, undefined, 'written'), 'written'],
    ['touch() of no entry', (key, cache) => cache.touch(key, 60_000), 'computed'],
    ['clear()', (_, cache) => cache.clear(), null],
    ['clear() by prefix', (key, cache) => cache.clear({ prefix: key.slice(0, 3) }), null],
    ['a set() that expires', (key, cache) => cache.set(key, 'written', 1).then(() => sleep(50)), null],
    ['the pg-based set()', async (key) => (await pgBased()).set(key, 'written'), 'written'],
    ['the pg-based delete()', async (key) => (await pgBased()).delete(key), null],
    [
      'set() in another process',
      async (key) =>
        await runScript(
          (await database).url,
          `const Class = ${own} ? PostgresCacheAdapter : PostgresAdapter
           await new Class(pool, { keyPrefix: input.PREFIX }).set(input.key, 'written')
           await adapter.disconnect()`,
          { input: { key, PREFIX } },
        ),
      'written',
    ],
  ]

  for (const [name, write, after] of writes) {
    for (const state of ['absent', 'expired']) {
      test(`${of}: ${name} during the computation of an ${state} entry is kept`, async () => {
        const [cache, other] = [await make(), await make()]
        const key = `${name} ${state}`
        if (state === 'expired') await cache.set(key, 'expired', 1).then(() => sleep(20))
        const { value, goOn } = await begin(cache, key)
        await write(key, other)
        goOn()
        assert.equal(await value, 'computed')
        assert.equal(await other.get(key), after)
        // If there is no entry, it is computed again, and then stored.
        assert.equal(await other.getOrSet(key, () => 'again'), after ?? 'again')
        assert.equal(await cache.get(key), after ?? 'again')
      })
    }

    // These expect an absent entry; a stale entry is live.
    if (['increment()', 'incrementEntry()', 'compareAndSet()', 'touch() of no entry'].includes(name)) continue
    test(`${of}: ${name} during the refresh of a stale entry is kept`, async () => {
      const [cache, other] = [await make(), await make()]
      const key = `${name} stale`
      await cache.set(key, 'stale', 600_000)
      const { value, goOn } = await begin(cache, key, { ttl: 600_000, staleTtl: 599_999_999 })
      assert.equal(await value, 'stale')
      await write(key, other)
      goOn()
      await until('the claim is released', async () => !(await isClaimed(key)))
      assert.equal(await other.get(key), after)
    })
  }

  const isClaimed = async (/** @type {string} */ key) => {
    const rows = await (await database).query('SELECT key FROM go_goscope_locks')
    return rows.some((row) => row.key.endsWith(`:${key}`))
  }

  test(`${of}: a stale entry is returned during its refresh, and then replaced`, async () => {
    const [cache, other] = [await make(), await make()]
    await cache.set('served', 'stale', 600_000)
    const options = { ttl: 600_000, staleTtl: 599_999_999 }
    const { value, goOn } = await begin(cache, 'served', options)
    assert.equal(await value, 'stale')
    assert.equal(await other.get('served'), 'stale')
    assert.equal(await other.getOrSet('served', () => assert.fail('it is claimed'), options), 'stale')
    goOn()
    await until('it is replaced', async () => (await other.get('served')) === 'computed')
  })

  test(`${of}: writes, their sweeps and prune() do not affect a computation, and no reader sees it`, async () => {
    const db = await database
    const [cache, other] = [await make(), await make()]
    const { value, goOn } = await begin(cache, 'swept', { ttl: 600_000 })
    for (let n = 0; n < 200; n++) await other.set(`other ${n % 8}`, n, 1)
    await sleep(20)
    await other.set('sweeps', 1)
    assert.equal(await other.get('swept'), null)
    assert.deepEqual(await other.getMany(['swept']), [null])
    assert.equal(await other.has('swept'), false)
    assert.equal(await (await pgBased()).get('swept'), null)
    assert.equal((await other.keys()).includes('swept'), false)
    if (own) {
      await db.query(`INSERT INTO ${table} (key, value, expires_at) VALUES ($1, '1', now() - INTERVAL '1 hour')`, [
        stored('pruned'),
      ])
      assert.ok((await other.prune()) >= 1)
      assert.equal(await other.prune(), 0)
      const { size } = await other.stats()
      assert.equal(size, (await other.keys()).length)
    }
    goOn()
    assert.equal(await value, 'computed')
    assert.equal(await other.get('swept'), 'computed')
  })

  test(`${of}: entries that nothing but getOrSet() writes do not pile up`, async () => {
    const db = await database
    const cache = await make()
    for (let round = 0; round < 20; round++) {
      await Promise.all(Array.from({ length: 50 }, (_, n) => cache.getOrSet(`pile ${round} ${n}`, () => n, { ttl: 1 })))
    }
    const [{ left }] = await db.query(`SELECT count(*)::int AS left FROM ${table} WHERE key LIKE $1`, [
      stored('pile %'),
    ])
    assert.ok(left < 500, `${left} of 1,000 entries are left`)
  })

  test(`${of}: a failed computation leaves no row, and the row that a crash leaves is removed`, async () => {
    const db = await database
    const cache = await make()
    const failed = cache.getOrSet('fails', async () => {
      throw new Error('no')
    })
    await assert.rejects(failed, { message: 'no' })
    const rows = (/** @type {string} */ key) => db.query(`SELECT FROM ${table} WHERE key = $1`, [stored(key)])
    await until('no row is left', async () => (await rows('fails')).length === 0)
    const { goOn } = await begin(cache, 'crashed')
    assert.equal((await rows('crashed')).length, 1)
    await db.query(`UPDATE ${table} SET expires_at = expires_at - INTERVAL '2 days' WHERE key = $1`, [
      stored('crashed'),
    ])
    await cache.getOrSet('another', () => 1)
    await until('another computation removes it', async () => {
      await cache.delete('another')
      await cache.getOrSet('another', () => 1)
      return (await rows('crashed')).length === 0
    })
    goOn()
  })

  test(`${of}: a set() that commits while the computed value waits for its row is kept`, async () => {
    const db = await database
    const cache = await make()
    const { value, goOn } = await begin(cache, 'waits')
    const holder = await db.hold(`UPDATE ${table} SET value = '"written"', expires_at = NULL WHERE key = $1`, [
      stored('waits'),
    ])
    goOn()
    await db.untilWaiting(1)
    await holder.commit()
    assert.equal(await value, 'computed')
    assert.equal(await cache.get('waits'), 'written')
  })

  test(`${of}: a call after a delete() gets no value computed before it, also in the same process`, async () => {
    const [cache, other] = [await make(), await make()]
    const { value, goOn } = await begin(cache, 'joined')
    await other.delete('joined')
    const later = cache.getOrSet('joined', () => 'newer')
    // The call has joined by then: its lookup is answered.
    await cache.get('joined')
    goOn()
    assert.deepEqual(await Promise.all([value, later]), ['computed', 'newer'])
    assert.equal(await other.get('joined'), 'newer')
  })

  test(`${of}: many concurrent computations are stored, each under its own condition`, async () => {
    const [cache, other] = [await make(), await make()]
    const keys = Array.from({ length: 64 }, (_, n) => `many ${n}`)
    const all = await Promise.all(keys.map((key) => begin(cache, key, { ttl: 600_000 })))
    await Promise.all(keys.filter((_, n) => n % 2).map((key) => other.set(key, 'written')))
    for (const { goOn } of all) goOn()
    assert.deepEqual(await Promise.all(all.map(({ value }) => value)), Array(64).fill('computed'))
    assert.deepEqual(
      await other.getMany(keys),
      keys.map((_, n) => (n % 2 ? 'written' : 'computed')),
    )
  })

  test(`${of}: processes that read through the cache never restore an old value after a delete()`, async () => {
    const db = await database
    await db.query('DROP TABLE IF EXISTS source')
    await db.query('CREATE TABLE source (n int NOT NULL, is_done boolean NOT NULL)')
    await db.query('INSERT INTO source VALUES (0, false)')
    const cache = await make()
    const readers = inProcesses(3, 'readThrough', { url: db.url, own, key: 'through', options: { ttl: 600_000 } })
    let old = 0
    const rounds = 150
    await until('an entry', async () => (await cache.get('through')) !== null)
    for (let round = 1; round <= rounds; round++) {
      await db.query('UPDATE source SET n = $1', [round])
      if (round % 3 === 0) await cache.set('through', round)
      else await cache.delete('through')
      // A value that was read before the update must not come back, however late it is stored.
      const found = await cache.get('through')
      if (found !== null && found < round) old++
      await sleep(Math.random() * 30)
      const later = await cache.get('through')
      if (later !== null && later < round) old++
    }
    await db.query('UPDATE source SET is_done = true')
    const computed = (await readers).reduce((sum, each) => sum + each, 0)
    console.log(`  ${old} old values after ${rounds} writes, beside ${computed} computations`)
    assert.equal(old, 0)
  })
}
