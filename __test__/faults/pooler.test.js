// @ts-check
// Through PgBouncer in transaction mode, where a session is not one's own.
'use strict'

const assert = require('node:assert/strict')
const { test, after } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../helpers/database.js')
const { missing, startPooler } = require('../helpers/pooler.js')
const { inProcesses } = require('../helpers/processes.js')

const skip = missing || false
const database = useDatabase()
const pooler = skip ? undefined : database.then(({ url }) => startPooler(url))
after(async () => (await pooler)?.stop())

test('the operations work', { skip }, async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool({ connectionString: /** @type {any} */ (await pooler).url }))
  await adapter.connect()
  for (let round = 0; round < 5; round++) {
    const handle = await adapter.acquire('x', 60_000)
    assert.equal(await handle?.isValid(), true)
    assert.equal(await handle?.extend(60_000), true)
    await handle?.release()
    await Promise.all(Array.from({ length: 100 }, (_, n) => adapter.set(`k${n}`, n, 60_000)))
    assert.deepEqual(
      await Promise.all(Array.from({ length: 100 }, (_, n) => adapter.get(`k${n}`))),
      Array.from({ length: 100 }, (_, n) => n),
    )
    assert.equal(await adapter.recordFailure('c', 100), round + 1)
  }
})

test("no process ever runs another's statement: reads delete nothing", { skip }, async () => {
  const db = await database
  const { url } = /** @type {any} */ (await pooler)
  const adapter = new PostgresAdapter(db.pool())
  await Promise.all(Array.from({ length: 50 }, (_, n) => adapter.set(`kept${n}`, n)))
  await inProcesses(4, 'readOrDelete', { url, rounds: 60 })
  const kept = await db.query("SELECT count(*)::int AS n FROM go_goscope_cache WHERE key LIKE 'cache:kept%'")
  assert.equal(kept[0].n, 50)
})

test('a pooler that refuses start-up options is used without them', { skip }, async () => {
  const db = await database
  const strict = await startPooler(db.url, '')
  try {
    const adapter = new PostgresAdapter(db.pool({ connectionString: strict.url }))
    for (let n = 0; n < 5; n++) {
      await adapter.set('strict', n)
      assert.equal(await adapter.get('strict'), n)
    }
    await adapter.disconnect()
  } finally {
    await strict.stop()
  }
})
