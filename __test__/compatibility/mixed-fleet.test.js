// @ts-check
// @configurations every
// A rolling upgrade: processes on the pg-based adapter and processes on this one share the tables. The statements here
// are those of the pg-based adapter, with its own times (JS dates, on a host whose zone is UTC, as that adapter needs).
// They run through plain `pg`.
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()

// pg writes and reads a TIMESTAMP in the process's zone; the pg-based fleet runs in UTC.
const zone = process.env.TZ
let inUtcNow = 0
const inUtc = async (/** @type {() => Promise<any>} */ work) => {
  process.env.TZ = 'UTC'
  inUtcNow++
  try {
    return await work()
  } finally {
    // Several may be in flight, and none may see the zone change halfway.
    if (--inUtcNow === 0) process.env.TZ = zone
  }
}

/** The pg-based adapter's locks: one client, a transaction, FOR UPDATE. */
async function pgAcquire(/** @type {string} */ key, /** @type {number} */ ttl, /** @type {string} */ owner) {
  const client = await (await database).plain.connect()
  try {
    return await inUtc(async () => {
      await client.query('BEGIN')
      const { rows } = await client.query('SELECT owner, expires_at FROM go_goscope_locks WHERE key = $1 FOR UPDATE', [
        key,
      ])
      const now = Date.now()
      if (rows.length > 0 && new Date(rows[0].expires_at).getTime() > now && rows[0].owner !== owner) {
        await client.query('ROLLBACK')
        return false
      }
      const sql =
        rows.length > 0
          ? 'UPDATE go_goscope_locks SET owner = $2, expires_at = $3 WHERE key = $1'
          : 'INSERT INTO go_goscope_locks (key, owner, expires_at) VALUES ($1, $2, $3)'
      await client.query(sql, [key, owner, new Date(now + ttl)])
      await client.query('COMMIT')
      return true
    })
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
}

test('a lock that the pg-based adapter holds is busy for us, and our lock is busy for it', async () => {
  const locks = new PostgresAdapter((await database).pool())
  await locks.connect()
  assert.equal(await pgAcquire('lock:theirs', 60_000, 'them'), true)
  assert.equal(await locks.acquire('theirs', 60_000, 'us'), null)
  assert.equal(await locks.extend('theirs', 60_000, 'them'), true)

  const ours = await locks.acquire('ours', 60_000, 'us')
  assert.ok(ours)
  assert.equal(await pgAcquire('lock:ours', 60_000, 'them'), false)
  assert.equal(await pgAcquire('lock:ours', 60_000, 'us'), true)
  await ours.release()
  assert.equal(await pgAcquire('lock:ours', 60_000, 'them'), true)
})

test('each side acquires expired locks of the other', async () => {
  const locks = new PostgresAdapter((await database).pool())
  assert.equal(await pgAcquire('lock:their-expired', 50, 'them'), true)
  await sleep(80)
  assert.ok(await locks.acquire('their-expired', 60_000, 'us'))

  await locks.acquire('our-expired', 50, 'us')
  await sleep(80)
  assert.equal(await pgAcquire('lock:our-expired', 60_000, 'them'), true)
})

test('their clean-up leaves our live locks, and removes the expired ones', async () => {
  const db = await database
  const locks = new PostgresAdapter(db.pool())
  const live = await locks.acquire('cleaned:live', 60_000)
  await locks.acquire('cleaned:expired', 20)
  await sleep(50)
  await inUtc(() => db.query('DELETE FROM go_goscope_locks WHERE expires_at < $1', [new Date()]))
  assert.equal(await live?.isValid(), true)
  assert.deepEqual(await db.query("SELECT key FROM go_goscope_locks WHERE key = 'lock:cleaned:expired'"), [])
})

test('32 contenders of each side race for one lock: it has one holder', async () => {
  const db = await database
  const adapters = Array.from({ length: 4 }, () => new PostgresAdapter(db.pool({ max: 4 })))
  for (let round = 0; round < 10; round++) {
    // Theirs fails if two of them insert at once (or, if serializable, conflict at all): that counts as not acquired.
    const theirs = Array.from({ length: 32 }, (_, n) =>
      pgAcquire(`lock:race:${round}`, 60_000, `them:${n}`).catch((error) =>
        assert.ok(['23505', '40001'].includes(error.code), error.stack),
      ),
    )
    const ours = Array.from({ length: 32 }, (_, n) => adapters[n % 4].acquire(`race:${round}`, 60_000, `us:${n}`))
    const won = [...(await Promise.all(theirs)), ...(await Promise.all(ours)).map((handle) => handle !== null)]
    assert.equal(won.filter(Boolean).length, 1, `round ${round}`)
  }
})

test('circuit state: we read theirs, and their statement reads ours', async () => {
  const db = await database
  const circuits = new PostgresAdapter(db.pool())
  await circuits.connect()
  const [failed, succeeded] = [1_700_000_000_123, 1_709_210_096_789]
  const upsert = `INSERT INTO go_goscope_circuit (key, state, failure_count, last_failure_time, last_success_time, updated_at)
                  VALUES ($1, $2, $3, $4, $5, NOW())
                  ON CONFLICT (key) DO UPDATE SET state = EXCLUDED.state, failure_count = EXCLUDED.failure_count,
                    last_failure_time = EXCLUDED.last_failure_time, last_success_time = EXCLUDED.last_success_time, updated_at = EXCLUDED.updated_at`
  await db.query(upsert, ['circuit:theirs', 'open', 5, new Date(failed).toISOString(), null])
  assert.deepEqual(await circuits.getState('theirs'), { state: 'open', failureCount: 5, lastFailureTime: failed })
  assert.equal(await circuits.recordFailure('theirs', 9), 6)

  await circuits.setState('ours', {
    state: 'half-open',
    failureCount: 3,
    lastFailureTime: failed,
    lastSuccessTime: succeeded,
  })
  const [row] = await inUtc(() =>
    db.query(
      "SELECT state, failure_count, last_failure_time, last_success_time FROM go_goscope_circuit WHERE key = 'circuit:ours'",
    ),
  )
  assert.deepEqual(
    [
      row.state,
      Number.parseInt(row.failure_count, 10),
      new Date(row.last_failure_time).getTime(),
      new Date(row.last_success_time).getTime(),
    ],
    ['half-open', 3, failed, succeeded],
  )
})

test('cache: we read theirs, and their statement reads ours', async () => {
  const db = await database
  const cache = new PostgresAdapter(db.pool())
  await cache.connect()
  const expires = (/** @type {number} */ ms) => new Date(Date.now() + ms).toISOString()
  const insert = 'INSERT INTO go_goscope_cache (key, value, expires_at) VALUES ($1, $2, $3)'
  await db.query(insert, ['cache:theirs', JSON.stringify({ a: 1 }), expires(60_000)])
  await db.query(insert, ['cache:their-expired', '1', expires(-1000)])
  await db.query(insert, ['cache:theirs-for-good', '"text"', null])
  assert.deepEqual(await cache.get('theirs'), { a: 1 })
  assert.equal(await cache.get('their-expired'), null)
  assert.equal(await cache.get('theirs-for-good'), 'text')

  // They compare with NOW() in the session's zone, so this holds if the zone is UTC.
  await cache.set('ours', [1, 'é'], 60_000)
  await cache.set('our-expired', 1, 20)
  await sleep(40)
  const read =
    "SELECT value FROM go_goscope_cache WHERE key = $1 AND (expires_at IS NULL OR expires_at > timezone('UTC', NOW()))"
  assert.deepEqual(await db.query(read, ['cache:ours']), [{ value: [1, 'é'] }])
  assert.deepEqual(await db.query(read, ['cache:our-expired']), [])
})

test('a cache table made by the predecessor of PostgresCacheAdapter works', async () => {
  const db = await database
  await db.query('DROP TABLE IF EXISTS cache')
  await db.query(`CREATE TABLE cache (key VARCHAR(512) PRIMARY KEY, value JSONB NOT NULL, expires_at TIMESTAMP,
                    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, accessed_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)`)
  await db.query('CREATE INDEX idx_cache_expires_2 ON cache (expires_at) WHERE expires_at IS NOT NULL')
  await db.query('INSERT INTO cache (key, value, expires_at) VALUES ($1, $2, $3)', [
    'theirs',
    '[1]',
    new Date(Date.now() + 60_000).toISOString(),
  ])
  const cache = new PostgresCacheAdapter(db.pool())
  await cache.initialize()
  assert.deepEqual(await cache.get('theirs'), [1])
  await cache.set('ours', 2)
  assert.deepEqual((await cache.keys()).sort(), ['ours', 'theirs'])
  const long = 'x'.repeat(600)
  await cache.set(long, 3)
  assert.equal(await cache.get(long), 3)
})

test('idempotency: the table with VARCHAR(255), we read theirs, and their statement reads ours', async () => {
  const db = await database
  await db.query('DROP TABLE IF EXISTS go_goscope_idempotency')
  await db.query(`CREATE TABLE go_goscope_idempotency (key VARCHAR(255) PRIMARY KEY, value JSONB NOT NULL,
                    expires_at TIMESTAMP WITH TIME ZONE, created_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP,
                    updated_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP)`)
  const results = new PostgresIdempotencyAdapter(db.pool(), { keyPrefix: 'app:' })
  await results.connect()
  const expiresAt = Date.now() + 60_000
  await db.query(
    'INSERT INTO go_goscope_idempotency (key, value, expires_at, updated_at) VALUES ($1, $2, $3, CURRENT_TIMESTAMP)',
    ['app:theirs', JSON.stringify([null, 'done']), new Date(expiresAt).toISOString()],
  )
  assert.deepEqual(await results.get('theirs'), { value: [null, 'done'], expiresAt })
  const since = await db.clock()
  await results.set('ours', [undefined, { n: 1 }], 60_000)
  const [row] = await db.query(
    'SELECT value, expires_at FROM go_goscope_idempotency WHERE key = $1 AND (expires_at IS NULL OR expires_at > CURRENT_TIMESTAMP)',
    ['app:ours'],
  )
  assert.deepEqual(row.value, [null, { n: 1 }])
  const end = row.expires_at.getTime()
  assert.ok(end >= since + 60_000 - 1 && end <= (await db.clock()) + 60_000)
  const long = 'x'.repeat(300)
  await results.set(long, 1)
  assert.equal((await results.get(long))?.value, 1)
})

test('checkpoints: we read theirs, and their statement reads ours', async () => {
  const db = await database
  const checkpoints = new PostgresAdapter(db.pool())
  await checkpoints.connect()
  const insert = `INSERT INTO go_goscope_checkpoints (id, task_id, sequence, timestamp, progress, data, estimated_time_remaining)
                  VALUES ($1, $2, $3, $4, $5, $6, $7)
                  ON CONFLICT (id) DO UPDATE SET progress = EXCLUDED.progress, data = EXCLUDED.data, estimated_time_remaining = EXCLUDED.estimated_time_remaining`
  await db.query(insert, ['t-1', 't', 1, 1_700_000_000_000, 12.5, JSON.stringify({ at: 1 }), null])
  assert.deepEqual(await checkpoints.loadLatest('t'), {
    id: 't-1',
    taskId: 't',
    sequence: 1,
    timestamp: 1_700_000_000_000,
    progress: 12.5,
    data: { at: 1 },
  })
  await checkpoints.save({
    id: 't-2',
    taskId: 't',
    sequence: 2,
    timestamp: 1_700_000_000_001,
    progress: 25,
    data: { at: 2 },
    estimatedTimeRemaining: 9,
  })
  const [row] = await db.query(
    'SELECT * FROM go_goscope_checkpoints WHERE task_id = $1 ORDER BY sequence DESC LIMIT 1',
    ['t'],
  )
  assert.deepEqual(
    [row.id, row.sequence, Number(row.timestamp), row.progress, row.data, Number(row.estimated_time_remaining)],
    ['t-2', '2', 1_700_000_000_001, 25, { at: 2 }, 9],
  )
})
