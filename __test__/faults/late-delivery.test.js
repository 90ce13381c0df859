// @ts-check
// @configurations first
// Statements that reach the server after the client has lost their connection: the network keeps the bytes, the client
// sees a reset, and the bytes arrive later. They must not take effect after a retry, or after later calls on their
// keys.
'use strict'

const assert = require('node:assert/strict')
const { test, before } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const pooler = require('../../scripts/servers/pooler.js')
const { startProxy } = require('../support/proxy.js')
const { inTime } = require('../support/waiting.js')
const { urlAs } = require('../support/route.js')

const database = useDatabase()
/** @type {PostgresAdapter} on a direct connection, as in another process */
let other

before(async () => {
  other = new PostgresAdapter((await database).pool())
  await other.connect()
})

/** @param {import('pg').PoolConfig} [options] */
async function throughProxy(options) {
  const db = await database
  const proxy = await startProxy(options?.connectionString ?? db.url)
  const adapter = new PostgresAdapter(db.pool({ max: 3, ...options, connectionString: proxy.url }))
  // Each statement is prepared, as in a program that has run for a while.
  for (let n = 0; n < 3; n++) {
    await adapter.set('warm', n)
    const handle = await adapter.acquire('warm', 60_000, 'me')
    await handle?.extend(60_000)
    await handle?.release()
  }
  return { proxy, adapter }
}

/**
 * Makes the network keep the next request that contains a text, and resets its connection.
 *
 * @param {Awaited<ReturnType<typeof startProxy>>} proxy
 * @param {string} text
 */
const holdNext = (proxy, text) => proxy.strikeNext(text, { in: 'request', how: 'hold' })

/**
 * @template T
 * @param {Promise<T>} call
 */
const outcome = (call) =>
  inTime(
    'the call',
    call.catch((error) => error.code),
  )

test('set: a value that arrives late does not replace a newer one', async () => {
  const { proxy, adapter } = await throughProxy()
  const held = holdNext(proxy, 'cache:late:set')
  assert.equal(await outcome(adapter.set('late:set', 1)), 'ECONNRESET')
  await adapter.set('late:set', 2)
  await held.deliver()
  assert.equal(await adapter.get('late:set'), 2)
})

test('a rejected call is no longer in flight, for other processes either', async () => {
  const { proxy, adapter } = await throughProxy()
  const held = holdNext(proxy, 'cache:late:other')
  assert.equal(await outcome(adapter.set('late:other', 1)), 'ECONNRESET')
  await other.set('late:other', 2)
  await held.deliver()
  assert.equal(await other.get('late:other'), 2)
})

test('reads, and calls on the whole table, wait for an earlier write to end', async () => {
  const { proxy, adapter } = await throughProxy()
  const held = holdNext(proxy, 'cache:late:read')
  const set = outcome(adapter.set('late:read', 1))
  const later = [adapter.get('late:read'), adapter.has('late:read'), adapter.clear(), adapter.keys('late:read')]
  assert.equal(await set, 'ECONNRESET')
  assert.deepEqual(await inTime('the reads', Promise.all(later)), [null, false, undefined, []])
  await held.deliver()
  assert.deepEqual(await adapter.keys('late:read'), [])
})

test('extend: a retried extension that arrives late does not shorten a longer lease', async () => {
  const { proxy, adapter } = await throughProxy()
  const handle = await adapter.acquire('late:extend', 60_000, 'me')
  const held = holdNext(proxy, 'lock:late:extend')
  assert.equal(await handle?.extend(1_000), true)
  assert.equal(await handle?.extend(60_000), true)
  await held.deliver()
  const holder = await other.holder('late:extend')
  assert.ok(Number(holder?.expiresAt) > Date.now() + 30_000, 'the lease was shortened')
})

