// @ts-check
// @configurations first
// What the end of a pool, and of a process, waits for: locks that must be released, and work in progress in run() and
// getOrSet().
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { runScript, startScript } = require('../support/script.js')
const { inTime, until } = require('../support/waiting.js')

const database = useDatabase()
const ENDED = { message: 'Cannot use a pool after calling end on the pool' }

/** The names of all locks that have a live row, claims included. */
async function heldLocks() {
  const rows = await (await database).query(
    `SELECT key FROM go_goscope_locks WHERE expires_at > timezone('UTC', clock_timestamp()) ORDER BY key`,
  )
  return rows.map(({ key }) => key)
}

const tables = database.then(async (db) => {
  const adapter = new PostgresAdapter(db.pool())
  await adapter.connect()
  await new PostgresIdempotencyAdapter(db.pool()).connect()
  await db.query('CREATE TABLE charges (id serial PRIMARY KEY, key text NOT NULL)')
})

/** @param {string} key @returns {Promise<number>} */
async function charges(key) {
  return (await (await database).query('SELECT count(*)::int AS n FROM charges WHERE key = $1', [key]))[0].n
}

/** A promise, and the function that resolves it. */
function gate() {
  let open = () => {}
  const opened = new Promise((/** @type {(nothing: void) => void} */ resolve) => (open = resolve))
  return { open, opened }
}

test('a lock() aborted while its request is in flight is released before disconnect() resolves', async () => {
  const db = await database
  await tables
  const rounds = 60
  let left = 0
  for (let round = 0; round < rounds; round++) {
    const adapter = new PostgresAdapter(db.pool({ max: 2 }))
    // Some with an open connection, where the answer takes a moment only.
    if (round % 3 !== 0) await adapter.has('x')
    const controller = new AbortController()
    const lock = adapter.lock(`aborted ${round}`, { ttl: 600_000, signal: controller.signal })
    // The same tick, the next one, or around the moment of the answer.
    if (round % 3 === 1) await null
    if (round % 3 === 2) await sleep(round % 4)
    controller.abort(new Error('enough'))
    const [outcome] = await Promise.allSettled([lock, adapter.disconnect()])
    // Granted before the abort, so it belongs to the caller, who had no time to release it.
    if (outcome.status === 'fulfilled') await new PostgresAdapter(db.pool()).forceRelease(`aborted ${round}`)
    else assert.equal(outcome.reason.message, 'enough')
    left += (await heldLocks()).length
    assert.deepEqual(await heldLocks(), [], `round ${round}`)
  }
  console.log(`  ${left} of ${rounds} aborted locks were held after disconnect()`)
})

test('the same at the end of the process’s work: it exits when the lock has been released', async () => {
  const db = await database
  await tables
  const abort = async (/** @type {number} */ n) => {
    await runScript(
      db.url,
      `const controller = new AbortController()
       if (${n % 2} === 1) await adapter.has('x')
       adapter.lock('exit ${n}', { ttl: 600_000, signal: controller.signal }).then((lease) => lease.release(), () => {})
       ${n % 4 < 2 ? 'await null' : `await sleep(${n % 3})`}
       controller.abort()
       pool.on('error', () => {})`,
      { lifetime: 60_000 },
    )
  }
  for (let round = 0; round < 5; round++) {
    await Promise.all(Array.from({ length: 4 }, (_, n) => abort(round * 4 + n)))
  }
  const held = (await heldLocks()).filter((key) => key.startsWith('lock:exit'))
  console.log(`  ${held.length} of 20 locks were held when the process had ended`)
  assert.deepEqual(held, [])
})

test('a pending release delays disconnect() within a limit only', async () => {
  const db = await database
  await tables
  const adapter = new PostgresAdapter(db.pool({ max: 2, application_name: 'stuck' }))
  await adapter.has('x')
  const holder = await db.plain.connect()
  await holder.query('BEGIN; LOCK TABLE go_goscope_locks IN ACCESS EXCLUSIVE MODE')
  const controller = new AbortController()
  const lock = adapter.lock('stuck', { ttl: 600_000, signal: controller.signal })
  await db.untilWaiting(1)
  controller.abort()
  await assert.rejects(lock, { name: 'AbortError' })
  // The table is locked until disconnect() has resolved.
  await inTime('disconnect()', adapter.disconnect())
  await holder.query('ROLLBACK')
  holder.release()
  // Beyond the limit nothing is promised: the server may still grant the lock, which then lasts for its TTL.
  const sessions = `SELECT FROM pg_stat_activity WHERE application_name = 'stuck' AND datname = current_database() AND state <> 'idle'`
  await until('its statements have ended', async () => (await db.query(sessions)).length === 0)
  await new PostgresAdapter(db.pool()).forceRelease('stuck')
})

