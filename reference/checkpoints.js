// @ts-check
'use strict'

/** Fault: takes no prefix. */
class Checkpoints {
  #pool

  /** @param {import('pg').Pool} pool */
  constructor(pool) {
    this.#pool = pool
  }

  /**
   * Fault: of a checkpoint that is there already, task, sequence and timestamp stay the old ones.
   *
   * @param {any} checkpoint
   */
  async save(checkpoint) {
    await this.#pool.query(
      `INSERT INTO go_goscope_checkpoints (id, task_id, sequence, timestamp, progress, data, estimated_time_remaining)
       VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT (id) DO UPDATE SET
         progress = EXCLUDED.progress, data = EXCLUDED.data,
         estimated_time_remaining = EXCLUDED.estimated_time_remaining`,
      [
        checkpoint.id,
        checkpoint.taskId,
        checkpoint.sequence,
        checkpoint.timestamp,
        checkpoint.progress,
        JSON.stringify(checkpoint.data),
        checkpoint.estimatedTimeRemaining ?? null,
      ],
    )
  }

  /** @param {any} id */
  async load(id) {
    const { rows } = await this.#pool.query('SELECT * FROM go_goscope_checkpoints WHERE id = $1', [id])
    return rows.length === 0 ? undefined : toCheckpoint(rows[0])
  }

  /**
   * Fault: among equal sequences any may come first.
   *
   * @param {any} taskId
   */
  async loadLatest(taskId) {
    const { rows } = await this.#pool.query(
      'SELECT * FROM go_goscope_checkpoints WHERE task_id = $1 ORDER BY sequence DESC LIMIT 1',
      [taskId],
    )
    return rows.length === 0 ? undefined : toCheckpoint(rows[0])
  }

  /** @param {any} taskId */
  async list(taskId) {
    const { rows } = await this.#pool.query(
      'SELECT * FROM go_goscope_checkpoints WHERE task_id = $1 ORDER BY sequence ASC',
      [taskId],
    )
    return rows.map(toCheckpoint)
  }

  /**
   * Fault: without a count, OFFSET NULL skips nothing and all are deleted.
   *
   * @param {any} taskId
   * @param {any} keepCount
   */
  async cleanup(taskId, keepCount) {
    await this.#pool.query(
      `DELETE FROM go_goscope_checkpoints WHERE id IN (
         SELECT id FROM go_goscope_checkpoints WHERE task_id = $1 ORDER BY sequence DESC OFFSET $2)`,
      [taskId, keepCount],
    )
  }

  /** @param {any} taskId */
  async deleteAll(taskId) {
    await this.#pool.query('DELETE FROM go_goscope_checkpoints WHERE task_id = $1', [taskId])
  }
}

/**
 * Faults: pg gives a BIGINT as text, and `sequence` is passed on as that; an estimate that is 0 in a column of another
 * type counts as none.
 *
 * @param {any} row
 */
function toCheckpoint(row) {
  return {
    id: row.id,
    taskId: row.task_id,
    sequence: row.sequence,
    timestamp: Number(row.timestamp),
    progress: row.progress,
    data: row.data,
    estimatedTimeRemaining: row.estimated_time_remaining ? Number(row.estimated_time_remaining) : undefined,
  }
}

module.exports = { Checkpoints }
