// @ts-check
// @configurations first
// Mistakes of an application around run() in a transaction: each is refused or reported, and leaves nothing half done.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const pg = require('pg')
const { PostgresAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()
const other = useDatabase()

const made = database.then(async (db) => {
  const pool = db.pool()
  await db.query('CREATE TABLE effects (key text NOT NULL)')
  const results = new PostgresIdempotencyAdapter(pool)
  await results.connect()
  return { db, pool, results }
})

const insert = (/** @type {any} */ client, /** @type {string} */ key) =>
  client.query('INSERT INTO effects VALUES ($1)', [key])

/** @param {string} key */
async function effects(key) {
  const rows = await (await database).query('SELECT FROM effects WHERE key = $1', [key])
  return rows.length
}

/**
 * What a function of the application may do wrong with the transaction that it makes.
 *
 * @param {import('pg').Pool} pool
 * @param {string} end
 */
const endingBy = (pool, end) => async (/** @type {(client: any) => Promise<any>} */ work) => {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    return await work(client)
  } finally {
    await client.query(end)
    client.release()
  }
}

test('a function that rolls back and resolves is no success', async () => {
  const { pool, results } = await made
  const work = async (/** @type {any} */ { client }) => {
    await insert(client, 'rolled back')
    return 'done'
  }
  await assert.rejects(results.run('rolled back', work, { transaction: endingBy(pool, 'ROLLBACK') }), {
    code: 'ERR_TRANSACTION_ROLLED_BACK',
  })
  assert.equal(await results.get('rolled back'), null)
  assert.equal(await results.run('rolled back', work, { transaction: endingBy(pool, 'COMMIT') }), 'done')
  assert.equal(await effects('rolled back'), 1)
})

test('work that ends its transaction is reported, and its result is not stored', async () => {
  const { pool, results } = await made
  for (const end of ['ROLLBACK', 'COMMIT', 'COMMIT; BEGIN']) {
    const work = async (/** @type {any} */ { client }) => {
      await insert(client, end)
      await client.query(end)
      return 'done'
    }
    await assert.rejects(results.run(end, work, { transaction: pool }), { code: 'ERR_TRANSACTION_ENDED' })
    assert.equal(await results.get(end), null)
  }
})

test('a wrong client is refused before the work', async () => {
  const { pool, results } = await made
  const elsewhere = (await other).pool()
  let begun = 0
  const work = () => void begun++
  /** @type {[string, any, object][]} */
  const wrong = [
    ['a pool', (/** @type {any} */ run) => run(pool), { code: 'ERR_INVALID_ARG_VALUE' }],
    ['nothing', (/** @type {any} */ run) => run(undefined), { code: 'ERR_INVALID_ARG_TYPE' }],
    ['a pg.Client', new pg.Client(), { code: 'ERR_INVALID_ARG_TYPE' }],
    ['a pool without clients', { connect: async () => ({}) }, { code: 'ERR_INVALID_ARG_VALUE' }],
    ['a pool that gives nothing', { connect: async () => undefined }, { code: 'ERR_INVALID_ARG_VALUE' }],
    ['another database', elsewhere, { code: '42P01', hint: /connected to the database/ }],
  ]
  for (const [name, transaction, error] of wrong) {
    await assert.rejects(results.run(`wrong: ${name}`, work, { transaction }), error, name)
  }
  assert.equal(begun, 0)
})

test('runs within runs that hold all clients of a pool do not wait for themselves', async () => {
  const { db } = await made
  for (const max of [1, 2]) {
    const pool = db.pool({ max })
    const results = new PostgresIdempotencyAdapter(db.pool())
    const nested = (/** @type {number} */ depth) =>
      results.run(
        `nested ${max}: ${depth}`,
        async (/** @type {any} */ { client }) => {
          await insert(client, `nested ${max}`)
          if (depth < max) await nested(depth + 1)
        },
        /** @type {any} */ ({ transaction: pool }),
      )
    const tooDeep = results.run(`too deep ${max}`, () => nested(1), { transaction: pool })
    await assert.rejects(tooDeep, { code: 'ERR_WORK_WAITS_FOR_ITSELF', message: new RegExp(`has ${max} clients`) })
    await nested(1)
    assert.equal(pool.idleCount, pool.totalCount)
  }
})

test('a fingerprint of another request is reported, though the work has failed on what that request has written', async () => {
  const { db, pool, results } = await made
  await db.query('CREATE TABLE orders (id text PRIMARY KEY)')
  const other = new PostgresIdempotencyAdapter(db.pool())
  const work = async (/** @type {any} */ { client }) => {
    // The same key, by a process that has lost its claim.
    await other.set('order', 'theirs')
    await db.query("UPDATE go_goscope_idempotency SET fingerprint = 'theirs' WHERE key = 'order'")
    await client.query("SELECT 1 / (SELECT count(*) - 1 FROM go_goscope_idempotency WHERE key = 'order')")
  }
  await assert.rejects(results.run('order', work, { transaction: pool, fingerprint: 'ours' }), {
    code: 'ERR_IDEMPOTENCY_FINGERPRINT_MISMATCH',
  })
})

test('an adapter within a transaction is no lock provider', async () => {
  const { pool } = await made
  const client = await pool.connect()
  const within = /** @type {any} */ (new PostgresAdapter(pool).within(client))
  for (const method of ['acquire', 'extend', 'release', 'forceRelease']) {
    await assert.rejects(within.lock[method]('k', 1), { code: 'ERR_WITHIN_TRANSACTION' })
    await assert.rejects(within.locks[method]('k', 1), { code: 'ERR_WITHIN_TRANSACTION' })
  }
  client.release()
})

test('a client may resolve to the rows themselves; a database object of pg-promise is refused', async () => {
  const { pool } = await made
  const client = await pool.connect()
  const adapter = new PostgresAdapter(pool)
  const task = {
    ctx: {},
    $pool: pool,
    query: async (/** @type {string} */ text, /** @type {any[]} */ values) => (await client.query(text, values)).rows,
  }
  await adapter.within(task).set('k', 'v')
  assert.equal(await adapter.within(task).get('k'), 'v')
  const { ctx: _, ...whole } = task
  assert.throws(() => adapter.within(whole), { code: 'ERR_INVALID_ARG_VALUE', message: /whole database/ })
  client.release()
})