test('a waiting lock() is refused when the pool ends, and a lock granted at that moment is released', async () => {
  const db = await database
  await tables
  const other = new PostgresAdapter(db.pool())
  for (let round = 0; round < 20; round++) {
    const adapter = new PostgresAdapter(db.pool({ max: 2 }))
    const lease = await other.lock('busy', { ttl: 600_000 })
    const waits = adapter.lock('busy', { ttl: 600_000 })
    waits.catch(() => {})
    await sleep(20)
    const released = lease.release()
    if (round % 2) await sleep(round % 5)
    const ended = adapter.disconnect()
    const [outcome] = await Promise.allSettled([waits, ended, released])
    if (outcome.status === 'rejected') {
      assert.equal(outcome.reason.message, ENDED.message)
      assert.deepEqual(await heldLocks(), [], `round ${round}`)
    } else await other.forceRelease('busy')
  }
})

/** @type {[string, (adapter: PostgresAdapter, pool: import('pg').Pool) => Promise<void>][]} */
const ends = [
  ['disconnect()', (adapter) => adapter.disconnect()],
  ['the application’s own pool.end()', (_, pool) => pool.end()],
]

for (const [name, end] of ends) {
  test(`${name} waits for a running run(), stores its result and releases its claim`, async () => {
    const db = await database
    await tables
    const pool = db.pool({ max: 3 })
    const [adapter, results] = [new PostgresAdapter(pool), new PostgresIdempotencyAdapter(pool)]
    const [started, goOn] = [gate(), gate()]
    const key = `charge by ${name}`
    const charge = async () => {
      await db.query('INSERT INTO charges (key) VALUES ($1)', [key])
      started.open()
      await goOn.opened
      return { charged: 1 }
    }
    const running = results.run(key, charge)
    const joins = results.run(key, charge)
    await started.opened
    let hasEnded = false
    const ended = end(adapter, pool).then(() => (hasEnded = true))
    // New calls are refused at once, and so are new runs.
    await assert.rejects(results.run('another', charge), ENDED)
    await assert.rejects(adapter.getOrSet('another', charge), ENDED)
    await assert.rejects(adapter.lock('another', { ttl: 1_000 }), ENDED)
    await assert.rejects(adapter.get('another'), ENDED)
    assert.throws(() => adapter.subscribe('another', () => {}), ENDED)
    assert.equal(adapter.isConnected(), false)
    await sleep(100)
    assert.equal(hasEnded, false)
    goOn.open()
    assert.deepStrictEqual(await Promise.all([running, joins]), [{ charged: 1 }, { charged: 1 }])
    await ended
    assert.deepEqual(await heldLocks(), [])
    const next = new PostgresIdempotencyAdapter(db.pool())
    assert.deepStrictEqual(await next.run(key, charge), { charged: 1 })
    assert.equal(await charges(key), 1)
  })

  test(`${name} waits for a running getOrSet(), and for a background refresh`, async () => {
    const db = await database
    await tables
    const pool = db.pool({ max: 3 })
    const adapter = new PostgresAdapter(pool, { keyPrefix: `${name}:` })
    const cache = new PostgresCacheAdapter(pool, { keyPrefix: `${name}:` })
    await cache.initialize()
    const [started, goOn, refreshes] = [gate(), gate(), gate()]
    await cache.set('stale', 'old', 600_000)
    const computed = adapter.getOrSet('k', async () => {
      started.open()
      await goOn.opened
      return 'computed'
    })
    const refresh = async () => {
      refreshes.open()
      await goOn.opened
      return 'new'
    }
    assert.equal(await cache.getOrSet('stale', refresh, { ttl: 600_000, staleTtl: 599_999_999 }), 'old')
    await Promise.all([started.opened, refreshes.opened])
    const ended = end(adapter, pool)
    goOn.open()
    assert.equal(await computed, 'computed')
    await ended
    assert.deepEqual(await heldLocks(), [])
    const again = db.pool()
    assert.equal(await new PostgresAdapter(again, { keyPrefix: `${name}:` }).get('k'), 'computed')
    assert.equal(await new PostgresCacheAdapter(again, { keyPrefix: `${name}:` }).get('stale'), 'new')
  })
}

test('calls made by the work itself succeed while disconnect() waits, and none after it', async () => {
  const db = await database
  await tables
  const pool = db.pool({ max: 3 })
  const [adapter, results] = [new PostgresAdapter(pool), new PostgresIdempotencyAdapter(pool)]
  const [started, goOn] = [gate(), gate()]
  /** @type {() => Promise<unknown>} */
  let later = async () => undefined
  const running = results.run('outer', async () => {
    started.open()
    await goOn.opened
    await adapter.set('inner', 1)
    const lease = await adapter.lock('inner', { ttl: 60_000 })
    assert.equal(await lease.isValid(), true)
    assert.equal(await lease.extend(60_000), true)
    await lease.release()
    const nested = await results.run('nested', async () => (await adapter.get('inner')) + 1)
    const computed = await adapter.getOrSet('computed', async () => nested + 1)
    later = () => adapter.get('inner')
    return computed
  })
  await started.opened
  const ended = adapter.disconnect()
  await assert.rejects(adapter.get('inner'), ENDED)
  goOn.open()
  assert.equal(await running, 3)
  await assert.rejects(later(), ENDED)
  await ended
  await assert.rejects(later(), ENDED)
  assert.deepEqual(await heldLocks(), [])
  assert.deepEqual((await new PostgresIdempotencyAdapter(db.pool()).get('nested'))?.value, 2)
})

