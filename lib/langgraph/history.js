// @ts-check
// The stored checkpoints of a thread's task, the newest of each namespace first, page by page.
'use strict'

const { firstSequence, sequenceAfter, sequenceOf } = require('./place.js')

const PAGE_SIZE = 100

/**
 * @typedef {object} Stored the data of a checkpoint
 * @property {string} namespace
 * @property {string} id
 * @property {string} [parent]
 * @property {import('./packed.js').Packed} checkpoint
 * @property {import('./packed.js').Packed} metadata
 *
 * @typedef {import('../../index.js').Checkpoint<Stored>} Row
 */

/**
 * Each page begins at the sequence at which the one before has ended, since checkpoints of one ms have one sequence.
 *
 * @param {import('../../index.js').PostgresAdapter} checkpoints
 * @param {string} task
 * @param {{ namespace?: string | undefined, before?: string | undefined, limit?: number | undefined }} [which] without a
 * namespace, all of them, one after the other; `before` is a checkpoint's id
 * @returns {AsyncGenerator<Row[], void, undefined>}
 */
async function* historyOf(checkpoints, task, { namespace, before, limit = PAGE_SIZE } = {}) {
  const least = namespace === undefined ? -Infinity : firstSequence(namespace)
  let end = namespace === undefined ? undefined : sequenceAfter(namespace)
  if (namespace !== undefined && before !== undefined) end = sequenceOf({ namespace, id: before }) + 1
  let size = Math.min(limit, PAGE_SIZE)
  /** @type {Row | undefined} */
  let last
  for (;;) {
    const rows = /** @type {Row[]} */ (await checkpoints.list(task, { order: 'desc', limit: size, before: end }))
    const isWanted = (/** @type {Row} */ { data, id, sequence }) =>
      (last === undefined || sequence < last.sequence || id < last.id) &&
      (namespace === undefined || data.namespace === namespace) &&
      (before === undefined || data.id < before)
    const page = rows.filter(isWanted)
    if (page.length > 0) yield page
    last = rows.at(-1)
    if (last === undefined || rows.length < size || last.sequence < least) return
    const { sequence } = last
    end = sequence + 1
    size = PAGE_SIZE + rows.filter((row) => row.sequence === sequence).length
  }
}

module.exports = { historyOf }
