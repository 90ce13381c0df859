// @ts-check
// The deletion of a thread, of which another process may be running the graph, or deleting it, too. It deletes the checkpoints that
// it has found, and their writes. What is stored meanwhile is a thread that was begun anew, and keeps all of its writes.
//
// 1. The checkpoints become those of another task, the oldest first: the latest one is there, with its writes, until the last
//    moment. Each deletion has such a task of its own. With a common one, a deletion could delete the checkpoints that another
//    has just moved there, and has not deleted the writes of.
// 2. Their writes are deleted; those of their parents, too, which a graph may have added to a checkpoint that was gone.
// 3. That task is deleted. Until then it says what is left to do, so a deletion that was interrupted is finished by the next one.
// 4. What writes are left belong to no checkpoint: a graph has added them after its checkpoint was gone, and has ended there.
'use strict'

const { randomUUID } = require('node:crypto')
const { historyOf } = require('./history.js')
const { deletedTasksOf, keyOf, taskOf } = require('./place.js')

/** How many checkpoints one call moves: one statement's. */
const MOVED_AT_ONCE = 200

/**
 * @param {import('../../index.js').PostgresAdapter} checkpoints
 * @param {import('./writes-log.js').WritesLog} writes
 * @param {string} thread
 */
async function deleteThread(checkpoints, writes, thread) {
  const prefix = deletedTasksOf(thread)
  const taskId = `${prefix}${randomUUID()}`
  /** @type {import('../../index.js').Checkpoint<Deleted>[]} */
  const found = []
  for await (const page of historyOf(checkpoints, taskOf(thread))) {
    for (const { data, ...row } of page) {
      const { namespace, id, parent } = data
      found.push({ ...row, taskId, data: { namespace, id, parent } })
    }
  }
  found.reverse()
  for (let at = 0; at < found.length; at += MOVED_AT_ONCE)
    await checkpoints.saveMany(found.slice(at, at + MOVED_AT_ONCE))
  await finish(checkpoints, writes, thread, taskId, found)

  // Those that were interrupted. Another process may be about to finish one of them: that does the same once more.
  for await (const interrupted of checkpoints.iterateTasks({ prefix })) {
    const left = /** @type {typeof found} */ (await checkpoints.list(interrupted))
    await finish(checkpoints, writes, thread, interrupted, left)
  }

  for await (const place of writes.checkpointsOf(thread)) {
    if ((await checkpoints.load(keyOf(place))) === undefined) await writes.remove([place])
  }
}

/**
 * @typedef {{ namespace: string, id: string, parent?: string | undefined }} Deleted
 *
 * @param {import('../../index.js').PostgresAdapter} checkpoints
 * @param {import('./writes-log.js').WritesLog} writes
 * @param {string} thread
 * @param {string} taskId
 * @param {{ data: Deleted }[]} deleted
 */
async function finish(checkpoints, writes, thread, taskId, deleted) {
  for (let at = 0; at < deleted.length; at += MOVED_AT_ONCE) {
    const places = deleted
      .slice(at, at + MOVED_AT_ONCE)
      .flatMap(({ data: { namespace, id, parent } }) =>
        (parent === undefined ? [id] : [id, parent]).map((id) => ({ thread, namespace, id })),
      )
    await writes.remove(places)
  }
  await checkpoints.deleteAll(taskId)
}

module.exports = { deleteThread }
