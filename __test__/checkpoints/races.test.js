// @ts-check
// @configurations every
// Concurrent checkpoints: a task that does not wait for its calls, and adapters that save and clean up concurrently.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { afterWait } = require('../support/leases.js')

const database = useDatabase()
const pools = database.then((db) => Array.from({ length: 6 }, () => db.pool({ max: 3 })))

/** Adapters with a pool each, as separate processes would have. */
async function adapters() {
  return (await pools).map((pool) => new PostgresAdapter(pool))
}

/**
 * @param {string} taskId
 * @param {number} sequence
 * @param {string} [id]
 */
const checkpoint = (taskId, sequence, id = `${taskId}:${sequence}`) => ({
  id,
  taskId,
  sequence,
  timestamp: sequence,
  progress: sequence / 3,
  data: { sequence },
})

/**
 * @param {number} from
 * @param {number} to
 */
const range = (from, to) => Array.from({ length: to - from }, (_, n) => from + n)

/**
 * Makes a call that has to wait for a row, and changes that row before the call can continue.
 *
 * @param {string} id
 * @param {string} change
 * @param {() => Promise<void>} call
 */
async function changeWhileWaiting(id, change, call) {
  const db = await database
  const holder = await db.hold(`UPDATE go_goscope_checkpoints SET ${change} WHERE id = $1`, [id])
  await afterWait(db, holder, 'commit', call)
}

test('the calls of a task that awaits nothing take effect in the order in which it made them', async () => {
  const [adapter] = await adapters()
  const pending = []
  for (const sequence of range(0, 60)) {
    pending.push(adapter.save(checkpoint('unawaited', sequence)), adapter.cleanup('unawaited', 10))
    const latest = await (sequence % 7 === 0 ? adapter.loadLatest('unawaited') : undefined)
    if (latest) assert.equal(latest.sequence, sequence)
  }
  const listed = await adapter.list('unawaited')
  await Promise.all(pending)
  assert.deepEqual(
    listed,
    range(50, 60).map((sequence) => checkpoint('unawaited', sequence)),
  )
})

test('save, save, cleanup, loadLatest and deleteAll, all at once and in order, with other tasks between', async () => {
  const [adapter] = await adapters()
  const results = await Promise.all(
    range(0, 50).map(async (n) => {
      const task = `pattern:${n}`
      const calls = [
        adapter.save(checkpoint(task, 2)),
        adapter.save(checkpoint(task, 1)),
        adapter.cleanup(task, 1),
        // It sees the earlier writes, and delays no call.
        adapter.load(`${task}:1`),
        adapter.loadLatest(task),
        adapter.save(checkpoint(task, 3, `${task}:2`)),
        adapter.list(task),
        adapter.deleteAll(task),
        adapter.list(task),
      ]
      return await Promise.all(calls)
    }),
  )
  for (const [n, [, , , cleaned, latest, , listed, , none]] of results.entries()) {
    const task = `pattern:${n}`
    assert.deepEqual(
      [cleaned, latest, listed, none],
      [undefined, checkpoint(task, 2), [checkpoint(task, 3, `${task}:2`)], []],
    )
  }
})

test('64 concurrent saves over several adapters are all stored', async () => {
  const all = await adapters()
  await Promise.all(range(0, 64).map((n) => all[n % all.length].save(checkpoint('at once', n))))
  assert.deepEqual(
    await all[0].list('at once'),
    range(0, 64).map((n) => checkpoint('at once', n)),
  )
})

test('64 concurrent saves of one id leave one of them, complete', async () => {
  const all = await adapters()
  await Promise.all(range(0, 64).map((n) => all[n % all.length].save(checkpoint('one id', n, 'one id'))))
  const left = await all[0].list('one id')
  assert.equal(left.length, 1)
  assert.deepEqual(left[0], checkpoint('one id', left[0].sequence, 'one id'))
})

test('overlapping saves, cleanups and deletes of several adapters do not fail', async () => {
  const all = await adapters()
  for (let round = 0; round < 5; round++) {
    await Promise.all(
      all.flatMap((adapter, a) =>
        range(0, 30).flatMap((n) => [
          adapter.save(checkpoint(`overlap:${(n + a) % 5}`, round * 100 + n, `overlap:${n}`)),
          n % 10 === a ? adapter.cleanup(`overlap:${n % 5}`, 3) : adapter.load(`overlap:${n}`),
          n % 15 === a ? adapter.deleteAll(`overlap:${n % 5}`) : adapter.loadLatest(`overlap:${n % 5}`),
        ]),
      ),
    )
  }
})

test('a clean-up that races with the re-save of an old id under a newer sequence never deletes it', async () => {
  const [saver, cleaner, other] = await adapters()
  const tasks = range(0, 40).map((n) => `re-saved:${n}`)
  await Promise.all(tasks.flatMap((task) => range(0, 5).map((n) => saver.save(checkpoint(task, n)))))
  for (let round = 0; round < 60; round++) {
    // The oldest of each task's five ids becomes the newest, while other adapters would still remove it.
    const newest = tasks.map((task) => checkpoint(task, 5 + round, `${task}:${round % 5}`))
    await Promise.all([
      ...newest.map((saved) => saver.save(saved)),
      ...tasks.flatMap((task) => [cleaner.cleanup(task, 4), other.cleanup(task, 4)]),
    ])
    const found = await Promise.all(newest.map(({ id }) => saver.load(id)))
    assert.deepEqual(found, newest, `round ${round}`)
    const lengths = await Promise.all(tasks.map(async (task) => (await saver.list(task)).length))
    assert.ok(Math.min(...lengths) >= 4 && Math.max(...lengths) <= 5, `round ${round}: ${lengths} are left`)
  }
})

test('a clean-up that waited for an old id keeps it if it has become the newest', async () => {
  const [adapter] = await adapters()
  await Promise.all(range(0, 3).map((n) => adapter.save(checkpoint('waited', n))))
  await changeWhileWaiting('waited:0', 'sequence = 9', () => adapter.cleanup('waited', 1))
  assert.deepEqual(
    (await adapter.list('waited')).map(({ sequence }) => sequence),
    [2, 9],
  )
})

test('a clean-up that waited for an id keeps it if it has moved to another task', async () => {
  const [adapter] = await adapters()
  await Promise.all(range(0, 3).map((n) => adapter.save(checkpoint('moved', n))))
  await changeWhileWaiting('moved:0', "task_id = 'moved to'", () => adapter.cleanup('moved', 0))
  assert.deepEqual(await adapter.list('moved'), [])
  assert.deepEqual(
    (await adapter.list('moved to')).map(({ id }) => id),
    ['moved:0'],
  )
})

test('a deleteAll that waited for an id keeps it if it has moved to another task', async () => {
  const [adapter] = await adapters()
  await Promise.all(range(0, 3).map((n) => adapter.save(checkpoint('left', n))))
  await changeWhileWaiting('left:0', "task_id = 'left for'", () => adapter.deleteAll('left'))
  assert.deepEqual(await adapter.list('left'), [])
  assert.deepEqual(
    (await adapter.list('left for')).map(({ id }) => id),
    ['left:0'],
  )
})

test('a save that waited for its row replaces all of it', async () => {
  const [adapter] = await adapters()
  await adapter.save(checkpoint('replaced', 1, 'replaced'))
  const change = "sequence = 5, data = '[5]', estimated_time_remaining = 5, task_id = 'elsewhere'"
  await changeWhileWaiting('replaced', change, () => adapter.save(checkpoint('replaced', 2, 'replaced')))
  assert.deepEqual(await adapter.load('replaced'), checkpoint('replaced', 2, 'replaced'))
})
