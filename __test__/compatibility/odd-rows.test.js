// @ts-check
// @configurations every
// Rows that look like the rows that this package stores under digests, but are not: they are data, and affect no call.
'use strict'

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const { test } = require('node:test')
const { promisify } = require('node:util')
const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')

const database = useDatabase({ cacheTables: ['long_prefix', 'theirs_0', 'theirs_1', 'theirs_2', 'theirs_3'] })

/** Values whose fields could be confused with the record beside a digest. */
const VALUES = [
  { literal: 'no JSON' },
  { literal: '1,2' },
  { literal: 7 },
  { key: 'fake' },
  { key: null },
  [],
  'literal',
  null,
]

/**
 * The results of the calls in a separate process, all made at once. A call that is never answered ends with the
 * process.
 *
 * @param {string} calls an array of promises, in terms of `adapter` and `entries`
 * @param {string} tableName
 */
async function inProcess(calls, tableName) {
  const script = `
    const { Pool } = require('pg')
    const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')
    const pool = new Pool({ connectionString: process.env.URL })
    const adapter = new PostgresAdapter(pool)
    const entries = new PostgresCacheAdapter(pool, { tableName: '${tableName}' })
    setTimeout(() => process.exit(3), 60_000).unref()
    Promise.all(${calls}).then(async (results) => {
      console.log(JSON.stringify(results))
      await adapter.disconnect()
    })`
  const env = { ...process.env, URL: (await database).url }
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], {
    cwd: __dirname,
    env,
    timeout: 120_000,
  })
  return JSON.parse(stdout)
}

test('the stored form of a long prefix is no key of an adapter without a prefix', async () => {
  const tableName = 'long_prefix'
  const entries = new PostgresCacheAdapter((await database).pool({ max: 1 }), {
    tableName,
    keyPrefix: 'p'.repeat(5_000),
  })
  for (const [n, value] of VALUES.entries()) await entries.set(`${n}`, value)
  const [keys, other] = await inProcess("[entries.keys(), entries.get('other')]", tableName)
  assert.equal(other, null)
  assert.ok(
    keys.every((/** @type {unknown} */ key) => typeof key === 'string'),
    `${keys}`,
  )
  for (const nobodys of ['fake', 'no JSON', '7', 'null']) assert.ok(!keys.includes(nobodys), `${keys}`)
})

for (const [n, start] of ['\u0001#plain', `\u0001#${'A'.repeat(42)}`].entries()) {
  test(`cached rows of another writer whose keys begin with ${JSON.stringify(start)} break no listing`, async () => {
    const db = await database
    const tableName = `theirs_${n}`
    await new PostgresCacheAdapter(db.pool({ max: 1 }), { tableName }).set('mine', 1)
    for (const [end, value] of VALUES.entries()) {
      await db.query(`INSERT INTO ${tableName} (key, value) VALUES ($1, $2)`, [`${start}${end}`, JSON.stringify(value)])
    }
    const [keys, found] = await inProcess("[entries.keys(), entries.get('mine')]", tableName)
    assert.equal(found, 1)
    assert.ok(keys.includes('mine') && keys.every((/** @type {unknown} */ key) => typeof key === 'string'), `${keys}`)
    for (const nobodys of ['fake', 'no JSON', '7', 'null']) assert.ok(!keys.includes(nobodys), `${keys}`)
  })
}

test('a checkpoint of another writer whose id looks like a digest breaks no list', async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool({ max: 1 }))
  const mine = { id: 'mine', taskId: 'task', sequence: 1, timestamp: 1, progress: 1, data: 1 }
  await adapter.save(mine)
  const data = { id: 'no JSON', taskId: 'nor this', data: 1 }
  await db.query(
    "INSERT INTO go_goscope_checkpoints (id, task_id, sequence, timestamp, data) VALUES ($1, 'task', 2, 2, $2)",
    ['\u0001#theirs', JSON.stringify(data)],
  )
  const [list, found] = await inProcess("[adapter.list('task'), adapter.load('mine')]", 'unused')
  assert.deepEqual(found, mine)
  const theirs = { id: '\u0001#theirs', taskId: 'task', sequence: 2, timestamp: 2, progress: 0, data }
  assert.deepEqual(list, [mine, theirs])
})