test('a late extend does not shorten the lease that the same owner acquires after a release', async () => {
  const { proxy, adapter } = await throughProxy()
  const handle = await adapter.acquire('late:again', 60_000, 'me')
  const held = holdNext(proxy, 'lock:late:again')
  const extended = handle?.extend(1_000)
  const released = handle?.release()
  const again = adapter.acquire('late:again', 60_000, 'me')
  assert.deepEqual([await extended, await released], [true, undefined])
  assert.ok(await again)
  await held.deliver()
  const holder = await other.holder('late:again')
  assert.ok(Number(holder?.expiresAt) > Date.now() + 30_000, 'the old extension shortened the new lease')
})

test('release: a late release does not free the lock that the same owner has acquired since', async () => {
  const { proxy, adapter } = await throughProxy()
  const handle = await adapter.acquire('late:release', 60_000, 'me')
  const held = holdNext(proxy, 'lock:late:release')
  await handle?.release()
  assert.ok(await adapter.acquire('late:release', 60_000, 'me'))
  await held.deliver()
  assert.equal((await other.holder('late:release'))?.owner, 'me')
})

test('acquire: a late acquire does not take a lock that was released since', async () => {
  const { proxy, adapter } = await throughProxy()
  for (const owner of [undefined, 'me']) {
    const held = holdNext(proxy, 'lock:late:acquire')
    const handle = await adapter.acquire('late:acquire', 60_000, owner)
    await handle?.release()
    await held.deliver()
    assert.equal(await other.holder('late:acquire'), null)
  }
})

test('lock: a late lock() issues no newer token than that of the holder', async () => {
  const db = await database
  const { proxy, adapter } = await throughProxy()
  const held = holdNext(proxy, 'lock:late:token')
  const lease = await adapter.lock('late:token', { ttl: 60_000, owner: 'me' })
  await held.deliver()
  assert.equal(await lease.isValid(), true)
  await db.query('SELECT go_goscope_check_fencing_token($1, $2)', ['late:token', String(lease.fencingToken)])
  await lease.release()
})

test('an acquisition whose call rejected is released, and stays released when the request arrives late', async () => {
  const { proxy, adapter } = await throughProxy({ max: 1 })
  const held = proxy.strikeNext('lock:late:orphan', { in: 'request', how: 'hold', atOnce: () => proxy.refuse() })
  const failed = await outcome(adapter.acquire('late:orphan', 600_000))
  assert.match(String(failed), /^E/)
  proxy.refuse(false)
  // This call waits for the end of the lost session.
  assert.equal(await inTime('the holder', adapter.holder('late:orphan')), null)
  await held.deliver()
  assert.equal(await other.holder('late:orphan'), null)
})

test('query_timeout: a statement that waits for a row lock does not run after its call was rejected', async () => {
  const db = await database
  const { adapter } = await throughProxy({ query_timeout: 300 })
  await adapter.set('late:row', 0)
  const holder = await db.hold("SELECT FROM go_goscope_cache WHERE key = 'cache:late:row' FOR UPDATE")
  await assert.rejects(inTime('the set', adapter.set('late:row', 1)), /Query read timeout/)
  const waiting = "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
  assert.deepEqual(await db.query(waiting), [], 'the statement still waits for the row')
  await holder.commit()
  assert.equal(await adapter.get('late:row'), 0)
})

/** @param {number} pid */
function resume(pid) {
  try {
    process.kill(pid, 'SIGCONT')
  } catch {
    // The process has ended.
  }
}

