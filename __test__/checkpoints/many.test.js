// @ts-check
// @configurations every
// saveMany: many checkpoints in shared statements, each stored by itself, beside other calls and processes.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { afterWait } = require('../support/leases.js')

const database = useDatabase()
const pools = database.then((db) => Array.from({ length: 4 }, () => db.pool({ max: 3 })))

/** Adapters with a pool each, as separate processes would have. */
const adapters = async () => (await pools).map((pool) => new PostgresAdapter(pool, { keyPrefix: 'm:' }))

/** @param {string} taskId @param {number} sequence @param {string} [id] @param {unknown} [data] */
const checkpoint = (taskId, sequence, id = `${taskId}:${sequence}`, data = { sequence }) => ({
  id,
  taskId,
  sequence,
  timestamp: sequence,
  progress: sequence / 3,
  data,
})

/** @param {number} from @param {number} to */
const range = (from, to) => Array.from({ length: to - from }, (_, n) => from + n)

/** Text that JSON can hold, and JSONB cannot. */
const REFUSED = { text: 'a\0b' }

test('the checkpoints of one task share statements, and all are stored', async () => {
  const [adapter] = await adapters()
  await adapter.connect()
  const all = range(0, 1_000).map((n) => checkpoint('shared', n))
  const { count } = adapter.metrics().statements
  assert.equal(await adapter.saveMany(all), undefined)
  const statements = adapter.metrics().statements.count - count
  assert.ok(statements <= 20, `${statements} statements for 1,000 checkpoints`)
  assert.deepEqual(await adapter.list('shared'), all)
})

test('any iterable is taken, an empty one too, and fields that are absent stay absent', async () => {
  const [adapter] = await adapters()
  await adapter.saveMany([])
  const long = checkpoint(`long ${'t'.repeat(5_000)}`, 2, 'i'.repeat(5_000))
  const given = [checkpoint('any', 1), { ...checkpoint('any', 2), estimatedTimeRemaining: 0 }, long]
  await adapter.saveMany(
    (function* () {
      yield* given
    })(),
  )
  assert.deepEqual(await adapter.list('any'), given.slice(0, 2))
  assert.deepEqual(await adapter.load(long.id), long)
})

test('of checkpoints with the same id, the last one is stored, whole', async () => {
  const [adapter] = await adapters()
  const given = range(0, 60).map((n) => checkpoint(`same:${n % 2}`, n, `same id ${n % 3}`))
  await adapter.saveMany(given)
  for (const n of [57, 58, 59]) assert.deepEqual(await adapter.load(`same id ${n % 3}`), given[n])
})

test('calls that do not await it keep their order: earlier and later ones on its ids and tasks', async () => {
  const [adapter] = await adapters()
  const results = await Promise.all(
    range(0, 40).flatMap((n) => {
      const [task, id] = [`ordered:${n}`, `ordered:${n}:id`]
      return [
        adapter.saveMany([checkpoint(task, 1, id), checkpoint('other', n, `other ${id}`)]),
        adapter.saveMany([checkpoint(task, 2, id), checkpoint(task, 3), checkpoint(task, 4)]),
        adapter.loadLatest(task),
        adapter.load(`other ${id}`),
        adapter.cleanup(task, 1),
        adapter.list(task),
        adapter.saveMany([checkpoint(task, 5, id), checkpoint('other', -1, `other ${id}`)]),
        adapter.deleteAll(task),
        adapter.saveMany([checkpoint(task, 6, id)]),
        adapter.list(task),
      ]
    }),
  )
  for (const n of range(0, 40)) {
    const [task, id] = [`ordered:${n}`, `ordered:${n}:id`]
    const [, , latest, loaded, , cleaned, , , , listed] = results.slice(n * 10, n * 10 + 10)
    assert.deepEqual(
      [loaded, latest, cleaned, listed],
      [checkpoint('other', n, `other ${id}`), checkpoint(task, 4), [checkpoint(task, 4)], [checkpoint(task, 6, id)]],
    )
  }
})

