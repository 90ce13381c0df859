// @ts-check
// @configurations first
// A process that releases a lock hands it over to its own next waiter: the row stays, and changes hands.
'use strict'

const assert = require('node:assert/strict')
const { after, test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { missing, startPooler } = require('../../scripts/servers/pooler.js')
const { useDatabase } = require('../support/database.js')
const leases = require('../support/leases.js')
const { startProxy } = require('../support/proxy.js')
const { urlAs } = require('../support/route.js')
const { inTime, until } = require('../support/waiting.js')

const database = useDatabase()
const pooler = missing ? undefined : database.then(({ url }) => startPooler(url))
after(async () => (await pooler)?.stop())

const TTL = { ttl: 600_000 }

/** @param {import('pg').PoolConfig} [options] */
const makeAdapter = async (options) => new PostgresAdapter((await database).pool(options))

/** Notes what happens to the rows of locks, in the order in which it happens. */
const noted = (async () => {
  const db = await database
  const adapter = await makeAdapter()
  await adapter.connect()
  await db.query(`
    CREATE TABLE noted (id BIGSERIAL, key TEXT, operation TEXT, owner TEXT, has_waiters BOOLEAN, expires_in INTERVAL);
    GRANT ALL ON noted TO PUBLIC; GRANT ALL ON SEQUENCE noted_id_seq TO PUBLIC;
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO noted (key, operation, owner, has_waiters, expires_in)
      SELECT it.key, TG_OP, it.owner, it.has_waiters, it.expires_at - clock_timestamp()::timestamp
        FROM (SELECT CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END AS row) AS found, LATERAL (SELECT (found.row).*) AS it;
      RETURN NULL;
    END $$;
    CREATE TRIGGER note AFTER INSERT OR DELETE OR UPDATE OF owner ON go_goscope_locks
      FOR EACH ROW EXECUTE FUNCTION note()`)
  return (/** @type {string} */ key) =>
    db.query('SELECT operation, owner, has_waiters, expires_in FROM noted WHERE key = $1 ORDER BY id', [`lock:${key}`])
})()

const untilMarked = async (/** @type {string} */ key) => leases.untilMarked(await database, key)

/**
 * A lock that its holder, who has taken it without waiting, can hand over to a waiter of the same process.
 *
 * @param {PostgresAdapter} adapter
 * @param {string} key
 * @param {Partial<import('goscope-postgres').LockOptions>} [options] of the waiter
 */
async function heldAndAwaited(adapter, key, options) {
  const held = await adapter.acquire(key, 600_000)
  assert.ok(held)
  const next = adapter.lock(key, { ...TTL, ...options })
  next.catch(() => {})
  await untilMarked(key)
  return { held, next }
}

test('the row changes hands, with another token and the waiter’s ttl, and keeps its mark', async () => {
  const [adapter, log] = [await makeAdapter(), await noted]
  const { held, next } = await heldAndAwaited(adapter, 'handed', { ttl: 50_000, renew: false })
  const last = adapter.lock('handed', TTL)
  await held.release()
  const lease = await next
  assert.ok(lease.fencingToken > /** @type {any} */ (held).fencingToken)
  assert.equal((await adapter.holder('handed'))?.owner, lease.owner)
  assert.deepEqual([await held.isValid(), await lease.isValid()], [false, true])
  const [inserted, handed, ...rest] = await log('handed')
  assert.deepEqual([inserted.operation, handed.operation, rest], ['INSERT', 'UPDATE', []])
  assert.deepEqual([handed.owner, handed.has_waiters], [lease.owner, true])
  await lease.release()
  await (await last).release()
  assert.equal(await adapter.holder('handed'), null)
})

test('a waiter with a name of its own takes the lock by itself, and keeps it when the holder releases again', async () => {
  const adapter = await makeAdapter()
  for (let n = 0; n < 20; n++) {
    const held = await adapter.lock('named', TTL)
    const first = held.release()
    const next = adapter.lock('named', { ...TTL, owner: 'a name' })
    const second = held.release()
    const lease = await inTime('the waiter', next)
    await Promise.all([first, second])
    assert.equal(lease.owner, 'a name')
    assert.equal(await lease.isValid(), true)
    await lease.release()
  }
})

test('a waiter takes the lock that is handed over while it pauses before its try', async () => {
  const [adapter, rival] = [await makeAdapter(), await makeAdapter()]
  for (let n = 0; n < 30; n++) {
    const held = await rival.lock('paused', TTL)
    const waits = Array.from({ length: 3 }, () => adapter.lock('paused', TTL))
    await untilMarked('paused')
    await held.release()
    const between = await adapter.acquire('paused', 600_000)
    await between?.release()
    for (const wait of waits) {
      const lease = await inTime('the waiter', wait)
      assert.equal(await lease.isValid(), true)
      await lease.release()
    }
    assert.equal(await rival.holder('paused'), null)
  }
})

test('many hold it one after the other, first-in, first-out, with tokens that grow', async () => {
  const adapter = await makeAdapter({ max: 2 })
  const held = await adapter.acquire('many', 600_000)
  /** @type {{ n: number, token: bigint }[]} */
  const seen = []
  let holders = 0
  const all = Array.from({ length: 200 }, async (_, n) => {
    const lease = await adapter.lock('many', TTL)
    assert.equal(++holders, 1)
    seen.push({ n, token: lease.fencingToken })
    if (n % 3 === 0) await adapter.get('a round trip')
    holders--
    await lease.release()
  })
  await held?.release()
  await inTime('all', Promise.all(all))
  assert.deepEqual(
    seen.map(({ n }) => n),
    all.map((_, n) => n),
  )
  for (let n = 1; n < seen.length; n++) assert.ok(seen[n].token > seen[n - 1].token)
  const operations = (await (await noted)('many')).map(({ operation }) => operation)
  console.log(`# figure: ${operations.filter((it) => it === 'UPDATE').length} of 200 leases were handed over`)
})

test('waiters of another process get their turn, however many wait here', async () => {
  const [here, there] = [await makeAdapter(), await makeAdapter()]
  let isOver = false
  const busy = Array.from({ length: 20 }, async () => {
    while (!isOver) await (await here.lock('turn', TTL)).release()
  })
  for (let n = 0; n < 5; n++) {
    const lease = await inTime('the turn of another process', there.lock('turn', TTL))
    await lease.release()
  }
  isOver = true
  await inTime('the others', Promise.all(busy))
})

test('a waiter that gives up when the lock is being handed over leaves it to the next', async () => {
  const adapter = await makeAdapter()
  let granted = 0
  for (let n = 0; n < 60; n++) {
    const key = `given up ${n % 5}`
    const held = await adapter.acquire(key, 600_000)
    const [giving, controller] = [n % 3, new AbortController()]
    const next = adapter.lock(key, { ...TTL, signal: controller.signal })
    const last = adapter.lock(key, TTL)
    if (giving > 0) await untilMarked(key)
    const released = held?.release()
    if (giving === 2) await released
    controller.abort()
    await next.then(
      (lease) => {
        granted++
        return lease.release()
      },
      (error) => assert.equal(error.name, 'AbortError'),
    )
    await (await inTime('the next waiter', last)).release()
    await released
    assert.equal(await adapter.holder(key), null)
  }
  console.log(`# figure: ${granted} granted, ${60 - granted} given up, in a race of the two`)
})

/** Of the requests on a lock, the next that has this is its release. */
const ownerOf = (/** @type {import('goscope-postgres').LockHandle} */ handle) =>
  String(/** @type {any} */ (handle).owner)

/** What is lost, when the lock is handed over through a proxy. */
const LOST = /** @type {const} */ (['request', 'answer'])
const routes = [
  { title: 'a connection of its own', url: async () => (await database).url, skip: false },
  { title: 'a pooler', url: async () => /** @type {any} */ (await pooler)?.url, skip: missing || false },
]
for (const { title, url, skip } of routes) {
  test(`over ${title}, a lost ${LOST.join(' or ')} neither loses the lock nor frees it twice`, { skip }, async () => {
    const proxy = await startProxy(await url())
    const adapter = await makeAdapter({ connectionString: proxy.url, max: 1 })
    const other = await makeAdapter()
    for (const lost of LOST) {
      const key = `lost ${title} ${lost}`
      const { held, next } = await heldAndAwaited(adapter, key)
      const strike = proxy.strikeNext(ownerOf(held), { in: lost, how: 'reset' })
      await inTime('the release', held.release())
      await strike.struck
      const lease = await inTime('the waiter', next)
      assert.equal((await other.holder(key))?.owner, lease.owner)
      assert.equal(await other.acquire(key, 60_000), null)
      assert.equal(await lease.isValid(), true)
      await lease.release()
      assert.equal(await other.holder(key), null)
    }
  })

  test(`over ${title}, a hand-over that arrives late changes no lease`, { skip }, async () => {
    const proxy = await startProxy(await url())
    const adapter = await makeAdapter({ connectionString: proxy.url, max: 1 })
    const [db, other] = [await database, await makeAdapter()]
    const key = `late ${title}`
    // Not renewed, so that nothing else moves its end.
    const { held, next } = await heldAndAwaited(adapter, key, { renew: false })
    const late = proxy.strikeNext(ownerOf(held), { in: 'request', how: 'hold' })
    await inTime('the release', held.release())
    const lease = await inTime('the waiter', next)
    const stored = () =>
      db.query('SELECT owner, fencing_token, expires_at FROM go_goscope_locks WHERE key = $1', [`lock:${key}`])
    const before = await stored()
    await late.deliver()
    assert.deepEqual(await stored(), before)
    await lease.release()
    assert.equal(await other.holder(key), null)
    const newer = await other.lock(key, TTL)
    assert.equal(await newer.isValid(), true)
    await newer.release()
  })
}

test('if the answer is lost and the server is away, the release rejects, and the lock is free when it is back', async () => {
  const proxy = await startProxy((await database).url)
  const adapter = await makeAdapter({ connectionString: proxy.url, max: 1 })
  const { held, next } = await heldAndAwaited(adapter, 'away')
  proxy.loseNextAnswerTo(ownerOf(held), { atOnce: () => proxy.refuse() })
  try {
    await inTime('the release', assert.rejects(held.release(), { code: /^E/ }))
  } finally {
    proxy.refuse(false)
  }
  const lease = await inTime('the waiter', next)
  assert.equal(await lease.isValid(), true)
  await lease.release()
})

test('it waits for a transaction in which the token was checked, and the new lease counts from after that', async () => {
  const [db, adapter, log] = [await database, await makeAdapter(), await noted]
  const { held, next } = await heldAndAwaited(adapter, 'checked', { ttl: 60_000, renew: false })
  const token = String(/** @type {any} */ (held).fencingToken)
  const checked = await db.hold(`SELECT go_goscope_check_fencing_token('checked', ${token})`)
  const released = held.release()
  await until('the hand-over waits for a second', async () => (await db.longestWait()) >= 1_000)
  assert.deepEqual((await log('checked')).length, 1)
  await checked.commit()
  await inTime('the release', released)
  await (await inTime('the waiter', next)).release()
  const [, handed] = await log('checked')
  assert.equal(handed.operation, 'UPDATE')
  const [{ is_whole }] = await db.query("SELECT $1::interval > '59.5 s' AS is_whole", [handed.expires_in])
  assert.ok(is_whole, `a lease of 60 s had ${JSON.stringify(handed.expires_in)} when it began`)
})

test('a lock that was lost before its release stays with its new holder', async () => {
  const [db, adapter] = [await database, await makeAdapter()]
  const { held, next } = await heldAndAwaited(adapter, 'lost before')
  await db.query("UPDATE go_goscope_locks SET owner = 'another' WHERE key = 'lock:lost before'")
  await inTime('the release', held.release())
  assert.equal((await adapter.holder('lost before'))?.owner, 'another')
  assert.equal(await adapter.release('lost before', 'another'), true)
  await (await inTime('the waiter', next)).release()
})

test('a lease that was lost is released without an error while the pool is being ended', async () => {
  for (let n = 0; n < 10; n++) {
    const pool = (await database).pool()
    const adapter = new PostgresAdapter(pool)
    const { held, next } = await heldAndAwaited(adapter, 'lost and ended')
    const freed = adapter.forceRelease('lost and ended')
    const released = held.release()
    const ended = pool.end()
    await Promise.all([freed, released, ended])
    await next.then(
      (lease) => lease.release().catch(() => {}),
      () => {},
    )
    await (await makeAdapter()).forceRelease('lost and ended')
  }
})

test('if a policy hides rows from changes, the lock is released all the same', async (t) => {
  const db = await database
  await db.query(`
    CREATE ROLE handing LOGIN PASSWORD 'secret'; GRANT ALL ON ALL TABLES IN SCHEMA public TO handing;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO handing; ALTER TABLE go_goscope_locks ENABLE ROW LEVEL SECURITY;
    CREATE POLICY reading ON go_goscope_locks FOR SELECT USING (true);
    CREATE POLICY taking ON go_goscope_locks FOR INSERT WITH CHECK (true);
    CREATE POLICY releasing ON go_goscope_locks FOR DELETE USING (true)`)
  t.after(() =>
    db.query('DROP OWNED BY handing; DROP ROLE handing; ALTER TABLE go_goscope_locks DISABLE ROW LEVEL SECURITY'),
  )
  const adapter = await makeAdapter({ connectionString: urlAs(db.url, 'handing') })
  const held = await adapter.acquire('hidden', 600_000)
  assert.ok(held)
  const next = adapter.lock('hidden', TTL)
  const last = adapter.lock('hidden', TTL)
  await held.release()
  assert.notEqual((await adapter.holder('hidden'))?.owner, /** @type {any} */ (held).owner)
  await (await inTime('the next', next)).release()
  await (await inTime('the last', last)).release()
})

test('an ended pool leaves nothing behind that a new one would find', async () => {
  const first = await makeAdapter()
  const { held, next } = await heldAndAwaited(first, 'ended')
  await held.release()
  const lease = await next
  await first.disconnect()
  const second = await makeAdapter()
  await second.forceRelease('ended')
  await (await inTime('the lock', second.lock('ended', TTL))).release()
  assert.equal(await second.holder('ended'), null)
  await lease.release().catch(() => {})
})
