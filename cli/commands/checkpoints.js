// @ts-check
'use strict'

const { checkpointOf } = require('../checkpoint.js')
const { limited } = require('../keys.js')
const { LISTING, PREFIX, likeOf, limitOf } = require('../options.js')
const { list } = require('../queries/checkpoints.js')
const { ago, count, duration, size } = require('../units.js')

const BAR = 10

/** @type {import('../commands.js').Command} */
module.exports = {
  name: 'checkpoints',
  summary: 'how far each task has come',
  details: `
The newest checkpoint of each task, or with --task all of one, the newest first. Ages are from the times that the
applications gave. Without --key-prefix, ids and task ids are shown as they are stored, their prefixes included.

--json prints an array of { taskId, id, sequence, progress, savedAt: ISO 8601, savedAgoMs, estimatedTimeRemainingMs,
bytes, checkpoints: how many the task has }.`,
  options: {
    ...PREFIX,
    ...LISTING,
    task: { type: 'string', short: 't', value: 'ID', help: 'all checkpoints of this task' },
  },

  async look(session, given) {
    const limit = limitOf(given)
    const rows = await list(session, { match: likeOf(given.match), limit: limit + 1, task: given.task })
    return limited(rows.map(checkpointOf), limit)
  },

  show(checkpoints, view, given) {
    if (checkpoints.length === 0) return `No checkpoints${given.task === undefined ? '' : ' of this task'}.\n`
    const ofOne = given.task !== undefined
    const hasEstimate = checkpoints.some((/** @type {any} */ { estimatedTimeRemainingMs: ms }) => ms !== null)
    return view.table(
      [
        ...(ofOne ? [] : [{ title: 'TASK', cell: (/** @type {any} */ { taskId }) => taskId, shrinks: true }]),
        { title: 'CHECKPOINT', cell: ({ id }) => id, shrinks: true },
        { title: 'SEQUENCE', align: 'right', cell: ({ sequence }) => String(sequence) },
        { title: 'PROGRESS', cell: ({ progress }) => bar(progress) },
        {
          title: 'SAVED',
          align: 'right',
          ticks: true,
          cell: ({ savedAgoMs: ms }) => (ms < 0 ? ago(ms) : `${ago(ms)} ago`),
        },
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

/** @param {unknown} progress from 0 to 100; an application may store any number */
function bar(progress) {
  const value = Number(progress)
  const full = Math.round((Math.min(Math.max(value, 0), 100) / 100) * BAR)
  return `${'█'.repeat(full || 0)}${'░'.repeat(BAR - (full || 0))} ${Math.round(value * 10) / 10} %`
}
