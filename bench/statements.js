// @ts-check
// The single statements that do an operation's work for one key, as a careful user would write them: the adapter's own,
// without its batches and without the clean-up of expired rows. postgres.js and pgbench run these very texts.
'use strict'

const NOW = "timezone('UTC', clock_timestamp())"
const MILLISECONDS = "::float8 * INTERVAL '1 millisecond'"

/** $1 key */
const GET = `
  SELECT value FROM go_goscope_cache WHERE key = $1 AND (expires_at IS NULL OR expires_at > ${NOW})`

/** $1 key */
const HAS = `
  SELECT EXISTS (SELECT FROM go_goscope_cache
                  WHERE key = $1 AND (expires_at IS NULL OR expires_at > ${NOW})) AS found`

/** $1 task */
const LOAD_LATEST = `
  SELECT id, task_id, sequence, timestamp, progress, data, estimated_time_remaining
    FROM go_goscope_checkpoints WHERE task_id = $1 ORDER BY sequence DESC, timestamp DESC LIMIT 1`

/** $1 key, $2 value, $3 TTL */
const SET = `
  INSERT INTO go_goscope_cache (key, value, expires_at) VALUES ($1, $2::jsonb, ${NOW} + $3${MILLISECONDS})
  ON CONFLICT (key) DO UPDATE
    SET value = excluded.value, expires_at = excluded.expires_at, accessed_at = ${NOW}`

/** $1 key */
const DELETE = 'DELETE FROM go_goscope_cache WHERE key = $1'

/** $1 key, $2 what to add. An entry that has expired starts again. */
const INCREMENT = `
  INSERT INTO go_goscope_cache AS entry (key, value) VALUES ($1, to_jsonb($2::numeric))
  ON CONFLICT (key) DO UPDATE
    SET (value, expires_at, accessed_at) = (
          SELECT CASE WHEN is_live THEN to_jsonb(entry.value::numeric + excluded.value::numeric) ELSE excluded.value END,
                 CASE WHEN is_live THEN entry.expires_at END, ${NOW}
            FROM (SELECT entry.expires_at IS NULL OR entry.expires_at > ${NOW} AS is_live) AS found)
  RETURNING value`

/** $1 id, $2 task, $3 sequence, $4 timestamp, $5 progress, $6 data */
const SAVE = `
  INSERT INTO go_goscope_checkpoints (id, task_id, sequence, timestamp, progress, data)
  VALUES ($1, $2, $3::bigint, $4::bigint, $5::float8, $6::jsonb)
  ON CONFLICT (id) DO UPDATE
    SET task_id = excluded.task_id, sequence = excluded.sequence, timestamp = excluded.timestamp,
        progress = excluded.progress, data = excluded.data, estimated_time_remaining = NULL`

/** $1 key, $2 owner, $3 TTL. A busy lock is only read. */
const ACQUIRE = `
  INSERT INTO go_goscope_locks AS held (key, owner, expires_at)
  SELECT $1::text, $2::text, ${NOW} + $3${MILLISECONDS}
   WHERE NOT EXISTS (SELECT FROM go_goscope_locks WHERE key = $1::text AND owner <> $2::text AND expires_at > ${NOW})
  ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, expires_at = ${NOW} + $3${MILLISECONDS}
    WHERE held.owner = excluded.owner OR held.expires_at <= ${NOW}
  RETURNING true AS taken`

/** $1 key, $2 owner */
const RELEASE = 'DELETE FROM go_goscope_locks WHERE key = $1 AND owner = $2'

/** $1 key, $2 the most failures */
const RECORD_FAILURE = `
  INSERT INTO go_goscope_circuit AS circuit (key, state, failure_count, last_failure_time, updated_at)
  VALUES ($1, 'closed', 1, ${NOW}, ${NOW})
  ON CONFLICT (key) DO UPDATE
    SET failure_count = circuit.failure_count + 1, last_failure_time = ${NOW}, updated_at = ${NOW},
        state = CASE WHEN circuit.failure_count + 1 >= $2::float8 THEN 'open' ELSE circuit.state END
  RETURNING failure_count`

module.exports = { GET, HAS, LOAD_LATEST, SET, DELETE, INCREMENT, SAVE, ACQUIRE, RELEASE, RECORD_FAILURE }
