// @ts-check
// @configurations first
// The connection breaks between the server's commit and its answer.
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { endOf } = require('../support/leases.js')
const { Worker } = require('../support/processes.js')
const { startProxy } = require('../support/proxy.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()
const proxied = database.then(({ url }) => startProxy(url))

/** @param {pg.PoolConfig} [options] */
async function adapter(options) {
  const pool = new pg.Pool({ connectionString: (await proxied).url, ...options })
  const made = new PostgresAdapter(pool)
  await made.connect()
  return made
}

/** @param {string} key */
async function owner(key) {
  const [row] = await (await database).query(
    "SELECT owner FROM go_goscope_locks WHERE key = $1 AND expires_at > timezone('UTC', now())",
    [`lock:${key}`],
  )
  return row?.owner
}

test('acquire, with and without an owner, settles: the lock is held, and the caller knows the owner', async () => {
  const locks = await adapter()
  const proxy = await proxied
  for (const [key, given] of [
    ['lost:own', 'me'],
    ['lost:drawn', undefined],
  ]) {
    proxy.loseNextAnswerTo(`lock:${key}`)
    const handle = await locks.acquire(/** @type {string} */ (key), 60_000, given)
    assert.ok(handle)
    assert.equal(await handle.isValid(), true)
    if (given) assert.equal(await owner(/** @type {string} */ (key)), given)
    await handle.release()
    assert.equal(await owner(/** @type {string} */ (key)), undefined)
  }
})

test('acquire of a busy lock stays null', async () => {
  const locks = await adapter()
  await locks.acquire('lost:busy', 60_000, 'holder')
  ;(await proxied).loseNextAnswerTo('lock:lost:busy')
  assert.equal(await locks.acquire('lost:busy', 60_000, 'other'), null)
})

test('extend, release and isValid are retried', async () => {
  const locks = await adapter()
  const proxy = await proxied
  const handle = await locks.acquire('lost:handle', 60_000, 'me')
  proxy.loseNextAnswerTo('lock:lost:handle')
  assert.equal(await handle?.extend(90_000), true)
  proxy.loseNextAnswerTo('lock:lost:handle')
  assert.equal(await handle?.isValid(), true)
  proxy.loseNextAnswerTo('lock:lost:handle')
  await handle?.release()
  assert.equal(await owner('lost:handle'), undefined)
})

test('reads are retried', async () => {
  const cache = await adapter()
  const proxy = await proxied
  await cache.set('lost:read', 1)
  proxy.loseNextAnswerTo('cache:lost:read')
  assert.equal(await cache.get('lost:read'), 1)
  proxy.loseNextAnswerTo('cache:lost:read')
  assert.equal(await cache.has('lost:read'), true)
})

test('writes that are not safe to repeat reject with a code, and take effect once', async () => {
  const adapter_ = await adapter()
  const proxy = await proxied
  proxy.loseNextAnswerTo('circuit:lost:count')
  await assert.rejects(adapter_.recordFailure('lost:count', 9), { code: 'ECONNRESET' })
  assert.equal((await adapter_.getState('lost:count'))?.failureCount, 1)
  proxy.loseNextAnswerTo('cache:lost:set')
  await assert.rejects(adapter_.set('lost:set', 1), { code: 'ECONNRESET' })
  assert.equal(await adapter_.get('lost:set'), 1)
})

test('a lock whose caller received a failure is released, not left until its TTL', async () => {
  // A second connection, if there is one by then, would execute the retry.
  const locks = await adapter({ max: 1 })
  const proxy = await proxied
  proxy.loseNextAnswerTo('lock:lost:orphan', { atOnce: () => proxy.refuse() })
  try {
    const failed = locks.acquire('lost:orphan', 600_000).then(
      () => assert.fail('no answer can come'),
      (error) => error,
    )
    const error = await failed
    assert.match(error.code, /^E/)
    assert.ok(await owner('lost:orphan'), 'the server still holds it for an owner that no caller knows')
  } finally {
    proxy.refuse(false)
  }
  await until('the end of the orphan', async () => (await owner('lost:orphan')) === undefined)
})

test('a batch whose answer is a FATAL error may have been executed, and is not retried', async () => {
  const db = await database
  const proxy = await startProxy(db.url)
  const circuits = new PostgresAdapter(db.pool({ connectionString: proxy.url, max: 1 }))
  await circuits.connect()
  const failing = (/** @type {string} */ batch) =>
    Promise.allSettled(Array.from({ length: 100 }, (_, n) => circuits.recordFailure(`${batch}:${n}`, 9)))
  await failing('warm')
  proxy.loseNextAnswerTo('fatal:99', { farewell: fatal('08P01', 'server conn crashed?') })
  const outcomes = await failing('fatal')
  const failed = outcomes.filter(({ status }) => status === 'rejected')
  assert.ok(failed.length > 0, 'the answer was not lost')
  for (const { reason } of /** @type {PromiseRejectedResult[]} */ (failed)) assert.equal(reason.code, '08P01')
  const [{ most }] = await db.query(
    "SELECT max(failure_count) AS most FROM go_goscope_circuit WHERE key LIKE 'circuit:fatal:%'",
  )
  assert.equal(most, 1, 'a failure was counted twice')
})

test('an orphan is also released if the second attempt fails for another reason', async () => {
  const db = await database
  const proxy = await startProxy(db.url)
  const locks = new PostgresAdapter(db.pool({ connectionString: proxy.url, lock_timeout: 100 }))
  await locks.connect()
  let isLost = false
  const atOnce = () => {
    isLost = true
    proxy.holdBack()
  }
  proxy.loseNextAnswerTo('lock:lost:twice', { atOnce })
  const failing = locks.acquire('lost:twice', 600_000).then(
    () => 'held',
    (error) => error.code,
  )
  await until('the loss of the answer', () => isLost)
  const holder = await db.hold("SELECT * FROM go_goscope_locks WHERE key = 'lock:lost:twice' FOR UPDATE")
  proxy.letIn()
  assert.equal(await failing, '55P03')
  await holder.commit()
  await until('the end of the orphan', async () => (await owner('lost:twice')) === undefined)
})

/** An ErrorResponse, as a server or a pooler sends it before it closes the connection. */
function fatal(/** @type {string} */ code, /** @type {string} */ message) {
  const body = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`)
  const head = Buffer.from('E....')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

test('the caller does not notice that idle connections were cut', async () => {
  const cache = await adapter()
  const proxy = await proxied
  for (let round = 0; round < 10; round++) {
    await cache.set('cut', round)
    proxy.cutAll()
    await sleep(20)
    assert.equal(await cache.get('cut'), round)
  }
})

test('a holder that is killed with SIGKILL loses its lock at the TTL, and not before', async () => {
  const db = await database
  const holder = new Worker('hold', { url: db.url, key: 'killed', ttl: 1_500 })
  await holder.ready
  const held = holder.note()
  holder.start()
  assert.deepEqual(await held, { held: true })
  holder.kill('SIGKILL')
  await holder.exited
  const end = await endOf(db, 'go_goscope_locks', 'lock:killed')
  const locks = await adapter()
  await until('the end of the lease', () => locks.acquire('killed', 60_000))
  const late = (await endOf(db, 'go_goscope_locks', 'lock:killed')) - 60_000 - end
  console.log(`# figure: a lock whose holder was killed came back ${late.toFixed(1)} ms after its end`)
  assert.ok(late >= 0, `${-late} ms before its end`)
})
