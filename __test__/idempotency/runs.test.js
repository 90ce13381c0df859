// @ts-check
// @configurations first
// run(): all processes together run the work of a key once. Its result is stored; a failure is not.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const pg = require('pg')
const { PostgresAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { assertLastsToItsEnd, assertLease } = require('../support/leases.js')
const { Worker, inProcesses } = require('../support/processes.js')
const { startProxy } = require('../support/proxy.js')
const { inTime, until } = require('../support/waiting.js')

const database = useDatabase()
const [documented, fewRights] = Array.from({ length: 2 }, useDatabase)
const TABLE = 'go_goscope_idempotency'

const witness = database.then((db) =>
  db.query('CREATE TABLE witness (id serial PRIMARY KEY, key text NOT NULL, by int NOT NULL)'),
)

/** @param {import('goscope-postgres').PostgresIdempotencyAdapterOptions} [options] */
const make = async (options) => new PostgresIdempotencyAdapter((await database).pool(), options)

/** @param {string} key @returns {Promise<number>} */
async function runs(key) {
  await witness
  return (await (await database).query('SELECT count(*)::int AS n FROM witness WHERE key = $1', [key]))[0].n
}

const never = () => assert.fail('it ran a second time')

test('the first call runs the work; later calls get the stored result', async () => {
  const db = await database
  const results = await make({ keyPrefix: 'p_%:' })
  const since = await db.clock()
  const first = await results.run('k', async () => ({ b: 1, a: new Date(0) }), { ttl: 60_000 })
  assert.deepStrictEqual(first, { a: '1970-01-01T00:00:00.000Z', b: 1 })
  await assertLease(db, TABLE, 'p_%:k', { ttl: 60_000, since })
  assert.deepStrictEqual(await results.run('k', never, { ttl: 60_000 }), first)
  assert.deepStrictEqual((await results.get('k'))?.value, first)
  assert.equal(await results.run('plain', () => 'not a promise'), 'not a promise')
  assert.equal((await results.get('plain'))?.expiresAt, undefined)
  const long = 'k'.repeat(5_000)
  assert.equal(await results.run(long, () => 7, { fingerprint: 'f' }), 7)
  assert.equal(await results.run(long, never, { fingerprint: 'f' }), 7)
  await results.delete('k')
  assert.equal(await results.run('k', () => 'again'), 'again')
})

test('run() returns what set() has stored, and runs the work again after the entry has expired', async () => {
  const db = await database
  const results = await make()
  await results.set('stored', { by: 'set' }, 60_000)
  assert.deepStrictEqual(await results.run('stored', never), { by: 'set' })
  await results.run('short', () => 'first', { ttl: 300 })
  await assertLastsToItsEnd(db, TABLE, 'short', async () => (await results.run('short', () => 'second')) === 'first')
  assert.equal(await results.run('short', never), 'second')
})

test('a result of undefined is stored and returned as null; a result that JSON cannot represent rejects', async () => {
  const results = await make()
  assert.equal(await results.run('nothing', () => undefined), null)
  assert.equal(await results.run('nothing', never), null)
  await assert.rejects(
    results.run('bigint', () => 1n),
    { code: 'ERR_INVALID_ARG_VALUE' },
  )
  await assert.rejects(
    results.run('function', () => () => {}),
    { code: 'ERR_INVALID_ARG_TYPE' },
  )
  await assert.rejects(
    results.run('zero', () => 'with \0'),
    { code: '22P05' },
  )
  assert.equal(await results.get('zero'), null)
})

test('a failure is not stored: its caller gets the error, and the next caller runs the work', async () => {
  const results = await make()
  let tries = 0
  const work = async () => {
    await sleep(10)
    if (++tries < 3) throw new Error(`failure ${tries}`)
    return tries
  }
  const calls = await Promise.allSettled(Array.from({ length: 5 }, () => results.run('fails', work)))
  assert.deepStrictEqual(
    calls.map((call) => (call.status === 'fulfilled' ? call.value : call.reason.message)),
    ['failure 1', 'failure 2', 3, 3, 3],
  )
  const thrown = () => {
    throw new RangeError('at once')
  }
  await assert.rejects(results.run('throws', thrown), RangeError)
  assert.equal(await results.run('throws', () => 'then it works'), 'then it works')
})

test('a failed Result of go-go-scope is returned to its caller unchanged, and not stored', async () => {
  const results = await make()
  const failure = new Error('declined')
  const failed = /** @type {any} */ (await results.run('result', async () => [failure, undefined]))
  assert.equal(failed[0], failure)
  assert.deepStrictEqual(await results.run('result', async () => [undefined, 'paid']), [null, 'paid'])
  assert.deepStrictEqual(await results.run('result', never), [null, 'paid'])
})

test('concurrent callers of one process run the work once', async () => {
  const results = await make()
  let ran = 0
  const work = async () => {
    await sleep(50)
    return ++ran
  }
  const values = await Promise.all(Array.from({ length: 50 }, () => results.run('at once', work)))
  assert.deepStrictEqual(values, Array(50).fill(1))
})

test('invalid arguments reject, and nothing runs', async () => {
  const results = await make()
  const work = () => assert.fail('it ran')
  /** @type {[any, any, any, string][]} */
  const calls = [
    [{}, work, {}, 'ERR_INVALID_ARG_TYPE'],
    ['bad', 'work', {}, 'ERR_INVALID_ARG_TYPE'],
    ['bad', work, 60_000, 'ERR_INVALID_ARG_TYPE'],
    ['bad', work, { ttl: -1 }, 'ERR_OUT_OF_RANGE'],
    ['bad', work, { claimTtl: Infinity }, 'ERR_OUT_OF_RANGE'],
    ['bad', work, { fingerprint: {} }, 'ERR_INVALID_ARG_TYPE'],
    ['bad', work, { fingerprint: 'a\0' }, 'ERR_INVALID_ARG_VALUE'],
  ]
  for (const [key, callback, options, code] of calls)
    await assert.rejects(results.run(key, callback, options), { code })
})

test('a key that is reused with another fingerprint is rejected, while the work runs and after it', async () => {
  const results = await make()
  const mismatch = { code: 'ERR_IDEMPOTENCY_FINGERPRINT_MISMATCH', message: /"order:1"/ }
  /** @type {(() => void) | undefined} */
  let finish
  const running = results.run('order:1', () => new Promise((resolve) => (finish = () => resolve('done'))), {
    fingerprint: 'amount=1',
  })
  const meanwhile = results.run('order:1', never, { fingerprint: 'amount=2' })
  meanwhile.catch(() => {})
  await until('the work', () => finish)
  finish?.()
  assert.equal(await running, 'done')
  await assert.rejects(meanwhile, mismatch)
  await assert.rejects(results.run('order:1', never, { fingerprint: 'amount=2' }), mismatch)
  assert.equal(await results.run('order:1', never, { fingerprint: 'amount=1' }), 'done')
  assert.equal(await results.run('order:1', never), 'done')
  // An entry without a fingerprint matches every fingerprint.
  await results.set('order:1', 'by set')
  assert.equal(await results.run('order:1', never, { fingerprint: 'amount=2' }), 'by set')
  await results.run('order:2', () => 'without')
  assert.equal(await results.run('order:2', never, { fingerprint: 'f' }), 'without')
  // The fingerprint of an expired entry is ignored.
  await results.run('order:3', () => 1, { ttl: 1, fingerprint: 'old' })
  await sleep(5)
  assert.equal(await results.run('order:3', () => 2, { fingerprint: 'new' }), 2)
  await assert.rejects(results.run('order:3', never, { fingerprint: 'old' }), /another fingerprint/)
})

test('one of several processes runs the work, and all get its result', async () => {
  const db = await database
  await witness
  const keys = Array.from({ length: 5 }, (_, n) => `together${n}`)
  const options = { ttl: 600_000, claimTtl: 600_000, fingerprint: 'f' }
  const given = await inTime('the results', inProcesses(5, 'runOnce', { url: db.url, keys, each: 3, ms: 300, options }))
  for (const key of keys) assert.equal(await runs(key), 1)
  for (const other of given) assert.deepStrictEqual(other, given[0])
})

test('work that takes longer than claimTtl is not run again', async () => {
  const db = await database
  await witness
  const input = { url: db.url, keys: ['renewed'], each: 2, ms: 3_000, options: { claimTtl: 1_000 } }
  await inProcesses(3, 'runOnce', input)
  assert.equal(await runs('renewed'), 1)
})

test('the claim of a process that is killed lasts for claimTtl; then another process runs the work', async () => {
  const db = await database
  await witness
  const input = { url: db.url, keys: ['killed'], each: 2, ms: 1, options: { claimTtl: 2_000 } }
  const killed = new Worker('runOnce', { ...input, index: 1, hangs: true })
  const others = [2, 3, 4].map((index) => new Worker('runOnce', { ...input, index }))
  await Promise.all([killed, ...others].map((worker) => worker.ready))
  const began = killed.note()
  killed.start()
  await began
  const since = await db.clock()
  for (const other of others) other.start()
  killed.kill()
  const given = await inTime('the results', Promise.all(others.map((other) => other.result)))
  assert.equal(await runs('killed'), 2)
  for (const each of given.flat()) assert.deepStrictEqual(each, given[0][0])
  assert.notEqual(given[0][0].by, 1)
  // It was renewed at two thirds at the earliest, and no other process ran the work before it ended.
  const [{ stored }] = await db.query(
    `SELECT (extract(epoch FROM created_at) * 1e3)::float8 AS stored FROM ${TABLE} WHERE key = 'killed'`,
  )
  assert.ok(stored >= since + 2_000 * 0.5, `another ran it after ${stored - since} ms`)
})

test('with processes that are killed repeatedly, the work of each key is completed once', async () => {
  const db = await database
  await witness
  const keys = Array.from({ length: 3 }, (_, n) => `mortal${n}`)
  const input = { url: db.url, keys, each: 1, options: { claimTtl: 1_000 } }
  for (let round = 0; round < 3; round++) {
    const doomed = [1, 2].map((index) => new Worker('runOnce', { ...input, index, hangs: true }))
    await Promise.all(doomed.map((worker) => worker.ready))
    const began = Promise.race(doomed.map((worker) => worker.note()))
    for (const worker of doomed) worker.start()
    await inTime('a process at work', began)
    for (const worker of doomed) worker.kill()
    await Promise.all(doomed.map((worker) => worker.exited))
  }
  const given = await inTime('the results', inProcesses(3, 'runOnce', { ...input, ms: 100 }))
  for (const other of given) assert.deepStrictEqual(other, given[0])
  const rows = await db.query(`SELECT key, value->>'id' AS id FROM ${TABLE} WHERE key = ANY ($1) ORDER BY key`, [keys])
  assert.deepStrictEqual(
    rows.map(({ id }) => Number(id)),
    given[0].map((/** @type {any} */ value) => value.id),
  )
  // No process ran it after that.
  for (const { key, id } of rows) {
    const [{ last }] = await db.query('SELECT max(id)::int AS last FROM witness WHERE key = $1', [key])
    assert.equal(Number(id), last)
  }
})

test('a result that arrives after another process’s result is not stored: all callers get the first', async () => {
  const db = await database
  const [results, others] = [await make(), await make()]
  /** @type {AbortSignal | undefined} */
  let seen
  const second = results.run(
    'claim lost',
    async ({ signal }) => {
      seen = signal
      // As if this process had been frozen until its claim expired.
      await until('the claim', async () => {
        const sql = `DELETE FROM go_goscope_locks WHERE key = 'run:claim lost' RETURNING key`
        return (await db.query(sql)).length === 1
      })
      assert.equal(await others.run('claim lost', () => 'first'), 'first')
      await until('the loss', () => signal.aborted)
      return 'second'
    },
    { claimTtl: 300 },
  )
  assert.equal(await second, 'first')
  assert.equal(seen?.reason.code, 'ERR_LEASE_LOST')
  assert.equal(await others.run('claim lost', never), 'first')
})

test('the result is stored even if the connection is lost, before or after the commit', async () => {
  const db = await database
  const proxy = await startProxy(db.url)
  const results = new PostgresIdempotencyAdapter(db.pool({ connectionString: proxy.url, max: 2 }))
  await results.run('warm', () => 1, { fingerprint: 'f' })
  let ran = 0
  const answered = await results.run('lost answer', () => {
    // The statement is prepared by now, so its text is no longer sent. The key is.
    proxy.loseNextAnswerTo('lost answer')
    return ++ran
  })
  assert.equal(answered, 1)
  const late = results.run('down', async () => {
    proxy.refuse()
    proxy.cutAll()
    setTimeout(() => proxy.refuse(false), 3_000)
    return ++ran
  })
  assert.equal(await inTime('the result', late), 2)
  assert.equal(await results.run('down', never), 2)
  assert.equal(ran, 2)
})

test('without the fingerprint column, run() works without a fingerprint, and rejects one before the work', async () => {
  const db = await documented
  const pool = db.pool()
  await db.query(`CREATE TABLE ${TABLE} (
    key TEXT PRIMARY KEY, value JSONB NOT NULL, expires_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ DEFAULT now(), updated_at TIMESTAMPTZ DEFAULT now())`)
  const results = new PostgresIdempotencyAdapter(pool, { createTables: false })
  await new PostgresAdapter(pool).connect()
  assert.equal(await results.run('k', () => 1), 1)
  assert.equal(await results.run('k', never), 1)
  await assert.rejects(results.run('f', never, { fingerprint: 'f' }), {
    code: 'ERR_FINGERPRINT_UNAVAILABLE',
    message: /connect\(\).*sql\/schema\.sql/,
  })
  await assert.rejects(results.run('k', never, { fingerprint: 'f' }), { code: 'ERR_FINGERPRINT_UNAVAILABLE' })
  // An adapter whose role may add the column connects.
  const owner = new PostgresIdempotencyAdapter(pool)
  await owner.connect()
  assert.equal(await owner.run('f', () => 2, { fingerprint: 'f' }), 2)
  await results.connect()
  assert.equal(await results.run('f', never, { fingerprint: 'f' }), 2)
  await assert.rejects(results.run('f', never, { fingerprint: 'g' }), /another fingerprint/)
})

test('writes by the pg-based adapter, which knows no fingerprints, work beside it', async () => {
  const db = await fewRights
  const results = new PostgresIdempotencyAdapter(db.pool())
  await results.connect()
  const client = new pg.Client({ connectionString: db.url })
  await client.connect()
  const sql = `INSERT INTO ${TABLE} (key, value, expires_at, updated_at) VALUES ($1, $2, NULL, now())
    ON CONFLICT (key) DO UPDATE SET value = $2, expires_at = NULL, updated_at = now()`
  await client.query(sql, ['theirs', JSON.stringify('by pg')])
  assert.equal(await results.run('theirs', never, { fingerprint: 'f' }), 'by pg')
  await results.run('ours', () => 'by run', { fingerprint: 'f' })
  const { rows } = await client.query(`SELECT value FROM ${TABLE} WHERE key = 'ours'`)
  assert.deepStrictEqual(rows, [{ value: 'by run' }])
  await client.end()
})

test('claims are released, and are no locks of the application', async () => {
  const db = await database
  const results = await make()
  const locks = new PostgresAdapter(db.pool())
  const inner = async () => {
    const lock = await locks.acquire('nested', 60_000)
    assert.notEqual(lock, null)
    await lock?.release()
    return 1
  }
  assert.equal(await results.run('nested', inner), 1)
  const left = async () => (await db.query("SELECT FROM go_goscope_locks WHERE key LIKE '%nested'")).length
  await until('the claim is released', async () => (await left()) === 0)
})

for (const [file, start] of Object.entries({
  'docs/idempotency.md': /const results = new PostgresIdempotencyAdapter\(pool, .*\n/,
  'index.d.ts': / \* const results = new PostgresIdempotencyAdapter\(new Pool\(\)\)\n/,
})) {
  test(`the first example of ${file} charges once, also with several concurrent callers`, async () => {
    const text = fs.readFileSync(path.join(__dirname, '../..', file), 'utf8')
    const [, after] = text.split(start)
    const code = after
      .split(/\n *\*? ```|\n\n/)[0]
      .replaceAll(/^ \* /gm, '')
      .replaceAll(/<\{.*?\}>/g, '')
    assert.match(code, /\{ charged: 1999 \}/)
    const example = new Function(
      'results, console, charging',
      `return (async () => { ${code.replace('{ charged: 1999 }', '{ charged: charging() }')} })()`,
    )
    const db = await database
    let charges = 0
    const charging = () => ++charges
    const quiet = { log: () => {} }
    const callers = Array.from(
      { length: 4 },
      () => new PostgresIdempotencyAdapter(db.pool(), { keyPrefix: `${file}:` }),
    )
    await Promise.all(callers.map((results) => results.connect()))
    await Promise.all(callers.map((results) => example(results, quiet, charging)))
    assert.equal(charges, 1)
  })
}
