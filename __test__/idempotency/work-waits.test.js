// @ts-check
// @configurations first
// How long run() and getOrSet() wait for other callers: never for themselves, within the limits `wait` and `signal`.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { runScript } = require('../support/script.js')
const { inTime, until } = require('../support/waiting.js')

const database = useDatabase()
const OWN = { code: 'ERR_WORK_WAITS_FOR_ITSELF', message: /"a" asks for its own key/ }
const TIMEOUT = { code: 'ERR_WORK_WAIT_TIMEOUT', message: /"[^"]+" was not done within \d+ ms/ }

/** @typedef {(key: string, work: (context: any) => any, options?: any) => Promise<any>} Do */

/** The functions that do work under a key. Each call of `make` returns one with connections of its own. */
const DOERS = {
  'run()': {
    make: (/** @type {any} */ pool, /** @type {string} */ keyPrefix) => {
      const results = new PostgresIdempotencyAdapter(pool, { keyPrefix })
      return /** @type {Do} */ ((...given) => results.run(...given))
    },
  },
  'getOrSet() of PostgresAdapter': {
    make: (/** @type {any} */ pool, /** @type {string} */ keyPrefix) => {
      const cache = new PostgresAdapter(pool, { keyPrefix })
      return /** @type {Do} */ ((...given) => cache.getOrSet(...given))
    },
  },
  'getOrSet() of PostgresCacheAdapter': {
    make: (/** @type {any} */ pool, /** @type {string} */ keyPrefix) => {
      const cache = new PostgresCacheAdapter(pool, { keyPrefix })
      return /** @type {Do} */ ((...given) => cache.getOrSet(...given))
    },
  },
}

/** A promise, and the function that resolves it. */
function gate() {
  let open = () => {}
  const opened = new Promise((/** @type {(nothing: void) => void} */ resolve) => (open = resolve))
  return { open, opened }
}

let prefixes = 0

for (const [title, { make }] of Object.entries(DOERS)) {
  /** Two that share nothing but the server, under a prefix of their own. */
  const two = async () => {
    const db = await database
    const prefix = `${prefixes++}:`
    return [make(db.pool({ max: 3 }), prefix), make(db.pool({ max: 3 }), prefix)]
  }

  test(`${title} within the work of the same key rejects at once, at any depth`, async () => {
    const [once] = await two()
    const work = async () => {
      await assert.rejects(
        once('a', () => assert.fail('it ran')),
        OWN,
      )
      await Promise.resolve()
      return await once('b', async () => {
        await assert.rejects(
          once('a', () => assert.fail('it ran')),
          OWN,
        )
        return await once('c', () => 'deep')
      })
    }
    assert.equal(await inTime('the work', once('a', work)), 'deep')
    // If the error is not caught, the work fails, and the next caller does it.
    await assert.rejects(
      once('fails', () => once('fails', () => 1)),
      { code: OWN.code },
    )
    assert.equal(await once('fails', () => 2), 2)
  })

  test(`${title} of the same key works after the end of the work, and under another prefix`, async () => {
    const db = await database
    const pool = db.pool({ max: 3 })
    const [once, other] = [make(pool, `${prefixes++}:`), make(pool, `${prefixes++}:`)]
    const { open, opened } = gate()
    /** @type {Promise<any> | undefined} */
    let later
    const work = async () => {
      // The work does not await this call, which continues after the end of the work.
      later = opened.then(() => once('a', () => assert.fail('there is a result')))
      return await other('a', () => 'of the other prefix')
    }
    assert.equal(await inTime('the work', once('a', work)), 'of the other prefix')
    open()
    assert.equal(
      await inTime('the call that the work did not await', /** @type {any} */ (later)),
      'of the other prefix',
    )
  })

  for (const [where, isShared] of /** @type {[string, boolean][]} */ ([
    ['through one pool', true],
    ['through two', false],
  ])) {
    test(`${title}: two calls that wait for each other end by "wait", ${where}`, async () => {
      const [first, second] = await two()
      const other = isShared ? first : second
      const [a, b] = [gate(), gate()]
      const cross = (
        /** @type {Do} */ once,
        /** @type {string} */ key,
        /** @type {any} */ mine,
        /** @type {any} */ theirs,
      ) =>
        once(key[0], async () => {
          mine.open()
          await theirs.opened
          return await once(key[1], () => `${key[1]} by ${key[0]}`, { wait: 300 }).catch((error) => error.code)
        })
      const outcomes = await inTime('both', Promise.all([cross(first, 'ab', a, b), cross(other, 'ba', b, a)]))
      assert.ok(outcomes.includes(TIMEOUT.code), String(outcomes))
    })

    test(`${title}: "wait" and "signal" end the wait for another caller, ${where}`, async () => {
      const [first, second] = await two()
      const other = isShared ? first : second
      const { open, opened } = gate()
      const began = gate()
      const working = first('k', async () => {
        began.open()
        await opened
        return 'by the first'
      })
      await began.opened
      const never = () => assert.fail('it ran')
      await inTime('wait: 0', assert.rejects(other('k', never, { wait: 0 }), TIMEOUT))
      await inTime('wait: 50', assert.rejects(other('k', never, { wait: 50 }), TIMEOUT))
      const reason = new Error('enough')
      await inTime('aborted before', assert.rejects(other('k', never, { signal: AbortSignal.abort(reason) }), reason))
      const controller = new AbortController()
      const waiting = other('k', never, { signal: controller.signal, wait: 1e9 })
      const patient = other('k', never, { wait: Infinity, signal: new AbortController().signal })
      const rejected = assert.rejects(waiting, reason)
      setImmediate(() => controller.abort(reason))
      await inTime('signal', rejected)
      open()
      assert.equal(await working, 'by the first')
      assert.equal(await inTime('the one that waits without limit', patient), 'by the first')
    })
  }

  test(`${title}: "wait" and "signal" do not end the caller's own work`, async () => {
    const [once, other] = await two()
    const controller = new AbortController()
    const work = async () => {
      controller.abort()
      // Another caller's wait has ended meanwhile, so this one's limit has passed, too.
      await assert.rejects(
        other('own', () => assert.fail('it ran'), { wait: 100 }),
        TIMEOUT,
      )
      return 'done'
    }
    assert.equal(await once('own', work, { wait: 50, signal: controller.signal }), 'done')
    assert.equal(await once('own at once', () => 'done', { wait: 0 }), 'done')
  })

  test(`${title}: if the first waiter of a process gives up, the others continue to wait`, async () => {
    const [first, second] = await two()
    const { open, opened } = gate()
    const began = gate()
    const working = first('k', async () => {
      began.open()
      await opened
      throw new Error('no result')
    })
    const failed = assert.rejects(working, /no result/)
    await began.opened
    const impatient = second('k', () => assert.fail('its caller has gone'), { wait: 100 })
    const patient = second('k', () => 'by the patient one')
    await inTime('the impatient one', assert.rejects(impatient, TIMEOUT))
    open()
    await failed
    assert.equal(await inTime('the patient one', patient), 'by the patient one')
  })
}

