// @ts-check
// @configurations first
// listTasks and iterateTasks: the ids of the tasks that have checkpoints, page by page.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { LONG } = require('../support/caches.js')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()
const bare = useDatabase()

/** @param {string} keyPrefix */
const makeAdapter = async (keyPrefix) => new PostgresAdapter((await database).pool(), { keyPrefix })

/** @param {string} taskId @param {number} sequence */
const checkpoint = (taskId, sequence) => ({
  id: `${taskId}/${sequence}`,
  taskId,
  sequence,
  timestamp: 0,
  progress: 0,
  data: { taskId: '"x"' },
})

/** @param {Iterable<string>} tasks @param {number} count */
const checkpoints = (tasks, count) =>
  [...tasks].flatMap((task) => Array.from({ length: count }, (_, n) => checkpoint(task, n)))

/** @param {PostgresAdapter} adapter @param {string} prefix @param {number} limit */
async function paged(adapter, prefix, limit) {
  const list = []
  for (;;) {
    const page = await adapter.listTasks({ prefix, limit, after: list.at(-1) })
    assert.ok(page.length <= limit)
    list.push(...page)
    if (page.length < limit) return list
  }
}

/** @param {AsyncIterable<string>} tasks */
async function all(tasks) {
  const list = []
  for await (const task of tasks) list.push(task)
  return list
}

const many = (/** @type {string} */ prefix, /** @type {number} */ count) =>
  Array.from({ length: count }, (_, n) => `${prefix}${n}`)

test('pages have each task of a prefix once, however many checkpoints it has, digests included', async () => {
  const adapter = await makeAdapter('t_%:')
  const other = await makeAdapter('u:')
  const own = ['task', 'task%', 'task_1', 'TASK', 'täsk', 'task\\', 't', '', ...many('task:', 37)]
  const digested = [...many(`task${LONG}`, 9), 'task\ud800', '\u0001#task', `other${LONG}`, '\ufffd\ud800']
  const tasks = [...own, ...digested]
  await adapter.saveMany(checkpoints(tasks, 3))
  await other.saveMany(checkpoints(['task!', `task${LONG}!`], 1))
  for (const prefix of [
    'task',
    '',
    't',
    'task%',
    'task:1',
    `task${LONG}`,
    'task\ud800',
    '\ud800',
    '\u0001',
    '\u0001#',
    '\ufffd',
    'none',
  ]) {
    const expected = tasks.filter((task) => task.startsWith(prefix)).sort()
    const whole = await adapter.listTasks({ prefix })
    assert.deepStrictEqual([...whole].sort(), expected)
    for (const limit of [1, 7, expected.length || 1, 1_000]) {
      assert.deepStrictEqual(await paged(adapter, prefix, limit), whole, 'the order does not depend on the pages')
      assert.deepStrictEqual(await all(adapter.iterateTasks({ prefix, pageSize: limit })), whole)
    }
  }
  assert.equal((await adapter.listTasks()).length, tasks.length)
  // A task that is gone is as good as a beginning.
  const [first, second, third] = await adapter.listTasks({ prefix: 'task:' })
  await adapter.deleteAll(second ?? '')
  assert.deepStrictEqual(await adapter.listTasks({ prefix: 'task:', after: second, limit: 1 }), [third])
  assert.deepStrictEqual(await adapter.listTasks({ prefix: 'task:', after: first, limit: 1 }), [third])
  assert.deepStrictEqual((await other.listTasks()).sort(), ['task!', `task${LONG}!`].sort())
})

