// @ts-check
// @configurations first
// list with options: a part of a task's checkpoints.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()

/** @param {import('goscope-postgres').PersistenceAdapterOptions} [options] */
const makeAdapter = async (options) => new PostgresAdapter((await database).pool(), options)

/** @param {string} taskId @param {number} n @param {number} sequence @param {number} [timestamp] */
const checkpoint = (taskId, n, sequence, timestamp = 0) => ({
  id: `${taskId}:${n}`,
  taskId,
  sequence,
  timestamp,
  progress: n,
  data: { n },
})

const TASKS = ['plain', 'p'.repeat(5_000), 'lone \ud800', 'ключ']
const SEQUENCES = [-7, 0, 3, 3, 3, 4, 9, 2 ** 53 - 1, -(2 ** 53) + 1]

test('each part is what the list has there, in either direction, of equal sequences too', async () => {
  const adapter = await makeAdapter({ keyPrefix: 'part:' })
  for (const task of TASKS) {
    const all = SEQUENCES.map((sequence, n) => checkpoint(task, n, sequence, n % 2))
    await adapter.saveMany([...all].reverse())
    const ascending = await adapter.list(task)
    assert.equal(ascending.length, all.length)
    for (const order of /** @type {const} */ (['asc', 'desc', undefined])) {
      const ordered = order === 'desc' ? [...ascending].reverse() : ascending
      assert.deepEqual(await adapter.list(task, { order }), ordered)
      for (const before of [undefined, ...SEQUENCES, 1, 100]) {
        const expected = ordered.filter(({ sequence }) => before === undefined || sequence < before)
        for (const limit of [undefined, 1, 2, 5, 100]) {
          const part = await adapter.list(task, { order, before, limit })
          assert.deepEqual(part, expected.slice(0, limit), `${task.slice(0, 9)} ${order} ${before} ${limit}`)
        }
      }
    }
    assert.deepEqual(await adapter.list(task, {}), ascending)
  }
  assert.deepEqual(await adapter.list('absent', { limit: 1 }), [])
})

test('calls at the same time each get their own part', async () => {
  const adapter = await makeAdapter({ keyPrefix: 'same:' })
  const tasks = ['one', 'two', 'three'].map((task) => Array.from({ length: 12 }, (_, n) => checkpoint(task, n, n)))
  await adapter.saveMany(tasks.flat())
  const calls = Array.from({ length: 300 }, (_, n) => {
    const all = /** @type {typeof tasks[0]} */ (tasks[n % 3])
    const [limit, before, order] = [1 + (n % 5), 4 + (n % 7), n % 2 ? /** @type {const} */ ('desc') : undefined]
    const ordered = order ? [...all].reverse() : all
    return {
      part: adapter.list(all[0]?.taskId ?? '', { limit, before, order }),
      expected: ordered.filter(({ sequence }) => sequence < before).slice(0, limit),
    }
  })
  for (const { part, expected } of calls) assert.deepEqual(await part, expected)
  // Equal calls, which one statement answers.
  const equal = await Promise.all(Array.from({ length: 20 }, () => adapter.list('one', { limit: 3 })))
  for (const part of equal) assert.deepEqual(part, tasks[0]?.slice(0, 3))
})

test('a part has the calls on its task that were made before it, awaited or not', async () => {
  const adapter = await makeAdapter({ keyPrefix: 'seen:' })
  for (let round = 0; round < 30; round++) {
    const saved = checkpoint('seen', round, round)
    const [, , newest, , rest] = await Promise.all([
      adapter.saveMany([saved]),
      adapter.save(checkpoint('seen', -1, round - 1)),
      adapter.list('seen', { order: 'desc', limit: 1 }),
      adapter.cleanup('seen', 1),
      adapter.list('seen', { limit: 5 }),
    ])
    assert.deepEqual([newest, rest], [[saved], [saved]])
  }
})

test('going back page by page has each checkpoint once, also if others are added', async () => {
  const adapter = await makeAdapter({ keyPrefix: 'back:' })
  await adapter.saveMany(Array.from({ length: 50 }, (_, n) => checkpoint('back', n, n)))
  /** @type {number[]} */
  const seen = []
  for (let before; ; before = seen.at(-1)) {
    const page = await adapter.list('back', { order: 'desc', limit: 7, before })
    seen.push(...page.map(({ sequence }) => sequence))
    if (page.length < 7) break
    await adapter.save(checkpoint('back', 100 + seen.length, 100 + seen.length))
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 50 }, (_, n) => 49 - n),
  )
})
