// @ts-check
// What pgbench runs as one of several processes on the same keys: a statement for all calls that one connection has at
// once, and a lock that the server hands from session to session.
'use strict'

const { HOT_KEYS, KEYS } = require('./operations.js')
const { ACQUIRE_ARGS, HOT_KEY, KEY, OWNER, bind } = require('./pgbench-scripts.js')
const { EXPIRY, UPSERT, rowsOf } = require('./bare-statement.js')
const statements = require('./statements.js')

/**
 * The keys of a write in one order, or two sessions would deadlock. A step that has no divisor in common with the number of
 * keys makes them different.
 *
 * @param {number} rows
 */
function hotRows(rows) {
  const key = `(:first + place * :step) % ${HOT_KEYS}`
  return {
    draw: [`\\set first random(0, ${HOT_KEYS - 1})`, `\\set step 2 * random(0, ${HOT_KEYS / 2 - 1}) + 1`],
    from: `FROM generate_series(1, ${rows}) AS place ORDER BY ${key}`,
    name: `'key:' || (${key})::text`,
  }
}

/**
 * @param {number} calls
 * @param {number} keys
 */
function read(calls, keys) {
  const numbers = Array.from({ length: calls }, (_, at) => at)
  const names = numbers.map((at) => `'cache:' || 'key:' || :key${at}::text`)
  return [
    ...numbers.map((at) => `\\set key${at} random(0, ${keys - 1})`),
    `SELECT key, value FROM go_goscope_cache WHERE key = ANY (ARRAY[${names.join(', ')}]);`,
  ]
}

/** @param {number} calls */
function write(calls) {
  const { draw, from, name } = hotRows(rowsOf(calls, HOT_KEYS))
  const columns = 'INSERT INTO go_goscope_cache (key, value, expires_at)'
  return [...draw, `${columns} SELECT 'cache:' || ${name}, :value::jsonb, ${EXPIRY} ${from} ${UPSERT};`]
}

/** @param {number} calls */
function count(calls) {
  const { draw, from, name } = hotRows(rowsOf(calls, HOT_KEYS))
  const columns = 'INSERT INTO go_goscope_circuit AS circuit (key, state, failure_count)'
  const counted = 'ON CONFLICT (key) DO UPDATE SET failure_count = circuit.failure_count + 1 RETURNING failure_count;'
  return [...draw, `${columns} SELECT 'circuit:' || ${name}, 'closed', 1 ${from} ${counted}`]
}

/** One statement for the calls of a connection. @type {Record<string, (calls: number) => string[]>} */
const BATCHES = {
  getCold: (calls) => read(calls, KEYS),
  getHot: (calls) => read(calls, HOT_KEYS),
  setHot: write,
  recordFailureHot: count,
}

const [LOCK, UNLOCK] = ['SELECT pg_advisory_lock(:key);', 'SELECT pg_advisory_unlock(:key);']

/** A hand-over between sessions that wait in the server. It ends with its session, and cannot expire. */
const SESSION_LOCK = [HOT_KEY, LOCK, UNLOCK]

/** The same, with what a lease has to commit: that it is held, and that it no longer is. */
const SESSION_LEASE = [
  ...[HOT_KEY, LOCK],
  bind(statements.ACQUIRE, ACQUIRE_ARGS(`'lock:' || ${KEY}`)),
  bind(statements.RELEASE, [`('lock:' || ${KEY})`, `(${OWNER})`]),
  UNLOCK,
]

module.exports = { BATCHES, SESSION_LEASE, SESSION_LOCK }
