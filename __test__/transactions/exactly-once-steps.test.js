// @ts-check
// @configurations first
// run() with the option `transaction`, one fault at a time: what is committed, what the callers get, and that the client
// is released.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { Worker } = require('../support/processes.js')
const { startProxy } = require('../support/proxy.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()
const skip = process.platform === 'linux' ? false : 'it stops processes with signals'

const GATE = 'SELECT pg_advisory_xact_lock(7)'
const CLAIM_TTL_MS = 300

const tables = database.then(async (db) => {
  await db.query('CREATE TABLE effects (key text NOT NULL, value text NOT NULL)')
  await new PostgresIdempotencyAdapter(db.pool()).connect()
})

/** @param {string} key @returns {Promise<string[]>} */
async function effectsOf(key) {
  const rows = await (await database).query('SELECT value FROM effects WHERE key = $1 ORDER BY value', [key])
  return rows.map(({ value }) => value)
}

/** @param {string} key */
const stored = async (key) => {
  const [row] = await (await database).query('SELECT value FROM go_goscope_idempotency WHERE key = $1', [key])
  return row?.value
}

/**
 * A pool with room for one client, and run() in its transactions: a client that is not released would block the next.
 *
 * @param {import('pg').PoolConfig} [options]
 */
async function make(options) {
  await tables
  const pool = (await database).pool({ max: 1, ...options })
  const results = new PostgresIdempotencyAdapter((await database).pool(options))
  /** @type {(key: string, work: (context: any) => unknown, more?: object) => Promise<any>} */
  const run = (key, work, more) => results.run(key, work, /** @type {any} */ ({ transaction: pool, ...more }))
  /** How many clients the pool has, each of which must be idle. */
  const clients = () => {
    assert.equal(pool.idleCount, pool.totalCount, 'a client is not released')
    return pool.totalCount
  }
  return { pool, results, run, clients }
}

/** @param {string} key @param {string} value */
const effect =
  (key, value) =>
  async (/** @type {any} */ { client }) => {
    await client.query('INSERT INTO effects VALUES ($1, $2)', [key, value])
    return value
  }

const never = () => assert.fail('it ran a second time')

/**
 * A process whose work waits at the gate after its effect.
 *
 * @param {string} key
 * @param {boolean} isAtomic
 */
async function atTheGate(key, isAtomic) {
  await tables
  const db = await database
  const gate = await db.hold(GATE)
  const worker = new Worker('runBehindGate', { url: db.ownUrl, key, isAtomic, claimTtl: CLAIM_TTL_MS })
  await worker.ready
  worker.start()
  await db.untilWaiting()
  return { gate, worker }
}

test('the work, its result and the client: committed together, and released', async () => {
  const { run, clients, pool } = await make()
  assert.equal(await run('plain', effect('plain', 'first')), 'first')
  assert.equal(clients(), 1)
  assert.deepEqual([await effectsOf('plain'), await stored('plain')], [['first'], 'first'])
  assert.equal(await run('plain', never), 'first')
  assert.deepEqual((await pool.query('SELECT 1 AS one')).rows, [{ one: 1 }])
})

test('the work sees its own transaction, and no other session does before the COMMIT', async () => {
  const { run } = await make()
  await run('isolated', async (/** @type {any} */ context) => {
    await effect('isolated', 'mine')(context)
    const { rows } = await context.client.query("SELECT value FROM effects WHERE key = 'isolated'")
    assert.deepEqual(rows, [{ value: 'mine' }])
    assert.deepEqual(await effectsOf('isolated'), [])
    assert.ok(context.signal instanceof AbortSignal)
  })
  assert.deepEqual(await effectsOf('isolated'), ['mine'])
})

test('frozen for longer than its claim: of two that work, one commits, and both return its result', {
  skip,
}, async () => {
  const { gate, worker } = await atTheGate('frozen', true)
  worker.kill('SIGSTOP')
  const { run } = await make()
  assert.equal(await run('frozen', effect('frozen', 'second'), { claimTtl: CLAIM_TTL_MS }), 'second')
  await gate.commit()
  worker.kill('SIGCONT')
  assert.deepEqual(await worker.result, { value: 'second', aborted: true, leaked: 0 })
  assert.deepEqual(await effectsOf('frozen'), ['second'])
})

test('the same without a transaction leaves two effects, of one result', { skip }, async () => {
  const { gate, worker } = await atTheGate('twice', false)
  worker.kill('SIGSTOP')
  const { run } = await make()
  assert.equal(await run('twice', effect('twice', 'second'), { claimTtl: CLAIM_TTL_MS }), 'second')
  await gate.commit()
  worker.kill('SIGCONT')
  assert.equal((await worker.result).value, 'second')
  assert.deepEqual(await effectsOf('twice'), ['first', 'second'])
})

test('killed between its work and the COMMIT: neither effect nor result', { skip }, async () => {
  const { gate, worker } = await atTheGate('killed', true)
  worker.kill()
  await worker.exited
  await gate.commit()
  const { run } = await make()
  assert.equal(await run('killed', effect('killed', 'second'), { claimTtl: CLAIM_TTL_MS }), 'second')
  assert.deepEqual([await effectsOf('killed'), await stored('killed')], [['second'], 'second'])
})

test("the COMMIT's answer is lost: the caller gets the result, and the broken client is destroyed", async () => {
  const proxy = await startProxy((await database).url)
  const { run, clients } = await make({ connectionString: proxy.url })
  const value = await run('lost', async (context) => {
    proxy.loseNextAnswerTo('COMMIT')
    return await effect('lost', 'first')(context)
  })
  assert.equal(value, 'first')
  assert.equal(clients(), 0)
  assert.equal(await run('lost', never), 'first')
  assert.deepEqual(await effectsOf('lost'), ['first'])
})

test('the COMMIT is lost: the caller gets the error of the driver, and the next call works', async () => {
  const proxy = await startProxy((await database).url)
  const { run, clients } = await make({ connectionString: proxy.url })
  const cut = run('never sent', async (context) => {
    proxy.strikeNext('COMMIT', { in: 'request', how: 'reset' })
    return await effect('never sent', 'first')(context)
  })
  await assert.rejects(cut, { code: 'ECONNRESET' })
  assert.equal(clients(), 0)
  assert.equal(await run('never sent', effect('never sent', 'second')), 'second')
  assert.deepEqual(await effectsOf('never sent'), ['second'])
})

test('the COMMIT arrives late: the next call works meanwhile, and returns the result that comes first', async () => {
  const db = await database
  const proxy = await startProxy(db.url)
  const { run, clients } = await make({ connectionString: proxy.url })
  /** @type {any} */
  let strike
  const cut = run('late', async (context) => {
    strike = proxy.strikeNext('COMMIT', { in: 'request', how: 'hold' })
    return await effect('late', 'first')(context)
  })
  await assert.rejects(cut, { code: 'ECONNRESET' })
  assert.equal(clients(), 0)
  const next = run('late', effect('late', 'second'))
  await db.untilWaiting()
  await strike.deliver()
  assert.equal(await next, 'first')
  assert.deepEqual(await effectsOf('late'), ['first'])
})

test('the connection breaks between two queries of the work: the next query fails, and the process lives', async () => {
  const proxy = await startProxy((await database).url)
  const { run, pool, clients } = await make({ connectionString: proxy.url })
  const cut = run('between', async (context) => {
    await effect('between', 'first')(context)
    const ended = new Promise((resolve) => context.client.once('end', resolve))
    proxy.cutAll()
    await ended
    // Not rejected by the work: its result is to be stored on the broken connection.
    return 'first'
  })
  await assert.rejects(cut, /not queryable|Connection terminated/)
  assert.equal(clients(), 0)
  assert.deepEqual([await effectsOf('between'), await stored('between')], [[], undefined])
  // The pool's own listener is the only one again.
  const client = await pool.connect()
  assert.equal(client.listenerCount('error'), 1, 'that of the tests')
  client.release()
  assert.equal(await run('between', effect('between', 'second')), 'second')
  assert.equal(pool.totalCount, 1)
  const again = await pool.connect()
  assert.equal(again.listenerCount('error'), 1, 'that of the tests')
  again.release()
})

test('work that throws is rolled back, and its client is used again', async () => {
  const { run, clients } = await make()
  const failure = new RangeError('declined')
  const failing = run('throws', async (context) => {
    await effect('throws', 'first')(context)
    throw failure
  })
  await assert.rejects(failing, (error) => error === failure)
  assert.equal(clients(), 1)
  assert.deepEqual([await effectsOf('throws'), await stored('throws')], [[], undefined])
  assert.equal(await run('throws', effect('throws', 'second')), 'second')
})

test('a failed Result is rolled back, and returned unchanged', async () => {
  const { run, clients } = await make()
  const result = [new Error('declined'), undefined]
  const failing = run('result', async (context) => {
    await effect('result', 'first')(context)
    return result
  })
  assert.equal(await failing, result)
  assert.equal(clients(), 1)
  assert.deepEqual([await effectsOf('result'), await stored('result')], [[], undefined])
})

test('a result that JSON cannot represent is rolled back', async () => {
  const { run, clients } = await make()
  const unfit = run('bigint', async (context) => {
    await effect('bigint', 'first')(context)
    return 1n
  })
  await assert.rejects(unfit, { code: 'ERR_INVALID_ARG_VALUE' })
  assert.equal(clients(), 1)
  assert.deepEqual(await effectsOf('bigint'), [])
})

test('an error of the COMMIT reaches the caller, and nothing is stored', async () => {
  const db = await database
  const { run, clients } = await make()
  await db.query('CREATE TABLE singles (key text UNIQUE DEFERRABLE INITIALLY DEFERRED)')
  const twice = run('deferred', async (context) => {
    await effect('deferred', 'first')(context)
    for (const _ of [1, 2]) await context.client.query("INSERT INTO singles VALUES ('same')")
  })
  await assert.rejects(twice, { code: '23505', table: 'singles' })
  assert.equal(clients(), 1)
  assert.deepEqual([await effectsOf('deferred'), await stored('deferred')], [[], undefined])
})

test('a query that the work did not await fails before the COMMIT: nothing is stored, and the caller is told', async () => {
  const { run, clients } = await make()
  const overlooked = run('overlooked', async (context) => {
    await effect('overlooked', 'first')(context)
    const { client } = context
    const { query } = client
    client.query = (/** @type {string} */ text, /** @type {unknown[]} */ ...rest) => {
      const answer = query.call(client, text, ...rest)
      // Right after the statement that stores the result.
      if (text.includes('INSERT INTO')) query.call(client, 'SELECT 1 / 0').catch(() => {})
      return answer
    }
    return 'first'
  })
  await assert.rejects(overlooked, { code: 'ERR_TRANSACTION_ROLLED_BACK' })
  assert.equal(clients(), 1)
  assert.deepEqual([await effectsOf('overlooked'), await stored('overlooked')], [[], undefined])
})

test('a query whose failure the work has caught fails the transaction', async () => {
  const { run, clients } = await make()
  const caught = run('caught', async (context) => {
    await effect('caught', 'first')(context)
    await context.client.query('SELECT 1 / 0').catch(() => {})
  })
  await assert.rejects(caught, { code: '25P02' })
  assert.equal(clients(), 1)
  assert.deepEqual(await effectsOf('caught'), [])
})

test('another fingerprint is refused before the work, and no client is taken', async () => {
  const { run, clients } = await make()
  await run('order', effect('order', 'first'), { fingerprint: 'amount=1' })
  const mismatch = { code: 'ERR_IDEMPOTENCY_FINGERPRINT_MISMATCH' }
  await assert.rejects(run('order', never, { fingerprint: 'amount=2' }), mismatch)
  assert.equal(await run('order', never, { fingerprint: 'amount=1' }), 'first')
  assert.equal(clients(), 1)
})

test('another result came first and has expired since: rolled back, and the caller is told', async () => {
  const { run, results, clients } = await make()
  const db = await database
  /** @type {any} */
  let first
  const second = run('gone', async (context) => {
    // As a process that has taken over the claim would store it, and not committed before this one waits for its row.
    first = await db.hold(`INSERT INTO go_goscope_idempotency (key, value, expires_at)
      VALUES ('gone', '"first"', clock_timestamp() + INTERVAL '1 hour')`)
    return await effect('gone', 'second')(context)
  })
  await db.untilWaiting()
  await first.commit()
  assert.equal(await second, 'first')
  assert.deepEqual(await effectsOf('gone'), [])
  await results.delete('gone')

  const again = run('gone', async (context) => {
    const value = await effect('gone', 'third')(context)
    await results.set('gone', 'fourth')
    // It goes when this transaction has found it and has been rolled back, before it is read.
    const { client } = context
    const { query } = client
    client.query = async (/** @type {any[]} */ ...given) => {
      const answer = await query.apply(client, given)
      if (given[0] === 'ROLLBACK') {
        delete client.query
        await results.delete('gone')
      }
      return answer
    }
    return value
  })
  await assert.rejects(again, { code: 'ERR_IDEMPOTENCY_RESULT_GONE' })
  assert.equal(clients(), 1)
  assert.deepEqual(await effectsOf('gone'), [])
})

for (const level of ['serializable', 'repeatable read']) {
  test(`${level} by default: of two that work, one commits, and both return its result`, async () => {
    const { run, results, clients } = await make({
      options: `-c default_transaction_isolation=${level.replace(' ', '\\ ')}`,
    })
    const key = `at ${level}`
    const second = run(key, async (context) => {
      await effect(key, 'second')(context)
      const { rows } = await context.client.query("SELECT current_setting('transaction_isolation') AS level")
      assert.equal(rows[0].level, level)
      await results.set(key, 'first')
      return 'second'
    })
    assert.equal(await second, 'first')
    assert.equal(clients(), 1)
    assert.deepEqual(await effectsOf(key), [])
    assert.equal(await run(`${key}, alone`, effect(key, 'alone')), 'alone')
  })
}

test('`transaction` as a function: its commit, its rollback, its retries', async () => {
  const { run, pool, clients } = await make()
  let begun = 0
  const transact = async (/** @type {(client: any) => Promise<unknown>} */ work) => {
    const client = await pool.connect()
    try {
      for (;;) {
        begun++
        await client.query('BEGIN')
        try {
          const result = await work(client)
          await client.query('COMMIT')
          return result
        } catch (error) {
          await client.query('ROLLBACK')
          if (/** @type {any} */ (error).code !== '40001') throw error
        }
      }
    } finally {
      client.release()
    }
  }
  assert.equal(await run('function', effect('function', 'first'), { transaction: transact }), 'first')
  assert.equal(await run('function', never, { transaction: transact }), 'first')
  assert.equal(begun, 1)

  let tries = 0
  const retried = async (/** @type {any} */ context) => {
    await effect('retried', 'first')(context)
    if (++tries < 3) throw Object.assign(new Error('again'), { code: '40001' })
    return tries
  }
  assert.equal(await run('retried', retried, { transaction: transact }), 3)
  assert.deepEqual(await effectsOf('retried'), ['first'])

  const failing = run(
    'declined',
    async (context) => {
      await effect('declined', 'first')(context)
      throw new Error('declined')
    },
    { transaction: transact },
  )
  await assert.rejects(failing, /declined/)
  assert.deepEqual(await effectsOf('declined'), [])
  const ignoring = async () => {}
  await assert.rejects(run('ignored', never, { transaction: ignoring }), { code: 'ERR_INVALID_ARG_VALUE' })
  clients()
})

test('what is no source of transactions is refused before anything runs', async () => {
  const { run, results } = await make()
  for (const transaction of ['pool', 1, true, {}, { connect: true }]) {
    await assert.rejects(run('bad', never, { transaction }), { code: 'ERR_INVALID_ARG_TYPE', name: 'TypeError' })
  }
  assert.equal(await results.get('bad'), null)
  assert.equal(await run('none', () => 1, { transaction: null }), 1)
})

test('a pool that has no connection to give: its error reaches the caller, and the claim is free', async () => {
  const { run, results } = await make()
  const refused = Object.assign(new Error('no room'), { code: 'ETIMEDOUT' })
  const transaction = { connect: async () => Promise.reject(refused) }
  await assert.rejects(run('no client', never, { transaction }), (error) => error === refused)
  assert.equal(await results.run('no client', () => 'free'), 'free')
})

for (const end of /** @type {const} */ (['close', 'disconnect'])) {
  test(`${end}() waits for a run in a transaction of the same pool`, async () => {
    await tables
    const db = await database
    const pool = db.pool()
    const results = new PostgresIdempotencyAdapter(pool)
    const key = `until ${end}`
    /** @type {any} */
    let proceed
    const running = results.run(
      key,
      async (/** @type {any} */ context) => {
        await new Promise((resolve) => (proceed = resolve))
        return await effect(key, 'first')(context)
      },
      /** @type {any} */ ({ transaction: pool }),
    )
    await until('the work runs', () => proceed)
    let isOver = false
    const ending = results[end]().then(() => (isOver = true))
    await db.query('SELECT pg_sleep(0.05)')
    assert.equal(isOver, false)
    proceed()
    assert.equal(await running, 'first')
    await ending
    assert.deepEqual([await effectsOf(key), await stored(key)], [['first'], 'first'])
    assert.equal(pool.ending, end === 'disconnect')
  })
}
