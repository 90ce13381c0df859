// @ts-check
// The deletion of a thread, of which another process may be running the graph. It deletes the checkpoints that it has found, and
// their writes. What is stored meanwhile is a thread that was begun anew, and keeps all of its writes.
//
// 1. The checkpoints become those of another task, the oldest first: the latest one is there, with its writes, until the last
//    moment. That task is the list of what is left to do, so a deletion that was interrupted is finished by the next one.
// 2. Their writes are deleted; those of their parents, too, which a graph may have added to a checkpoint that was gone.
// 3. That task is deleted.
'use strict'

const { historyOf } = require('./history.js')
const { deletedTaskOf, taskOf } = require('./place.js')

/** How many checkpoints one call moves: one statement's. */
const MOVED_AT_ONCE = 200

/**
 * @param {import('../../index.js').PostgresAdapter} checkpoints
 * @param {import('./writes-log.js').WritesLog} writes
 * @param {string} thread
 */
async function deleteThread(checkpoints, writes, thread) {
  const taskId = deletedTaskOf(thread)
  /** @type {import('../../index.js').Checkpoint[]} */
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

  for await (const page of historyOf(checkpoints, taskId)) {
    const places = page.flatMap(({ data: { namespace, id, parent } }) =>
      (parent === undefined ? [id] : [id, parent]).map((id) => ({ thread, namespace, id })),
    )
    await writes.remove(places)
  }
  await checkpoints.deleteAll(taskId)
}

module.exports = { deleteThread }