test('a wait that the work left behind is abandoned when the work ends', async () => {
  const db = await database
  await tables
  const other = await new PostgresAdapter(db.pool()).lock('held by another', { ttl: 600_000 })
  const pool = db.pool({ max: 3 })
  const [adapter, results] = [new PostgresAdapter(pool), new PostgresIdempotencyAdapter(pool)]
  /** @type {Promise<unknown>[]} */
  const left = []
  const [started, goOn] = [gate(), gate()]
  const running = results.run('leaves a wait behind', async () => {
    left.push(adapter.lock('held by another', { ttl: 1_000 }))
    left[0].catch(() => {})
    started.open()
    await goOn.opened
  })
  await started.opened
  const ended = adapter.disconnect()
  goOn.open()
  await running
  await inTime('disconnect()', ended)
  await assert.rejects(left[0], ENDED)
  await other.release()
})

test('disconnect() within the work does not wait for the work; the pool ends when the work ends', async () => {
  const db = await database
  await tables
  const pool = db.pool({ max: 3 })
  const [adapter, results] = [new PostgresAdapter(pool), new PostgresIdempotencyAdapter(pool)]
  const result = await inTime(
    'the run',
    results.run('ends the pool', async () => {
      await adapter.disconnect()
      assert.equal(adapter.isConnected(), false)
      await adapter.set('still', 'served')
      return 'done'
    }),
  )
  assert.equal(result, 'done')
  await assert.rejects(adapter.get('still'), ENDED)
  await inTime('disconnect()', adapter.disconnect())
  assert.equal(pool.ended, true)
  const again = db.pool()
  assert.equal(await new PostgresAdapter(again).get('still'), 'served')
  assert.equal((await new PostgresIdempotencyAdapter(again).get('ends the pool'))?.value, 'done')
})

// Such work never begins.
test('work that waits for another process is refused at once, while other work continues', async () => {
  const db = await database
  await tables
  const [other, pool] = [new PostgresIdempotencyAdapter(db.pool()), db.pool({ max: 3 })]
  const [adapter, results] = [new PostgresAdapter(pool), new PostgresIdempotencyAdapter(pool)]
  const goOn = gate()
  const [theirs, ours] = [gate(), gate()]
  const elsewhere = other.run('elsewhere', async () => {
    theirs.open()
    await goOn.opened
    return 'theirs'
  })
  await theirs.opened
  const waits = results.run('elsewhere', () => assert.fail('the work was begun'))
  waits.catch(() => {})
  const running = results.run('ours', async () => {
    ours.open()
    await goOn.opened
    return 'ours'
  })
  await ours.opened
  const ended = adapter.disconnect()
  await assert.rejects(inTime('the refusal', waits), ENDED)
  goOn.open()
  assert.deepEqual(await Promise.all([elsewhere, running]), ['theirs', 'ours'])
  await ended
})

test('deployments: each process ends by SIGTERM while it charges, and the next takes over: one charge a key', async () => {
  const db = await database
  await tables
  const keys = Array.from({ length: 12 }, (_, n) => `deployed ${n}`)
  const body = `
    const results = new PostgresIdempotencyAdapter(pool)
    let ends = false
    process.on('SIGTERM', () => { ends = true; adapter.disconnect().then(() => process.exit(0)) })
    say('ready')
    const charge = (key) => async () => {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      await client.query('INSERT INTO charges (key) VALUES ($1)', [key])
      say({ charged: key })
      await sleep(300)
      await client.end()
      return key
    }
    for (const key of input.keys) {
      try { say({ result: await results.run(key, charge(key), { claimTtl: 2_000 }) }) } catch (error) {
        if (!ends) throw error
        await new Promise(() => {})
      }
    }
    await adapter.disconnect()`
  const done = new Set()
  for (let deployment = 0; done.size < keys.length; deployment++) {
    const script = startScript(db.url, body, { input: { keys } })
    const charged = () => script.said().filter((said) => said.charged).length
    await until('it charges or is done', () => charged() > deployment % 3 || script.child.exitCode !== null)
    script.child.kill('SIGTERM')
    const { code, signal, said, stderr } = await script.ended
    assert.equal(code, 0, `${signal} ${stderr}`)
    for (const { result } of said) if (result) done.add(result)
    assert.deepEqual(await heldLocks(), [])
  }
  const counts = await Promise.all(keys.map(charges))
  console.log(`  ${counts.reduce((sum, n) => sum + n, 0)} charges for ${keys.length} keys`)
  assert.deepEqual(counts, Array(keys.length).fill(1))
})
