// @ts-check
// What a command can be given the key of: a lock, a circuit breaker, a cached value, a result.
'use strict'

const { circuitColumns, circuitOf } = require('./circuit.js')
const { entryColumns, entryOf } = require('./entry.js')
const { lockColumns, lockOf } = require('./lock.js')
const { CACHE, likeExactly } = require('./options.js')
const { FAILED, Problem } = require('./problem.js')
const cache = require('./queries/cache.js')
const circuits = require('./queries/circuits.js')
const { entries, entry } = require('./queries/entries.js')
const idempotency = require('./queries/idempotency.js')
const locks = require('./queries/locks.js')

/**
 * @typedef {import('./session.js').Session} Session
 * @typedef {import('./options.js').Given} Given
 *
 * @typedef {object} Subject
 * @property {string} noun
 * @property {import('./options.js').Options} [options] that say where it is
 * @property {(session: Session, key: string, given: Given) => Promise<any>} find the row, if it is there
 * @property {(row: any, given: Given) => any} record the row as `--json` prints it
 * @property {(given: Given, record: any) => import('./view.js').Column[]} columns of a list
 * @property {import('./options.js').Keys} keys that there are
 * @property {(session: Session, key: string, given: Given) => Promise<string | undefined>} hint if it is not there
 *
 * @typedef {{ match: string, limit: number, all?: boolean, ofAnyPrefix?: boolean }} Selection
 * @typedef {(session: Session, selection: Selection, given: Given) => Promise<{ key: string, keyPrefix: string }[]>} List
 */

/** @param {List} list @returns {Pick<Subject, 'keys' | 'hint'>} */
const listedBy = (list) => ({
  async keys(session, { given, ...selection }) {
    return (await list(session, selection, given)).map(({ key }) => key)
  },
  async hint(session, key, given) {
    const match = likeExactly(key)
    const [other] = await list(session, { match, limit: 1, all: true, ofAnyPrefix: true }, given)
    return other && `There is one under the prefix '${other.keyPrefix}': see --key-prefix`
  },
})

/** @type {Subject} */
const LOCK = {
  noun: 'lock',
  find: (session, key) => locks.one(session, key),
  record: lockOf,
  columns: (given, lock) => lockColumns([lock], given),
  ...listedBy(locks.list),
}

/** @type {Subject} */
const CIRCUIT = {
  noun: 'circuit breaker',
  find: async (session, key) => circuits.stored(session, await session.storedKey(circuits.CIRCUITS, key)),
  record: circuitOf,
  columns: circuitColumns,
  ...listedBy(circuits.list),
}

/** @type {Subject} */
const CACHED = {
  noun: 'cached value',
  options: CACHE,
  async find(session, key, { table }) {
    const source = cache.sourceOf(table)
    return entry(session, source, await session.storedKey(source, key), { withValue: true })
  },
  record: entryOf,
  columns: entryColumns,
  ...listedBy((session, { ofAnyPrefix, ...selection }, { table }) => {
    const source = cache.sourceOf(table)
    // Keys in a table of its own have no namespace. So every prefix is a part of the key, and none is to be told.
    return source.namespace === '' && ofAnyPrefix
      ? Promise.resolve([])
      : entries(session, { ...source, ofAnyPrefix }, selection)
  }),
}

/** @type {Subject} */
const RESULT = {
  noun: 'result',
  find: async (session, key) =>
    entry(session, idempotency.RESULTS, await session.storedKey(idempotency.RESULTS, key), { withValue: true }),
  record: entryOf,
  columns: entryColumns,
  keys: async (session, { given: _, ...selection }) =>
    (await entries(session, idempotency.RESULTS, selection)).map(({ key }) => key),
  async hint(session, key, given) {
    // There is no result of this key, so what is found is a claim.
    const [claim] = await idempotency.list(session, { match: likeExactly(key), limit: 1 })
    if (claim) return `A run with this key is under way, claimed by ${claim.owner}.`
    if (key === '' || given['key-prefix'] !== '') return undefined
    const [other] = await entries(session, idempotency.RESULTS, { match: `%${likeExactly(key)}`, limit: 1, all: true })
    return other && `There is '${other.key}'. Without --key-prefix, keys are those that are stored.`
  },
}

/**
 * The problem that there is nothing under a key.
 *
 * @param {Subject} subject
 * @param {Session} session
 * @param {string} key
 * @param {Given} given
 */
async function absent({ noun, hint }, session, key, given) {
  const prefix = given['key-prefix']
  const what = `there is no ${noun} '${key}'${prefix ? ` under the prefix '${prefix}'` : ''}`
  return new Problem(FAILED, what, await hint(session, key, given))
}

module.exports = { CACHED, CIRCUIT, LOCK, RESULT, absent }
