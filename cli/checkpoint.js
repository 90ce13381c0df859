// @ts-check
'use strict'

const { iso, percent, whole } = require('./units.js')

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

const BAR = 10

/** For people. @param {unknown} progress from 0 to 100; an application may store any number */
function bar(progress) {
  const value = Number(progress)
  const full = Math.round((Math.min(Math.max(value, 0), 100) / 100) * BAR)
  return `${'█'.repeat(full || 0)}${'░'.repeat(BAR - (full || 0))} ${percent(value)}`
}

module.exports = { bar, checkpointOf }
