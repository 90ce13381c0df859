// @ts-check
'use strict'

const { bar, checkpointOf } = require('../checkpoint.js')
const { listing } = require('../listing.js')
const { likeOf } = require('../options.js')
const { FAILED, FINE } = require('../problem.js')
const { SORTS, list, taskIds } = require('../queries/checkpoints.js')
const { count, duration, past, size } = require('../units.js')

/** @type {import('../options.js').Options} */
const TASK = { task: { type: 'string', short: 't', value: 'ID', keys: taskIds, help: 'all checkpoints of this task' } }

const TASKS = listing({ sorts: SORTS, options: TASK, rows: list, record: checkpointOf })
const OF_ONE = listing({
  sorts: SORTS,
  usual: { column: 'sequence', isDescending: true },
  rows: (session, selection, { task }) => list(session, { ...selection, task }),
  record: checkpointOf,
})

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
The newest checkpoint of each task, or with --task all of one, the newest first. Ages are from the times that the
applications gave. Without --key-prefix, ids and task ids are shown as they are stored, their prefixes included.

--json prints an array of { taskId, id, sequence, progress, savedAt: ISO 8601, savedAgoMs, estimatedTimeRemainingMs,
bytes, checkpoints: how many the task has }.`,
  ...TASKS,

  async look(session, given) {
    if (given.task === undefined) return TASKS.look(session, given)
    const found = await OF_ONE.look(session, given)
    return found.data.length > 0 ? found : { data: [], notes: [await absent(session, given)] }
  },

  exitCode: (checkpoints, { task }) => (checkpoints.length === 0 && task !== undefined ? FAILED : FINE),

  show(checkpoints, view, given) {
    const ofOne = given.task !== undefined
    // A note says that there are none of the task.
    if (checkpoints.length === 0) return ofOne ? '' : 'No checkpoints.\n'
    const hasEstimate = checkpoints.some((/** @type {any} */ { estimatedTimeRemainingMs: ms }) => ms !== null)
    return view.table(
      [
        ...(ofOne ? [] : [{ title: 'TASK', cell: (/** @type {any} */ { taskId }) => taskId, shrinks: true }]),
        { title: 'CHECKPOINT', cell: ({ id }) => id, shrinks: true },
        { title: 'SEQUENCE', align: 'right', cell: ({ sequence }) => String(sequence) },
        { title: 'PROGRESS', cell: ({ progress }) => bar(progress) },
        { title: 'SAVED', align: 'right', ticks: true, cell: ({ savedAgoMs }) => past(savedAgoMs) },
        ...(hasEstimate
          ? [
              {
                title: 'LEFT',
                align: /** @type {const} */ ('right'),
                cell: (/** @type {any} */ { estimatedTimeRemainingMs: ms }) => duration(ms),
              },
            ]
          : []),
        { title: 'SIZE', align: 'right', cell: ({ bytes }) => size(bytes) },
        ...(ofOne
          ? []
          : [
              {
                title: 'CHECKPOINTS',
                align: /** @type {const} */ ('right'),
                cell: (/** @type {any} */ { checkpoints }) => count(checkpoints),
              },
            ]),
      ],
      checkpoints,
      { id: ({ taskId, id }) => (ofOne ? id : taskId) },
    )
  },
}

/**
 * @param {import('../session.js').Session} session
 * @param {import('../options.js').Given} given
 */
async function absent(session, { task, match, 'key-prefix': prefix }) {
  const what = `There are no checkpoints of a task '${task}'`
  if (match !== undefined) return `${what} whose id is like '${match}'`
  // Without a prefix, ids are those that are stored.
  const [other] = prefix === undefined ? await taskIds(session, { match: `%${likeOf(task)}`, limit: 1 }) : []
  return other ? `${what}. There is '${other}': see --key-prefix` : what
}