test('it sees the saves, clean-ups and deletions that were made before it, awaited or not', async () => {
  const adapter = await makeAdapter('order:')
  const seen = await Promise.all(
    many('', 60).flatMap((n) => {
      const [prefix, task] = [`o${n}.`, `o${n}.task`]
      return [
        adapter.save(checkpoint(task, 1)),
        adapter.listTasks({ prefix }),
        adapter.cleanup(task, 0),
        adapter.listTasks({ prefix }),
        adapter.saveMany([checkpoint(task, 2)]),
        adapter.listTasks({ prefix }),
        adapter.deleteAll(task),
        adapter.listTasks({ prefix }),
      ]
    }),
  )
  for (const [at, found] of seen.entries()) {
    // It may also see what came after it, but that does not leave more than the task itself.
    if (found?.length) assert.deepEqual(found, [`o${Math.floor(at / 8)}.task`])
    if (at % 8 === 7) assert.deepEqual(found, [])
  }
  await adapter.save(checkpoint('o.last', 1))
  const [, last] = await Promise.all([
    adapter.saveMany(checkpoints(['o.a', 'o.b'], 2)),
    adapter.listTasks({ prefix: 'o.' }),
  ])
  assert.deepEqual(last, ['o.a', 'o.b', 'o.last'])
})

test('beside processes that save and delete other tasks, each task that stays is seen once', async () => {
  const adapter = await makeAdapter('busy:')
  const rivals = await Promise.all(['busy:', 'busy:'].map(makeAdapter))
  const steady = many('steady ', 200)
  await adapter.saveMany(checkpoints(steady, 2))
  let isOver = false
  const rounds = rivals.map(async (rival, r) => {
    for (let round = 0; !isOver; round++) {
      const others = many(`${['a', 'steady 1', 'z'][round % 3]}.${r}.`, 40)
      await rival.saveMany([...checkpoints(others, 2), ...checkpoints(steady.slice(r * 50, r * 50 + 50), 3)])
      await Promise.all(others.map((task) => rival.deleteAll(task)))
    }
  })
  try {
    for (let round = 0; round < 15; round++) {
      const found = await all(adapter.iterateTasks({ pageSize: 1 + 13 * round }))
      assert.equal(new Set(found).size, found.length, 'none twice')
      assert.deepEqual(found.filter((task) => /^steady \d+$/.test(task)).sort(), [...steady].sort())
    }
  } finally {
    isOver = true
    await Promise.all(rounds)
  }
})

test('bad options reject, or throw at once if there is no promise', async () => {
  const adapter = /** @type {any} */ (await makeAdapter('bad:'))
  for (const [options, code] of /** @type {[any, string][]} */ ([
    [{ prefix: 'a\0' }, 'ERR_INVALID_ARG_VALUE'],
    [{ prefx: 'a' }, 'ERR_INVALID_ARG_VALUE'],
    [{ prefix: true }, 'ERR_INVALID_ARG_TYPE'],
    ['a', 'ERR_INVALID_ARG_TYPE'],
  ])) {
    await assert.rejects(adapter.listTasks(options), { code })
    assert.throws(() => adapter.iterateTasks(options), { code })
  }
  assert.throws(() => adapter.iterateTasks({ pageSize: 0 }), { code: 'ERR_OUT_OF_RANGE' })
})

test('without a keyPrefix, the tasks of all prefixes are listed as they are stored, also where data is text', async () => {
  const db = await bare
  await db.query(`CREATE TABLE go_goscope_checkpoints (id text PRIMARY KEY, task_id text NOT NULL, sequence bigint NOT NULL,
    timestamp bigint NOT NULL, progress float8 NOT NULL, data text NOT NULL, estimated_time_remaining bigint)`)
  const [without, other] = ['', 'v:'].map((keyPrefix) => new PostgresAdapter(db.pool(), { keyPrefix }))
  await without?.save(checkpoint('a', 1))
  await other?.save(checkpoint('b', 1))
  assert.deepEqual(await without?.listTasks(), ['a', 'v:b'])
  assert.deepEqual(await without?.listTasks({ prefix: 'v:' }), ['v:b'])
  assert.deepEqual(await other?.listTasks(), ['b'])
  await other?.save(checkpoint(LONG, 1))
  const [plain, digest] = (await other?.listTasks()) ?? []
  assert.equal(plain, 'b')
  assert.ok(digest?.startsWith('\u0001#'), 'text does not have the original')
})