test('one that the server refuses rejects the call, and the others are stored', async () => {
  const [adapter] = await adapters()
  const given = range(0, 30).map((n) => checkpoint('refused', n, `refused:${n}`, n === 17 ? REFUSED : n))
  await assert.rejects(adapter.saveMany(given), { code: '22P05' })
  assert.deepEqual(
    (await adapter.list('refused')).map(({ data }) => data),
    range(0, 30).filter((n) => n !== 17),
  )
})

test('a bad one rejects before anything is sent', async () => {
  const [adapter] = await adapters()
  const { count } = adapter.metrics().statements
  const bad = /** @type {any} */ ({ ...checkpoint('bad', 2), sequence: '2' })
  await assert.rejects(adapter.saveMany([checkpoint('bad', 1), bad]), {
    code: 'ERR_INVALID_ARG_TYPE',
    message: /"checkpoints\[1\]\.sequence"/,
  })
  assert.equal(adapter.metrics().statements.count, count)
  assert.deepEqual(await adapter.list('bad'), [])
})

test('processes that save the same ids in opposite orders, clean up and delete do not fail', async () => {
  const all = await adapters()
  const ids = range(0, 80)
  for (const round of range(0, 6)) {
    await Promise.all(
      all.flatMap((adapter, a) => {
        const given = ids.map((n) => checkpoint(`rivals:${n % 3}`, n, `rivals:${n}`, { round, a, n }))
        return [
          adapter.saveMany(a % 2 ? given.reverse() : given),
          a === 0 ? adapter.cleanup('rivals:0', 5) : adapter.loadLatest('rivals:0'),
          a === 1 ? adapter.deleteAll('rivals:1') : adapter.list('rivals:1'),
        ]
      }),
    )
    const lists = await Promise.all(range(0, 3).map((task) => all[0].list(`rivals:${task}`)))
    assert.ok(lists[2]?.length === ids.filter((n) => n % 3 === 2).length)
    for (const { id, taskId, sequence, data } of lists.flat()) {
      const stored = /** @type {any} */ (data)
      assert.deepEqual([id, taskId, sequence], [`rivals:${stored.n}`, `rivals:${stored.n % 3}`, stored.n])
      assert.equal(stored.round, round, 'each was written last in this round')
    }
  }
})

test('one that waits for a row replaces all of it', async () => {
  const db = await database
  const [adapter] = await adapters()
  await adapter.save(checkpoint('waits', 1, 'waits'))
  const change = "UPDATE go_goscope_checkpoints SET sequence = 5, data = '[5]', task_id = 'm:elsewhere' WHERE id = $1"
  const holder = await db.hold(change, ['m:waits'])
  const given = [checkpoint('waits', 0), checkpoint('waits', 2, 'waits'), checkpoint('waits', 3)]
  await afterWait(db, holder, 'commit', () => adapter.saveMany(given))
  assert.deepEqual(await adapter.list('waits'), given)
  assert.deepEqual(await adapter.list('elsewhere'), [])
})

test('within a transaction all are stored or none, in one statement if no id comes again', async () => {
  const db = await database
  const [adapter] = await adapters()
  const client = await db.clients().connect()
  try {
    let queries = 0
    const query = client.query.bind(client)
    const counting = {
      query(/** @type {[any, any]} */ ...given) {
        queries++
        return query(...given)
      },
    }
    const within = adapter.within(/** @type {any} */ (counting))
    await client.query('BEGIN')
    const given = range(0, 20).map((n) => checkpoint('within', n))
    await within.saveMany(given)
    assert.equal(queries, 1)
    assert.deepEqual(await within.list('within', { order: 'desc', limit: 2 }), [given[19], given[18]])
    assert.deepEqual(await within.listTasks({ prefix: 'within' }), ['within'])
    assert.deepEqual(await adapter.list('within'), [])
    await client.query('SAVEPOINT before')
    const refused = [checkpoint('within', 20), checkpoint('within', 21, 'x', REFUSED)]
    await assert.rejects(within.saveMany(refused), { code: '22P05' })
    await client.query('ROLLBACK TO before')
    const again = [checkpoint('within', 1, 'again'), checkpoint('within', 2, 'again')]
    await within.saveMany(again)
    await client.query('COMMIT')
    assert.deepEqual(await adapter.list('within', { limit: 3 }), [given[0], given[1], again[1]])
    assert.equal((await adapter.list('within')).length, 21)
  } finally {
    client.release()
  }
})
