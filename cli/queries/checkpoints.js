// @ts-check
'use strict'

const { SAME_PLACE, countUpTo, countsOf, exact, paged, rowsOf, sorted, startOf } = require('./rows.js')

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

const TASK = idOf('known.key', 'taskId')
const ID = idOf('own.id', 'id')

/** Of a checkpoint. `timestamp` is the caller's clock, so an age by it may be off, and even negative. */
const COLUMNS = `stored.sequence::int8 AS sequence, ${exact('stored.progress::float8')} AS progress,
           stored.timestamp::numeric AS "savedAt",
           round((extract(epoch FROM clock_timestamp()) * 1000)::numeric) - stored.timestamp::numeric AS "savedAgoMs",
           stored.estimated_time_remaining::numeric AS "estimatedTimeRemainingMs",
           pg_column_size(stored.data) AS bytes`

/** Only one of id and task id may have been too long for its prefix. */
const OWN_ID = `CROSS JOIN LATERAL (SELECT CASE WHEN starts_with(stored.id, $1) THEN substr(stored.id, length($1) + 1)
                                     WHEN starts_with(stored.id, $2) THEN substr(stored.id, length($2) + 1)
                                     ELSE stored.id END AS id) AS own`

/** The JSON text of the whole data: without the ids that may be beside it. */
const DATA = `CASE WHEN starts_with(known.key, E'\\001#') OR starts_with(own.id, E'\\001#')
            THEN coalesce((to_jsonb(stored.data)->'data')::text, stored.data::text) ELSE stored.data::text END`

/** What a user can sort by: columns of the rows that {@link list} has found. */
const SORTS = {
  task: ['"taskId" COLLATE "C"'],
  checkpoint: ['id COLLATE "C"'],
  sequence: ['sequence'],
  progress: ['"storedProgress"'],
  saved: ['"savedAt"'],
  left: ['"estimatedTimeRemainingMs"'],
  size: ['bytes'],
  checkpoints: ['checkpoints'],
}

const NEWEST_FIRST = 'stored.sequence DESC, stored.timestamp DESC, stored.id COLLATE "C" DESC'

/**
 * The newest checkpoint of each task, or all of one, the newest first.
 *
 * @param {Session} session
 * @param {import('./rows.js').Selection & { task?: string }} selection a page begins after a place among those of one task
 */
async function list(session, { match, limit, task, after, sort }) {
  const { from, prefixes } = await rowsOf(session, CHECKPOINTS)
  const order = '"taskId" COLLATE "C", place'
  const sql = `
SELECT "taskId", id, sequence, progress, "savedAt", "savedAgoMs", "estimatedTimeRemainingMs", bytes, checkpoints, place
  FROM (
    SELECT ${TASK} AS "taskId", ${ID} AS id, ${COLUMNS}, stored.progress::float8 AS "storedProgress",
           count(*) OVER (PARTITION BY stored.task_id) AS checkpoints,
           row_number() OVER (PARTITION BY stored.task_id ORDER BY ${NEWEST_FIRST}) AS place
      FROM ${from} ${OWN_ID}) AS each
 WHERE ($3 IS NULL OR "taskId" LIKE $3) AND CASE WHEN $5 IS NULL THEN place = 1 ELSE "taskId" = $5 END
   AND ($6 IS NULL OR place > $6::int8)
 ORDER BY ${sort === undefined ? order : sorted(SORTS, sort, order)} LIMIT $4::int8`
  return session.query(sql, [...prefixes, match, String(limit), task, after && String(after.place)])
}

/**
 * The checkpoint of this id, as the list shows ids, with its data as JSON text; if there is one.
 *
 * @param {Session} session
 * @param {string} id
 */
async function one(session, id) {
  const { from, prefixes } = await rowsOf(session, CHECKPOINTS)
  const sql = `
SELECT ${TASK} AS "taskId", ${ID} AS id, ${COLUMNS}, ${DATA} AS data FROM ${from} ${OWN_ID}
 WHERE ${ID} = $3 ORDER BY stored.id COLLATE "C" LIMIT 1`
  return session.row(sql, [...prefixes, id])
}

/** Whether a task is wanted. */
const SELECTED = `($3 IS NULL OR ${TASK} LIKE $3)`

/**
 * A page of tasks, each with its newest checkpoint, and with the oldest one that is kept: the two tell its rate. The page
 * is cut before checkpoints are compared, so that only those of its tasks are.
 *
 * @param {Session} session
 * @param {import('./rows.js').Selection} selection
 */
async function tasks(session, { match, limit, after }) {
  const { from, prefixes } = await rowsOf(session, CHECKPOINTS)
  const page = paged(SAME_PLACE, 'stored.task_id')
  const sql = `
WITH page AS (
    SELECT stored.task_id, count(*) AS checkpoints FROM ${from}
     WHERE ${SELECTED} AND ${page.follows}
     GROUP BY stored.task_id ORDER BY stored.task_id COLLATE "C" LIMIT $4::int8)
SELECT *, ${exact('"oldestProgress"')} AS "firstProgress" FROM (
    SELECT ${TASK} AS "taskId", ${ID} AS id, ${COLUMNS},
           page.checkpoints, stored.task_id AS "storedKey", 0 AS place,
           first_value(stored.progress::float8) OVER oldest AS "oldestProgress",
           first_value(stored.timestamp::numeric) OVER oldest AS "firstSavedAt",
           row_number() OVER (PARTITION BY stored.task_id ORDER BY ${NEWEST_FIRST}) AS newest
      FROM ${from} ${OWN_ID}
      JOIN page ON page.task_id = stored.task_id
    WINDOW oldest AS (PARTITION BY stored.task_id
                      ORDER BY stored.sequence, stored.timestamp, stored.id COLLATE "C")) AS each
 WHERE newest = 1
 ORDER BY "storedKey" COLLATE "C"`
  return session.query(sql, [...prefixes, match, String(limit), null, ...startOf(after)])
}

/**
 * How many tasks there are.
 *
 * @param {Session} session
 * @param {{ match?: string }} selection
 */
async function tasksFound(session, { match }) {
  const { from, prefixes } = await rowsOf(session, CHECKPOINTS)
  return countUpTo(session, `DISTINCT stored.task_id FROM ${from} WHERE ${SELECTED}`, [...prefixes, match])
}

/**
 * The ids of the tasks that match a LIKE pattern.
 *
 * @param {Session} session
 * @param {{ match: string, limit: number }} selection
 * @returns {Promise<string[]>}
 */
async function taskIds(session, { match, limit }) {
  const found = await tasks(session, { match, limit })
  return found.map(({ taskId }) => taskId)
}

/**
 * The ids of the checkpoints that match a LIKE pattern.
 *
 * @param {Session} session
 * @param {{ match: string, limit: number }} selection
 * @returns {Promise<string[]>}
 */
async function ids(session, { match, limit }) {
  const { from, prefixes } = await rowsOf(session, CHECKPOINTS)
  const sql = `SELECT ${ID} AS id FROM ${from} ${OWN_ID} WHERE ${ID} LIKE $3 ORDER BY stored.id COLLATE "C" LIMIT $4::int8`
  const found = await session.query(sql, [...prefixes, match, String(limit)])
  return found.map(({ id }) => id)
}

/** @param {Session} session */
const counts = (session) =>
  countsOf(session, CHECKPOINTS, 'count(*) AS checkpoints, count(DISTINCT stored.task_id) AS tasks')

module.exports = { SORTS, counts, ids, list, one, taskIds, tasks, tasksFound }
