// @ts-check
'use strict'

const { countsOf, exact, rowsOf } = require('./rows.js')

/** @typedef {import('./rows.js').Session} Session */

const CHECKPOINTS = { table: 'go_goscope_checkpoints', namespace: '', column: 'task_id' }

/**
 * An id. One that was stored as a digest is read from beside the data. It is a JSON literal there, which is taken as the
 * id if it contains no escapes. (A cast would fail if another application has put invalid text there.)
 *
 * @param {string} id as it is stored, without the prefix
 * @param {string} field
 */
const idOf = (id, field) => `CASE WHEN starts_with(${id}, E'\\001#')
            THEN coalesce(regexp_replace(to_jsonb(stored.data)->>'${field}', E'^"([^"\\\\\\\\]*)"$', E'\\\\1'), ${id})
            ELSE ${id} END`

/**
 * The newest checkpoint of each task, or all of one, the newest first. `timestamp` is the caller's clock, so an age by
 * it may be off, and even negative.
 *
 * @param {Session} session
 * @param {import('./rows.js').Selection & { task?: string }} selection
 */
async function list(session, { match, limit, task }) {
  const { from, prefixes } = await rowsOf(session, CHECKPOINTS)
  const sql = `
SELECT * FROM (
    SELECT ${idOf('known.key', 'taskId')} AS "taskId",
           ${idOf('own.id', 'id')} AS id,
           stored.sequence::int8 AS sequence, ${exact('stored.progress::float8')} AS progress,
           stored.timestamp::numeric AS "savedAt",
           round((extract(epoch FROM clock_timestamp()) * 1000)::numeric) - stored.timestamp::numeric AS "savedAgoMs",
           stored.estimated_time_remaining::numeric AS "estimatedTimeRemainingMs",
           pg_column_size(stored.data) AS bytes,
           count(*) OVER (PARTITION BY stored.task_id) AS checkpoints,
           row_number() OVER (PARTITION BY stored.task_id
                              ORDER BY stored.sequence DESC, stored.timestamp DESC, stored.id COLLATE "C" DESC) AS place
      FROM ${from}
     -- Only one of id and task id may have been too long for its prefix.
     CROSS JOIN LATERAL (SELECT CASE WHEN starts_with(stored.id, $1) THEN substr(stored.id, length($1) + 1)
                                     WHEN starts_with(stored.id, $2) THEN substr(stored.id, length($2) + 1)
                                     ELSE stored.id END AS id) AS own) AS each
 WHERE ($3 IS NULL OR "taskId" LIKE $3) AND CASE WHEN $5 IS NULL THEN place = 1 ELSE "taskId" = $5 END
 ORDER BY "taskId" COLLATE "C", place LIMIT $4::int8`
  return session.query(sql, [...prefixes, match, String(limit), task])
}

/** @param {Session} session */
const counts = (session) =>
  countsOf(session, CHECKPOINTS, 'count(*) AS checkpoints, count(DISTINCT stored.task_id) AS tasks')

module.exports = { counts, list }
