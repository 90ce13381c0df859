// @ts-check
// @configurations first
// The limiter for rate-limiter-flexible, as npm installs its versions 5 and 11. Its tests are not published: what they test
// of limiters with a store is tested here.
'use strict'

const assert = require('node:assert/strict')
const { before, test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { rateLimiterOn } = require('../../lib/integrations/rate-limiter.js')
const { useDatabase } = require('../support/database.js')
const { REFUSING, assertEndsItsOwn, assertRefusesOptions } = require('../support/integrations.js')
const { install } = require('../support/libraries/library.js')
const { TYPES, compile } = require('../support/libraries/types.js')
const { until } = require('../support/waiting.js')

const VERSIONS = ['rate-limiter-flexible5', 'rate-limiter-flexible11']
const SPECS = ['5.0.0', '11.4.0'].map((version, index) => `${VERSIONS[index]}@npm:rate-limiter-flexible@${version}`)

const database = useDatabase()
/** @type {Awaited<ReturnType<typeof install>>} */
let installed

before(async () => {
  installed = await install([...SPECS, ...TYPES])
})

/** @param {string} version */
async function loaded(version) {
  const library = await installed.load(version)
  return {
    ...library,
    PostgresRateLimiter: rateLimiterOn(Object.getPrototypeOf(library.RateLimiterRedis), library.RateLimiterRes),
  }
}

let made = 0

/**
 * Limiters that share their keys.
 *
 * @param {string} version
 * @param {object} options
 */
async function make(version, options) {
  const { PostgresRateLimiter, ...library } = await loaded(version)
  const db = await database
  const keyPrefix = `limiter${++made}`
  const all = { storeClient: db.plain, points: 2, duration: 3_600, keyPrefix, ...options }
  const limiter = new PostgresRateLimiter(all)
  const elsewhere = () => new PostgresRateLimiter({ ...all, storeClient: db.pool() })
  const endOf = async (/** @type {string} */ key) => {
    const sql = 'SELECT expires_at FROM go_goscope_rate_limits WHERE key = $1'
    return (await db.query(sql, [limiter.getKey(key)]))[0]?.expires_at
  }
  return { limiter, elsewhere, endOf, library, PostgresRateLimiter, keyPrefix }
}

/** What a call is rejected with if the points are used up. @param {Promise<any>} call */
const rejection = (call) =>
  call.then(
    () => assert.fail('it was not rejected'),
    (result) => {
      if (result instanceof Error) throw result
      return result
    },
  )

for (const version of VERSIONS) {
  test(`${version}: points are consumed, and no more than there are`, async () => {
    const { limiter, library } = await make(version, {})
    const first = await limiter.consume('k')
    assert.ok(first instanceof library.RateLimiterRes)
    assert.deepEqual([first.consumedPoints, first.remainingPoints, first.isFirstInDuration], [1, 1, true])
    assert.ok(first.msBeforeNext > 3_540_000 && first.msBeforeNext <= 3_660_000)
    // The end is that of the window that there is, also where the sum is that of a first call.
    await limiter.set('set', 0, 7_200)
    assert.ok((await limiter.consume('set')).msBeforeNext > 7_140_000)
    const second = await limiter.consume('k')
    assert.deepEqual([second.consumedPoints, second.remainingPoints, second.isFirstInDuration], [2, 0, false])
    assert.ok(second.msBeforeNext > 3_540_000 && second.msBeforeNext <= 3_660_000)
    const third = await rejection(limiter.consume('k'))
    assert.ok(third instanceof library.RateLimiterRes)
    assert.deepEqual([third.consumedPoints, third.remainingPoints], [3, 0])
    assert.equal((await limiter.consume('other', 2)).remainingPoints, 0)
    assert.equal((await rejection(limiter.consume('much', 3))).isFirstInDuration, true)
  })

  test(`${version}: later calls do not move the end of a window`, async () => {
    const { limiter, endOf } = await make(version, { points: 10 })
    await limiter.consume('k')
    const end = await endOf('k')
    await limiter.consume('k', 2, { customDuration: 7_200 })
    await limiter.penalty('k')
    await limiter.reward('k')
    assert.deepEqual(await endOf('k'), end)
    assert.equal((await limiter.get('k')).consumedPoints, 3)
  })

  test(`${version}: a window ends, and the next call begins another`, async () => {
    const { limiter } = await make(version, { points: 1, duration: 0.1 })
    await limiter.consume('k')
    await until('the window has ended', async () => (await limiter.get('k')) === null)
    const { consumedPoints, isFirstInDuration } = await limiter.consume('k')
    assert.deepEqual([consumedPoints, isFirstInDuration], [1, true])
  })

  test(`${version}: of concurrent calls of several pools, each is counted once`, async () => {
    const { limiter, elsewhere } = await make(version, { points: 40 })
    const limiters = [limiter, elsewhere(), elsewhere()]
    const outcomes = await Promise.allSettled(
      Array.from({ length: 60 }, (_, n) => limiters[n % limiters.length].consume('hot')),
    )
    const counts = outcomes.map(
      (outcome) => (outcome.status === 'fulfilled' ? outcome.value : outcome.reason).consumedPoints,
    )
    assert.deepEqual(
      counts.sort((one, other) => one - other),
      Array.from({ length: 60 }, (_, n) => n + 1),
    )
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 40)
  })

  test(`${version}: calls on one key share statements`, async () => {
    const { limiter } = await make(version, { points: 1_000, storeClient: (await database).pool() })
    await limiter.consume('hot')
    const before = limiter.client.metrics()
    await Promise.all(Array.from({ length: 500 }, () => limiter.consume('hot')))
    const { operations } = limiter.client.metrics()
    assert.equal(operations['cache.incrementEntry'].calls - before.operations['cache.incrementEntry'].calls, 500)
    assert.ok(limiter.client.metrics().statements.count - before.statements.count < 100)
  })

  test(`${version}: penalty, reward, get, set and delete`, async () => {
    const { limiter } = await make(version, { points: 5 })
    assert.equal(await limiter.get('k'), null)
    assert.equal(await limiter.delete('k'), false)
    assert.equal((await limiter.penalty('k', 3)).consumedPoints, 3)
    assert.equal((await limiter.reward('k', 2)).consumedPoints, 1)
    assert.equal((await limiter.reward('new')).consumedPoints, -1)
    assert.equal((await limiter.set('k', 4, 7_200)).consumedPoints, 4)
    const { consumedPoints, remainingPoints, msBeforeNext } = await limiter.get('k')
    assert.deepEqual([consumedPoints, remainingPoints], [4, 1])
    assert.ok(msBeforeNext > 7_140_000 && msBeforeNext <= 7_260_000)
    assert.equal(await limiter.delete('k'), true)
    assert.equal(await limiter.get('k'), null)
    const racing = await Promise.all(Array.from({ length: 5 }, () => limiter.delete('new')))
    assert.equal(racing.filter(Boolean).length, 1)
  })

  test(`${version}: block, for a time and without end`, async () => {
    const { limiter } = await make(version, { points: 2 })
    const { consumedPoints, msBeforeNext } = await limiter.block('k', 7_200)
    assert.deepEqual([consumedPoints, msBeforeNext], [3, 7_200_000])
    const rejected = await rejection(limiter.consume('k'))
    assert.ok(rejected.msBeforeNext > 7_140_000)
    await limiter.block('short', 0.05)
    await until('the block is over', async () => (await limiter.get('short')) === null)
    assert.equal((await limiter.consume('short')).consumedPoints, 1)
    assert.equal((await limiter.block('ever', 0)).msBeforeNext, -1)
    assert.equal((await rejection(limiter.consume('ever'))).msBeforeNext, -1)
  })

  test(`${version}: a key that has used more than its points is blocked for blockDuration`, async () => {
    const { limiter, elsewhere } = await make(version, { points: 1, blockDuration: 7_200 })
    await limiter.consume('k')
    assert.equal((await rejection(limiter.consume('k'))).msBeforeNext, 7_200_000)
    assert.ok((await rejection(elsewhere().consume('k'))).msBeforeNext > 7_140_000)
  })

  test(`${version}: durations of 0 and of a call`, async () => {
    const { limiter, endOf } = await make(version, { duration: 0 })
    assert.equal((await limiter.consume('k')).msBeforeNext, -1)
    assert.equal((await limiter.consume('k')).msBeforeNext, -1)
    assert.equal(await endOf('k'), null)
    const custom = await limiter.consume('custom', 1, { customDuration: 7_200 })
    // By two clocks.
    assert.ok(custom.msBeforeNext > 7_140_000 && custom.msBeforeNext <= 7_260_000)
    assert.equal((await limiter.set('set', 1, 0)).msBeforeNext, -1)
    assert.equal(await endOf('set'), null)
  })

  test(`${version}: a key that is blocked in memory is not asked for`, async () => {
    const { limiter, elsewhere } = await make(version, {
      points: 1,
      inMemoryBlockOnConsumed: 2,
      inMemoryBlockDuration: 3_600,
    })
    await limiter.consume('k')
    await rejection(limiter.consume('k'))
    const before = (await limiter.get('k')).consumedPoints
    await rejection(limiter.consume('k'))
    assert.equal((await limiter.get('k')).consumedPoints, before)
    assert.equal((await rejection(elsewhere().consume('k'))).consumedPoints, before + 1)
    await limiter.delete('k')
    assert.equal((await limiter.consume('k')).consumedPoints, 1)
  })

  test(`${version}: a failure rejects with its error, or an insurance limiter takes over`, async () => {
    const { PostgresRateLimiter, library } = await make(version, {})
    const options = { storeClient: REFUSING, points: 1, duration: 60 }
    const limiter = new PostgresRateLimiter(options)
    const calls = {
      consume: ['k'],
      penalty: ['k'],
      reward: ['k'],
      get: ['k'],
      delete: ['k'],
      set: ['k', 1, 1],
      block: ['k', 1],
    }
    for (const [name, given] of Object.entries(calls)) {
      await assert.rejects(limiter[name](...given), { code: 'ECONNREFUSED' }, name)
    }
    const insuranceLimiter = new library.RateLimiterMemory({ points: 7, duration: 60 })
    const insured = new PostgresRateLimiter({ ...options, insuranceLimiter })
    assert.equal((await insured.consume('k')).remainingPoints, 6)
    assert.equal((await insured.penalty('k')).remainingPoints, 5)
    assert.equal((await insured.get('k')).remainingPoints, 5)
    await Promise.all([limiter.close(), insured.close()])
  })

  test(`${version}: a block that fails rejects with its error`, async () => {
    const { limiter } = await make(version, { points: 1, blockDuration: 60 })
    limiter._block = async () => assert.fail('the block failed')
    await assert.rejects(limiter.consume('k', 2), /the block failed/)
  })

  test(`${version}: as a part of what the library makes of limiters`, async () => {
    const { limiter, library, keyPrefix } = await make(version, { points: 1 })
    const { RateLimiterUnion, BurstyRateLimiter, RateLimiterQueue, RateLimiterMemory } = library
    const union = new RateLimiterUnion(limiter, new RateLimiterMemory({ points: 5, duration: 60, keyPrefix: 'memory' }))
    const both = await union.consume('union')
    assert.deepEqual(Object.keys(both).sort(), [keyPrefix, 'memory'].sort())
    const bursty = new BurstyRateLimiter(limiter, new RateLimiterMemory({ points: 1, duration: 60 }))
    await bursty.consume('bursty')
    await bursty.consume('bursty')
    await rejection(bursty.consume('bursty'))
    assert.equal(await new RateLimiterQueue(limiter).removeTokens(1, 'queue'), 0)
  })
}

