// @ts-check
// What pgbench runs: the single statements of an operation, for a key that it draws.
'use strict'

const { CHECKPOINTS_PER_TASK, HOT_KEYS, KEYS, TTL } = require('./operations.js')
const statements = require('./statements.js')

/**
 * pgbench's variables are numbers, and where the command line sets them, text. It looks for them within literals, too:
 * in none of those may a letter follow a colon.
 */
const ANY_KEY = `\\set key random(0, ${KEYS - 1})`
const HOT_KEY = `\\set key random(0, ${HOT_KEYS - 1})`
const OWN_KEY = '\\set key :client_id + :connections * random(0, :keys_of_client - 1)'
const KEY = "'key:' || :key::text"
const OWNER = "'pgbench ' || :client_id::text"
const ACQUIRE_ARGS = (/** @type {string} */ key) => [`(${key})`, `(${OWNER})`, String(TTL)]

/** @type {Record<string, string[]>} */
const SCRIPTS = {
  get: [ANY_KEY, bind(statements.GET, [`('cache:' || ${KEY})`])],
  has: [ANY_KEY, bind(statements.HAS, [`('cache:' || ${KEY})`])],
  loadLatest: [ANY_KEY, bind(statements.LOAD_LATEST, [`(${KEY})`])],
  set: [ANY_KEY, bind(statements.SET, [`('cache:' || ${KEY})`, ':value', String(TTL)])],
  delete: [
    OWN_KEY,
    bind(statements.SET, [`('cache:' || 'deleted:' || ${KEY})`, ':value', String(TTL)]),
    bind(statements.DELETE, [`('cache:' || 'deleted:' || ${KEY})`]),
  ],
  increment: [HOT_KEY, bind(statements.INCREMENT, [`('cache:' || 'count:' || ${KEY})`, '1'])],
  save: [
    ANY_KEY,
    `\\set sequence random(0, ${CHECKPOINTS_PER_TASK - 1})`,
    bind(statements.SAVE, [
      `(${KEY} || ':' || :sequence::text)`,
      `(${KEY})`,
      ':sequence',
      '1700000000000',
      '50',
      ':value',
    ]),
  ],
  lock: [
    OWN_KEY,
    bind(statements.ACQUIRE, ACQUIRE_ARGS(`'lock:' || ${KEY}`)),
    bind(statements.RELEASE, [`('lock:' || ${KEY})`, `(${OWNER})`]),
  ],
  recordFailure: [HOT_KEY, bind(statements.RECORD_FAILURE, [`('circuit:' || ${KEY})`, '1e9'])],
  poll: [ANY_KEY, bind(statements.ACQUIRE, ACQUIRE_ARGS(`'lock:' || 'busy:' || ${KEY}`))],
}

/**
 * @param {string} statement
 * @param {string[]} values
 */
function bind(statement, values) {
  const bound = statement.replaceAll(/\$(\d)/g, (_, place) => values[Number(place) - 1] ?? '')
  return `${bound.replaceAll(/\s+/g, ' ').trim()};`
}

module.exports = { ACQUIRE_ARGS, ANY_KEY, HOT_KEY, KEY, OWNER, SCRIPTS, bind }
