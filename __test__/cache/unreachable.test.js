// @ts-check
// @configurations first
// getOrSet with `onError: 'compute'`: while the database cannot be reached, callers still get computed values.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { startProxy } = require('../support/proxy.js')
const { inTime, until } = require('../support/waiting.js')

const database = useDatabase()
const COMPUTE = /** @type {const} */ ({ onError: 'compute' })
/** Shorter than the 30 s for which a wait otherwise retries transient failures, and far longer than any stall. */
const LIMIT_MS = 25_000

for (const Cache of [PostgresAdapter, PostgresCacheAdapter]) {
  /** A cache whose server can become unreachable. */
  const setUp = async (/** @type {any} */ { max = 2, ...options } = {}) => {
    const db = await database
    const proxy = await startProxy(db.url)
    const cache = new Cache(db.pool({ connectionString: proxy.url, max }), options)
    const takeAway = () => {
      proxy.refuse()
      proxy.cutAll()
    }
    return { db, proxy, cache, takeAway }
  }
  const title = Cache.name

  test(`${title}: computes, once for all callers of the process, and stores nothing`, async () => {
    const { proxy, cache, takeAway } = await setUp()
    await cache.set('other', 1)
    takeAway()
    let computed = 0
    const compute = async (/** @type {{ signal: AbortSignal }} */ { signal }) => {
      computed++
      await new Promise((resolve) => setImmediate(resolve))
      return { date: new Date(0), aborted: signal.aborted, gone: undefined }
    }
    await assert.rejects(cache.getOrSet('k', compute), (/** @type {any} */ error) => /^ECONN/.test(error.code))
    assert.equal(computed, 0)
    // The same value as from the cache.
    const value = { date: '1970-01-01T00:00:00.000Z', aborted: false }
    assert.deepStrictEqual(await inTime('the value', cache.getOrSet('k', compute, COMPUTE)), value)
    assert.equal(computed, 1)
    const calls = Array.from({ length: 20 }, () => cache.getOrSet('k', compute, COMPUTE))
    const values = await Promise.all(calls)
    assert.equal(new Set(values).size, 20, 'each caller has a copy of its own')
    assert.ok(computed < 21, 'callers at the same time share a computation')
    proxy.refuse(false)
    assert.equal(await cache.get('k'), null)
    assert.equal(await cache.getOrSet('k', () => 'stored', COMPUTE), 'stored')
    assert.equal(await cache.get('k'), 'stored')
  })

  test(`${title}: a value computed before the connection loss is returned, and not computed again`, async () => {
    const { cache, takeAway } = await setUp()
    await cache.getOrSet('warm', () => 1)
    let computed = 0
    const compute = () => {
      takeAway()
      return ++computed
    }
    assert.equal(await inTime('the value', cache.getOrSet('lost', compute, COMPUTE)), 1)
    assert.equal(computed, 1)
  })

  for (const first of [COMPUTE, {}]) {
    const whose = 'onError' in first ? 'computes in that case, too' : 'wants the failure'
    test(`${title}: a value that is not stored goes to all joined callers; its first caller ${whose}`, async () => {
      const { cache, takeAway } = await setUp({ max: 1 })
      await cache.getOrSet('warm', () => 1)
      let computed = 0
      let goOn = () => {}
      const going = new Promise((/** @type {(nothing: void) => void} */ resolve) => (goOn = resolve))
      let begin = () => {}
      const begun = new Promise((/** @type {(nothing: void) => void} */ resolve) => (begin = resolve))
      const compute = async () => {
        computed++
        begin()
        await going
        takeAway()
        return { computed }
      }
      const calls = [cache.getOrSet('joined', compute, first)]
      await begun
      calls.push(
        cache.getOrSet('joined', compute, COMPUTE),
        cache.getOrSet('joined', compute),
        cache.getOrSet('joined', compute, COMPUTE),
      )
      // One connection, so their lookups are done when this is answered.
      await cache.get('other')
      await new Promise((resolve) => setImmediate(resolve))
      goOn()
      const outcomes = await inTime('the outcomes', Promise.allSettled(calls))
      const expected = { status: 'fulfilled', value: { computed: 1 } }
      const [own, joined, failed, last] = outcomes
      assert.deepEqual([joined, last], [expected, expected])
      if ('onError' in first) assert.deepEqual(own, expected)
      else assert.match(/** @type {any} */ (own).reason.code, /^ECONN/)
      assert.match(/** @type {any} */ (failed).reason.code, /^ECONN/)
      assert.equal(computed, 1)
    })
  }

  const limits = /** @type {const} */ ([
    ['`wait`', () => ({ wait: LIMIT_MS })],
    ['`signal`', () => ({ signal: AbortSignal.timeout(LIMIT_MS) })],
  ])
  for (const [first, firstOptions] of /** @type {const} */ ([
    ['computes in that case, too', COMPUTE],
    ['wants the failure', {}],
  ])) {
    test(`${title}: callers that wait for another process compute at once; the first of them ${first}`, async () => {
      const { db, cache, takeAway } = await setUp()
      const key = `far: ${first}`
      const other = new Cache(db.pool())
      let finish = () => {}
      const finished = new Promise((/** @type {(nothing: void) => void} */ resolve) => (finish = resolve))
      let begin = () => {}
      const begun = new Promise((/** @type {(nothing: void) => void} */ resolve) => (begin = resolve))
      const far = other.getOrSet(key, async () => {
        begin()
        await finished
        return 'far'
      })
      await begun
      const isAwaited = async () => {
        const sql =
          "SELECT 1 FROM go_goscope_locks WHERE strpos(key, 'compute:') > 0 AND strpos(key, $1) > 0 AND has_waiters"
        return (await db.query(sql, [key])).length > 0
      }
      const calls = [cache.getOrSet(key, () => 'near', { ...firstOptions, wait: LIMIT_MS })]
      await until('the first waits', isAwaited)
      for (const [, limit] of limits) calls.push(cache.getOrSet(key, () => 'near', { ...COMPUTE, ...limit() }))
      await cache.get('answered after those have looked')
      takeAway()
      const [own, ...joined] = await Promise.allSettled(calls)
      for (const [at, [limit]] of limits.entries()) {
        assert.deepEqual(joined[at], { status: 'fulfilled', value: 'near' }, limit)
      }
      if ('onError' in firstOptions) assert.deepEqual(own, { status: 'fulfilled', value: 'near' })
      else assert.match(/** @type {any} */ (own).reason.code, /^ECONN/)
      finish()
      assert.equal(await far, 'far')
    })
  }

  test(`${title}: other failures reject, including those of compute itself`, async () => {
    const { cache, takeAway } = await setUp({ createTables: false, tableName: 'absent', keyPrefix: 'x:' })
    if (Cache === PostgresCacheAdapter) {
      await assert.rejects(
        cache.getOrSet('k', () => assert.fail('it ran'), COMPUTE),
        { code: '42P01' },
      )
    }
    await assert.rejects(
      cache.getOrSet('k', () => 1, /** @type {any} */ ({ onError: 'ignore' })),
      { code: 'ERR_INVALID_ARG_VALUE' },
    )
    const { cache: whole } = await setUp()
    let ran = 0
    const refused = Object.assign(new Error('the other service'), { code: 'ECONNREFUSED' })
    const compute = () => {
      ran++
      throw refused
    }
    await assert.rejects(whole.getOrSet('fails', compute, COMPUTE), refused)
    takeAway()
    await assert.rejects(cache.getOrSet('fails', compute, COMPUTE), refused)
    assert.equal(ran, 2)
    const itself = () => cache.getOrSet('own', () => 1, COMPUTE)
    await inTime(
      'its own key',
      assert.rejects(cache.getOrSet('own', itself, COMPUTE), { code: 'ERR_WORK_WAITS_FOR_ITSELF' }),
    )
    const pool = (await database).pool()
    const ended = new Cache(pool)
    await pool.end()
    await assert.rejects(
      ended.getOrSet('k', () => assert.fail('it ran'), COMPUTE),
      { message: 'Cannot use a pool after calling end on the pool' },
    )
  })
}
