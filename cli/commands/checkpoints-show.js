// @ts-check
'use strict'

const { bar, checkpointOf } = require('../checkpoint.js')
const { shownValue, wholeValue } = require('../one.js')
const { PREFIX, likeExactly } = require('../options.js')
const { FAILED, Problem } = require('../problem.js')
const { ids, list, one } = require('../queries/checkpoints.js')
const { duration, past, size } = require('../units.js')

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
The whole data, every number exactly. Exits with 1 if there is no such checkpoint. Without --key-prefix, the id is the
one that is stored, its prefix included.

--json prints { taskId, id, sequence, progress, savedAt: ISO 8601, savedAgoMs, estimatedTimeRemainingMs, bytes, data }.`,
  options: PREFIX,
  keys: ids,

  async look(session, _, [id]) {
    const row = await one(session, id)
    if (row === undefined) throw new Problem(FAILED, `there is no checkpoint '${id}'`, await hint(session, id))
    const { checkpoints, ...record } = checkpointOf(row)
    return { data: { ...record, data: wholeValue({ value: row.data }).value } }
  },

  show: ({ data, ...checkpoint }, view) =>
    view.facts([
      ['task', checkpoint.taskId],
      ['checkpoint', checkpoint.id],
      ['sequence', String(checkpoint.sequence)],
      ['progress', bar(checkpoint.progress)],
      ['saved', past(checkpoint.savedAgoMs)],
      ['left', duration(checkpoint.estimatedTimeRemainingMs)],
      ['size', size(checkpoint.bytes)],
    ]) + shownValue({ value: data }),
}

/**
 * @param {import('../session.js').Session} session
 * @param {string} id
 */
async function hint(session, id) {
  const [task] = await list(session, { match: likeExactly(id), limit: 1 })
  return task && `There is a task of this id, and its newest checkpoint is '${task.id}'.`
}
