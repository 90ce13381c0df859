// @ts-check
// @configurations first
// Rows that another transaction keeps locked. A call that waits for one delays no unrelated call, even if they share a
// connection, a statement or a pool of one connection. Otherwise the delay could last for ever: see the first test.
'use strict'

const assert = require('node:assert/strict')
const { test, before } = require('node:test')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const pooler = require('../../scripts/servers/pooler.js')
const { inTime, until } = require('../support/waiting.js')

const database = useDatabase()

before(async () => {
  await new PostgresAdapter((await database).pool()).connect()
})

/** @type {[title: string, open: (t: import('node:test').TestContext) => Promise<string>, skip: string | false][]} */
const ROUTES = [
  ['on a direct connection', async () => (await database).url, false],
  [
    `through ${pooler.title} in transaction mode`,
    async (t) => {
      const { url, stop } = await pooler.startPooler((await database).url, 'ignore_startup_parameters = options')
      t.after(stop)
      return url
    },
    pooler.missing || false,
  ],
]

for (const [title, open, skip] of ROUTES) {
  for (const max of [1, 2, 10]) {
    test(`with a checked token, a transaction can await a cache write beside an acquire, ${title}, max ${max}`, {
      skip,
    }, async (t) => {
      const db = await database
      const locks = new PostgresAdapter(db.pool({ connectionString: await open(t), max }))
      const key = `checked ${title} ${max}`
      // The connections have prepared both statements.
      for (let n = 0; n < 3; n++) await Promise.all([locks.set('warm', n), locks.acquire('warm', 1, 'warm')])
      for (const isFirst of [true, false]) {
        const lease = await locks.lock(key, { ttl: 1_000, renew: false })
        const client = new pg.Client(db.url)
        await client.connect()
        await client.query('BEGIN')
        await client.query('SELECT go_goscope_check_fencing_token($1, $2)', [key, String(lease.fencingToken)])
        await until('the end of the lease', async () => (await locks.holder(key)) === null)
        /** @type {Promise<any>[]} */
        const calls = []
        if (!isFirst) calls.push(locks.set(`data ${key}`, 1))
        const waiting = locks.acquire(key, 60_000)
        if (isFirst) calls.push(locks.set(`data ${key}`, 1))
        // The transaction ends after this. Only then can the lock be acquired.
        await inTime('the cache write', Promise.all(calls))
        await client.query('COMMIT')
        await client.end()
        const handle = await inTime('the lock', waiting)
        assert.ok(handle)
        await handle.release()
      }
      await locks.disconnect()
    })
  }

  test(`many rows locked among hundreds of calls of every kind, ${title}`, { skip }, async (t) => {
    const db = await database
    const adapter = new PostgresAdapter(db.pool({ connectionString: await open(t), max: 3 }))
    const stuck = Array.from({ length: 12 }, (_, n) => `stuck ${title} ${n}`)
    await Promise.all(
      stuck.flatMap((key) => [
        adapter.set(key, 0),
        adapter.recordFailure(key, 99),
        adapter.acquire(key, 60_000, 'me'),
        adapter.save({ id: key, taskId: key, sequence: 1, timestamp: 1, progress: 0, data: 0 }),
      ]),
    )
    const holder = await db.hold(
      `SELECT FROM go_goscope_cache c, go_goscope_circuit b, go_goscope_locks l, go_goscope_checkpoints p
        WHERE c.key = 'cache:' || b.tail AND p.id = b.tail AND l.key = 'lock:' || b.tail FOR UPDATE OF c, l, p`.replace(
        'go_goscope_circuit b',
        "(SELECT substr(key, 9) AS tail FROM go_goscope_circuit WHERE key LIKE 'circuit:stuck%' FOR UPDATE) AS b",
      ),
      [],
    )
    let settled = 0
    const blocked = stuck.flatMap((key) => [
      adapter.set(key, 1),
      adapter.recordFailure(key, 99),
      adapter.extend(key, 60_000, 'me'),
      adapter.save({ id: key, taskId: key, sequence: 2, timestamp: 2, progress: 1, data: 1 }),
    ])
    for (const call of blocked) call.finally(() => settled++).catch(() => {})
    const free = Array.from({ length: 100 }, (_, n) => `free ${title} ${n}`)
    const calls = () =>
      Promise.all(
        free.flatMap((key) => [
          adapter.set(key, 1),
          adapter.recordFailure(key, 99),
          adapter.acquire(key, 60_000, 'me'),
          adapter.save({ id: key, taskId: key, sequence: 1, timestamp: 1, progress: 1, data: 1 }),
          adapter.get(key),
        ]),
      )
    for (let round = 0; round < 3; round++) await inTime('the calls on other keys', calls())
    assert.equal(settled, 0, 'their rows are locked')
    await holder.commit()
    const results = await inTime('the calls on the locked rows', Promise.all(blocked))
    for (let n = 0; n < results.length; n += 4) {
      assert.deepEqual(results.slice(n, n + 4), [undefined, 2, true, undefined])
    }
    await adapter.disconnect()
  })
}

