// @ts-check
// The single statements that do the same, through postgres.js, which prepares them.
'use strict'

const { fetched } = require('../../__test__/helpers/fetched.js')
const { TTL, VALUE, checkpoint, keyName } = require('../operations.js')
const { open: openOurs } = require('./ours.js')

const SPEC = 'postgres@3.4.9'

/** @param {string} url */
async function open(url) {
  const sql = require(fetched(SPEC))(url, { max: 10, onnotice: () => {} })
  const ours = await openOurs(url)
  return {
    calls: {
      get: async (/** @type {number} */ key) => {
        const [row] = await sql`SELECT value FROM go_goscope_cache
          WHERE key = ${`cache:${keyName(key)}`} AND (expires_at IS NULL OR expires_at > timezone('UTC', now()))`
        return row?.value ?? null
      },
      loadLatest: async (/** @type {number} */ key) => {
        const [row] = await sql`SELECT * FROM go_goscope_checkpoints
          WHERE task_id = ${keyName(key)} ORDER BY sequence DESC, timestamp DESC LIMIT 1`
        return row
      },
      set: (/** @type {number} */ key) => sql`
        INSERT INTO go_goscope_cache (key, value, expires_at)
        VALUES (${`cache:${keyName(key)}`}, ${sql.json(VALUE)},
                timezone('UTC', now()) + ${TTL}::float8 * INTERVAL '1 millisecond')
        ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`,
      save: (/** @type {number} */ key) => {
        const { id, taskId, sequence, timestamp, progress, data } = checkpoint(key)
        return sql`
          INSERT INTO go_goscope_checkpoints (id, task_id, sequence, timestamp, progress, data)
          VALUES (${id}, ${taskId}, ${sequence}, ${timestamp}, ${progress}, ${sql.json(data)})
          ON CONFLICT (id) DO UPDATE SET task_id = excluded.task_id, sequence = excluded.sequence,
            timestamp = excluded.timestamp, progress = excluded.progress, data = excluded.data`
      },
      lock: async (/** @type {number} */ key) => {
        const [name, owner] = [`lock:${keyName(key)}`, crypto.randomUUID()]
        await acquire(name, owner)
        await sql`DELETE FROM go_goscope_locks WHERE key = ${name} AND owner = ${owner}`
      },
      recordFailure: async (/** @type {number} */ key) => {
        const [row] = await sql`
          INSERT INTO go_goscope_circuit AS circuit (key, state, failure_count, last_failure_time)
          VALUES (${`circuit:${keyName(key)}`}, 'closed', 1, timezone('UTC', now()))
          ON CONFLICT (key) DO UPDATE SET failure_count = circuit.failure_count + 1,
            state = CASE WHEN circuit.failure_count + 1 >= 1000000000 THEN 'open' ELSE circuit.state END,
            last_failure_time = timezone('UTC', now()), updated_at = timezone('UTC', now())
          RETURNING failure_count`
        return row.failure_count
      },
      poll: (/** @type {number} */ key) => acquire(`lock:busy:${keyName(key)}`, crypto.randomUUID()),
    },
    fill: ours.fill,
    async close() {
      await ours.close()
      await sql.end()
    },
  }

  /**
   * @param {string} name
   * @param {string} owner
   */
  async function acquire(name, owner) {
    const rows = await sql`
      INSERT INTO go_goscope_locks AS held (key, owner, expires_at)
      VALUES (${name}, ${owner}, timezone('UTC', clock_timestamp()) + ${TTL}::float8 * INTERVAL '1 millisecond')
      ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
        WHERE held.owner = excluded.owner OR held.expires_at <= timezone('UTC', clock_timestamp())
      RETURNING true`
    return rows.length > 0
  }
}

const versions = () => ({ postgres: SPEC.split('@')[1] })

module.exports = { open, versions }
