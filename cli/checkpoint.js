// @ts-check
'use strict'

const { iso, whole } = require('./units.js')

/** A row of cli/queries/checkpoints.js as `--json` prints it. @param {any} row */
const checkpointOf = (row) => ({
  taskId: row.taskId,
  id: row.id,
  sequence: row.sequence,
  progress: row.progress,
  savedAt: iso(row.savedAt),
  savedAgoMs: whole(row.savedAgoMs),
  estimatedTimeRemainingMs: whole(row.estimatedTimeRemainingMs),
  bytes: row.bytes,
  checkpoints: row.checkpoints,
})

module.exports = { checkpointOf }