test('a session that cannot be terminated blocks only its own keys, and its call rejects', async () => {
  const db = await database
  const { proxy, adapter } = await throughProxy({ max: 1, application_name: 'stuck' })
  const sessions = await db.query("SELECT pid FROM pg_stat_activity WHERE application_name = 'stuck'")
  assert.equal(sessions.length, 1)
  const [{ pid }] = sessions
  // No sooner: the adapter may still prepare the statement, in a request without the key.
  const atOnce = () => process.kill(pid, 'SIGSTOP')
  const held = proxy.strikeNext('cache:late:stuck', { in: 'request', how: 'hold', atOnce })
  let isThrough = false
  try {
    assert.equal(await outcome(adapter.set('late:stuck', 1)), 'ECONNRESET')
    const both = adapter.getMany(['late:stuck', 'late:free'])
    await inTime('a key that is read with it', adapter.set('late:free', 0))
    const same = adapter.set('late:stuck', 2).then(() => {
      isThrough = true
    })
    await inTime('another key', adapter.set('late:free', 1))
    assert.equal(isThrough, false, 'the call did not wait for the lost session')
    resume(pid)
    assert.deepEqual(await inTime('the read of both', both), [null, null])
    await inTime('the same key', same)
  } finally {
    resume(pid)
  }
  await held.deliver()
  assert.equal(await adapter.get('late:stuck'), 2)
  // Each call has left the table once.
  await inTime('a call on the whole table', adapter.clear())
  assert.equal(await adapter.get('late:stuck'), null)
})

/** @type {[title: string, setUp: string, hook?: (client: any) => Promise<unknown>][]} */
const OTHER_ROLES = [
  ['a connect hook changes the role', '', (client) => client.query('SET ROLE late_app')],
  ['the login role has another as its default', 'ALTER ROLE late_login SET role = late_app'],
  ['the role may not call pg_terminate_backend', 'REVOKE EXECUTE ON FUNCTION pg_terminate_backend FROM PUBLIC'],
]
for (const [title, setUp, onConnect] of OTHER_ROLES) {
  test(`${title}: the lost session is still terminated or waited for`, async (t) => {
    const db = await database
    await db.query(`
      CREATE ROLE late_login LOGIN PASSWORD 'secret' NOINHERIT; CREATE ROLE late_app; GRANT late_app TO late_login;
      GRANT ALL ON ALL TABLES IN SCHEMA public TO late_app, late_login;
      GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO late_app, late_login; ${setUp}`)
    t.after(() =>
      db.query(`GRANT EXECUTE ON FUNCTION pg_terminate_backend TO PUBLIC;
        DROP OWNED BY late_login, late_app; DROP ROLE late_login, late_app`),
    )
    const { proxy, adapter } = await throughProxy({
      connectionString: urlAs(db.url, 'late_login'),
      .../** @type {any} */ (onConnect && { onConnect }),
    })
    const held = holdNext(proxy, 'cache:late:role')
    assert.equal(await outcome(adapter.set('late:role', 1)), 'ECONNRESET')
    let isThrough = false
    const newer = adapter.set('late:role', 2).then(() => {
      isThrough = true
    })
    // If the session cannot be terminated, the newer value waits for it.
    await inTime('another key', adapter.set('late:other role', 1))
    if (setUp.startsWith('REVOKE')) assert.equal(isThrough, false)
    await held.deliver()
    await inTime('the newer value', newer)
    assert.equal(await adapter.get('late:role'), 2)
    await adapter.disconnect()
  })
}

// The pooler shares sessions between its clients.
test(`through ${pooler.title}: a late release or extension does not affect a newer lease of the same owner`, {
  skip: pooler.missing || false,
}, async (t) => {
  const pooled = await pooler.startPooler((await database).url, '')
  t.after(pooled.stop)
  const { proxy, adapter } = await throughProxy({ connectionString: pooled.url })
  for (const call of /** @type {((handle: import('goscope-postgres').LockHandle) => Promise<unknown>)[]} */ ([
    (handle) => handle.release(),
    (handle) => handle.extend(1_000).then(() => handle.release()),
  ])) {
    const handle = await adapter.acquire('late:shared', 60_000, 'me')
    assert.ok(handle)
    const held = holdNext(proxy, 'lock:late:shared')
    await call(handle)
    const again = await adapter.acquire('late:shared', 60_000, 'me')
    await held.deliver()
    const holder = await other.holder('late:shared')
    assert.ok(Number(holder?.expiresAt) > Date.now() + 30_000, `the lease has changed: ${holder?.expiresAt}`)
    await again?.release()
  }
})