for (const max of [1, 3]) {
  test(`getMany waits for an earlier write of one of its keys, and later writes of the others do not, max ${max}`, async () => {
    const db = await database
    const adapter = new PostgresAdapter(db.pool({ max }))
    const [locked = '', free = ''] = [`many ${max} locked`, `many ${max} free`]
    await Promise.all([adapter.set(locked, 1), adapter.set(free, 1)])
    const holder = await db.hold('SELECT FROM go_goscope_cache WHERE key = $1 FOR UPDATE', [`cache:${locked}`])
    const written = adapter.set(locked, 2)
    const read = adapter.getMany([locked, free])
    await inTime('a write of the other key', adapter.set(free, 2))
    await holder.commit()
    await inTime('the write of the locked key', written)
    assert.deepEqual(await inTime('getMany', read), [2, 1])
    await adapter.disconnect()
  })

  test(`a locked table among hundreds of calls on it: calls on other tables proceed, max ${max}`, async () => {
    const db = await database
    const adapter = new PostgresAdapter(db.pool({ max }))
    const keys = Array.from({ length: 300 }, (_, n) => `table ${max} ${n}`)
    await Promise.all(keys.map((key) => adapter.set(key, 1)))
    const holder = await db.hold('LOCK TABLE go_goscope_cache IN ACCESS EXCLUSIVE MODE', [])
    let settled = 0
    const blocked = keys.flatMap((key) => [adapter.get(key), adapter.set(key, 2), adapter.get(key)])
    for (const call of blocked) call.finally(() => settled++).catch(() => {})
    for (let count = 1; count < 4; count++) {
      const others = Promise.all(keys.map((key) => adapter.recordFailure(key, 99)))
      assert.deepEqual([...new Set(await inTime('another table', others))], [count])
    }
    assert.equal(settled, 0, 'their table is locked')
    await holder.commit()
    const results = await inTime('the calls on the locked table', Promise.all(blocked))
    for (let n = 0; n < results.length; n += 3) assert.deepEqual(results.slice(n, n + 3), [1, undefined, 2])
    await adapter.disconnect()
  })
}

// A statement is prepared at its second execution on a connection, and preparing waits for the table's lock.
for (const max of [1, 2, 10]) {
  test(`statements about to be prepared on a locked table wait, and delay no other call, max ${max}`, async () => {
    const db = await database
    const pool = db.pool({ max })
    const adapter = new PostgresAdapter(pool)
    const key = `prepared ${max}`
    await adapter.connect()
    await Promise.all([adapter.acquire(`${key} warm`, 60_000), adapter.getState(key), adapter.recordFailure(key, 99)])
    // After this, the session has the user's limit.
    await new PostgresAdapter(pool).connect()
    const holder = await db.hold('LOCK TABLE go_goscope_locks IN ACCESS EXCLUSIVE MODE', [])
    const blocked = [
      adapter.acquire(`${key} 1`, 60_000, 'me'),
      adapter.acquire(`${key} 2`, 60_000),
      adapter.holder(key),
    ]
    const outcome = Promise.all(blocked)
    outcome.catch(() => {})
    assert.equal(await inTime('a write of another table', adapter.recordFailure(key, 99)), 2)
    assert.equal((await inTime('a read of another table', adapter.getState(key)))?.failureCount, 2)
    await until('a statement waits for the lock', async () => (await db.longestWait()) >= (max === 1 ? 30 : 400))
    await holder.commit()
    const [first, second, third] = await inTime('the calls on the locked table', outcome)
    assert.deepEqual([Boolean(first), Boolean(second), third], [true, true, null])
    await adapter.disconnect()
  })
}

test("the user's own limits count for the whole wait, also if blocked calls alternate", async () => {
  const db = await database
  for (const [options, code] of /** @type {[import('pg').PoolConfig, string][]} */ ([
    [{ lock_timeout: 700, max: 1 }, '55P03'],
    [{ lock_timeout: 700, max: 2 }, '55P03'],
    [{ statement_timeout: 700, max: 1 }, '57014'],
    [{ statement_timeout: 700, max: 2 }, '57014'],
    [{ query_timeout: 700, max: 1 }, 'ETIMEDOUT'],
  ])) {
    const adapter = new PostgresAdapter(db.pool(options))
    await adapter.set('limited', 0)
    const holder = await db.hold("SELECT FROM go_goscope_cache WHERE key = 'cache:limited' FOR UPDATE", [])
    const error = await inTime(
      'the limit',
      adapter.set('limited', 1).then(
        () => assert.fail('the row is locked'),
        (error) => error,
      ),
    )
    assert.match(`${error.code ?? ''} ${error.message}`, code === 'ETIMEDOUT' ? /timeout/ : new RegExp(`^${code}`))
    await holder.commit()
    assert.equal(await adapter.get('limited'), 0)
    await adapter.disconnect()
  }
})