test('a background refresh may request the entry whose compute has begun the refresh', async () => {
  const cache = new PostgresAdapter((await database).pool(), { keyPrefix: 'refresh:' })
  const options = { ttl: 1, staleTtl: 600_000 }
  const mayEnd = gate()
  let hasBegun = false
  await cache.getOrSet('b', () => 'old', options)
  /** @type {unknown} */
  let seen
  const a = await cache.getOrSet('a', async () => {
    await until('the refresh has begun', async () => {
      await cache.getOrSet(
        'b',
        async () => {
          hasBegun = true
          await mayEnd.opened
          seen = await cache.getOrSet('a', () => assert.fail('it is there'))
          return 'new'
        },
        options,
      )
      return hasBegun
    })
    return 'of a'
  })
  assert.equal(a, 'of a')
  mayEnd.open()
  await until('the refresh is stored', async () => (await cache.get('b')) === 'new')
  assert.equal(seen, 'of a')
})

test('invalid limits reject, and nothing runs', async () => {
  const results = new PostgresIdempotencyAdapter((await database).pool())
  const cache = new PostgresCacheAdapter((await database).pool())
  const never = () => assert.fail('it ran')
  for (const [options, code] of /** @type {[any, string][]} */ ([
    [{ wait: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ wait: Number.NaN }, 'ERR_OUT_OF_RANGE'],
    [{ wait: '1 s' }, 'ERR_INVALID_ARG_TYPE'],
    [{ signal: {} }, 'ERR_INVALID_ARG_TYPE'],
  ])) {
    await assert.rejects(results.run('bad', never, options), { code })
    await assert.rejects(cache.getOrSet('bad', never, options), { code })
  }
})

test('a wait that has ended does not keep the process alive', async () => {
  const db = await database
  const results = new PostgresIdempotencyAdapter(db.pool())
  const { open, opened } = gate()
  const began = gate()
  const working = results.run('held', async () => {
    began.open()
    await opened
    return 'done'
  })
  await began.opened
  // The process ends while the work still runs, or it is killed.
  const said = await runScript(
    db.url,
    `const results = new PostgresIdempotencyAdapter(new pg.Pool({ connectionString: url }))
     await results.run('free', () => 1, { wait: 1e9 })
     const controller = new AbortController()
     const waits = [{ wait: 50 }, { wait: 1e9, signal: controller.signal }]
     setTimeout(() => controller.abort(new Error('aborted')), 100)
     const outcomes = await Promise.allSettled(waits.map((limit) => results.run('held', () => 2, limit)))
     say(outcomes.map(({ reason }) => reason.code ?? reason.message))`,
    { lifetime: 60_000 },
  )
  assert.deepEqual(said, [['ERR_WORK_WAIT_TIMEOUT', 'aborted']])
  open()
  await working
})