test('keys that are numbers, prefixes and points that are text', async () => {
  const { PostgresRateLimiter } = await make('rate-limiter-flexible11', {})
  const db = await database
  const limiter = new PostgresRateLimiter({
    storeClient: db.plain,
    tableName: 'limits',
    keyPrefix: '',
    points: 3,
    duration: 60,
  })
  assert.equal((await limiter.consume(42, '2')).isFirstInDuration, true)
  assert.equal((await limiter.consume('42', 0.5)).consumedPoints, 2.5)
  assert.deepEqual(await db.query('SELECT key, value FROM limits'), [{ key: '42', value: 2.5 }])
  await assert.rejects(limiter.consume('k', 'two'), { code: 'ERR_OUT_OF_RANGE' })
})

test('a limiter on an adapter counts in the adapter’s cache', async () => {
  const { PostgresRateLimiter } = await loaded('rate-limiter-flexible11')
  const adapter = new PostgresAdapter((await database).plain, { keyPrefix: 'shop:' })
  await new PostgresRateLimiter({ storeClient: adapter, points: 1, duration: 60 }).consume('ada')
  assert.deepEqual(await adapter.keys(), ['rlflx:ada'])
})

test('close ends what the limiter has opened, and nothing that was given', async () => {
  const { PostgresRateLimiter } = await loaded('rate-limiter-flexible11')
  await assertEndsItsOwn(await database, (storeClient) => {
    const limiter = new PostgresRateLimiter({ storeClient, points: 1, duration: 60 })
    return { use: () => limiter.get('k'), close: () => limiter.close() }
  })
})

test('bad options are refused, by us and by the library', async () => {
  const { PostgresRateLimiter } = await loaded('rate-limiter-flexible11')
  const make = (/** @type {any} */ storeClient, /** @type {any} */ options) =>
    new PostgresRateLimiter({ storeClient, points: 1, duration: 1, ...options })
  assertRefusesOptions(make)
  assert.throws(() => make(REFUSING, { points: 'many' }), /points must be set/)
  assert.throws(() => make(REFUSING, { inMemoryBlockDuration: 10 }), /inMemoryBlockOnConsumed/)
})

test('the types of rate-limiter-flexible 5 and 11 accept the limiter', async () => {
  await compile(installed.consumer, 'integrations/types/rate-limiter-flexible.ts')
})
