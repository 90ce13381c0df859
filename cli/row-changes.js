// @ts-check
// Changes of a row, by the page or by a command: first it is shown what the change will do, then exactly that is changed.
'use strict'

const { close, deleteCached, deleteResult, release } = require('./adapter-calls.js')
const { FAILED, Problem } = require('./problem.js')
const { sourceOf } = require('./queries/cache.js')
const { CIRCUITS, stored: storedCircuit } = require('./queries/circuits.js')
const { entry } = require('./queries/entries.js')
const { RESULTS } = require('./queries/idempotency.js')
const { CLAIMS, LOCKS, stored: storedLock } = require('./queries/locks.js')
const { counted, duration, size } = require('./units.js')

/**
 * @typedef {import('./session.js').Session} Session
 * @typedef {{ key: string, keyPrefix: string }} Name
 * @typedef {{ kind: string, storedKey: string, table?: string, name?: Name }} Wanted without a name, the row tells it
 *
 * @typedef {object} Kind
 * @property {string} title
 * @property {string} button
 * @property {(wanted: Wanted) => import('./queries/rows.js').Source} source
 * @property {(session: Session, wanted: Wanted) => Promise<any>} find the row, if it is there
 * @property {(row: any) => unknown[]} seen what must still be so when the change is made
 * @property {(row: any) => string[]} will what the change does, sentence by sentence
 * @property {(session: Session, name: Name, row: any, wanted: Wanted) => Promise<unknown>} make false if it was too late
 * @property {string} done
 */

/** @param {any} row */
const expiry = ({ expiresInMs: ms }) =>
  ms === null ? 'does not expire' : ms <= 0 ? 'has expired' : `expires in ${duration(ms)}`

/** @param {any} row */
const waiters = ({ hasWaiters }) => (hasWaiters ? ['The first of its waiters gets it at once.'] : [])

/** Of a cache or of results. @type {(title: string, will: string) => Pick<Kind, 'title' | 'button' | 'seen' | 'will' | 'done'>} */
const deletion = (title, will) => ({
  title,
  button: 'Delete',
  seen: ({ hash, expiresAt }) => [hash, expiresAt],
  will: (row) => [`It has ${size(row.bytes)}, and ${expiry(row)}.`, will],
  done: 'Deleted',
})

/**
 * Of a lock, or of a claim.
 *
 * @param {string} title
 * @param {import('./queries/rows.js').Source} source
 * @param {{ will: string, namespace?: string }} lock as `release` of cli/adapter-calls.js takes it
 * @returns {Kind}
 */
const freeing = (title, source, { will, namespace }) => ({
  title,
  button: 'Release',
  source: () => source,
  find: (session, { storedKey }) => storedLock(session, source, storedKey),
  seen: ({ owner }) => [owner],
  will: (row) => [`It is held by ${row.owner}, and ${expiry(row)}.`, will, ...waiters(row)],
  make: (session, name, { owner }) => release(session, { ...name, owner, namespace }),
  done: 'Released',
})

/** @type {Record<string, Kind>} */
const KINDS = {
  release: freeing('Release this lock?', LOCKS, {
    will: 'Its holder is not notified. If it is still at work, two processes may do the same work.',
  }),
  'release-claim': freeing('Release this claim?', CLAIMS, {
    namespace: CLAIMS.namespace,
    will: 'A process does the work of this key under it. Another one may begin the same work when it is released.',
  }),
  reset: {
    title: 'Reset this circuit breaker?',
    button: 'Reset',
    source: () => CIRCUITS,
    find: (session, { storedKey }) => storedCircuit(session, storedKey),
    // The times show a breaker that was reset and has opened again, with as many failures.
    seen: ({ state, failureCount, lastFailureAt, lastSuccessAt }) => [
      state,
      failureCount,
      lastFailureAt,
      lastSuccessAt,
    ],
    will: ({ state, failureCount }) => [
      `It is ${state}, with ${counted(failureCount, 'failure')}.`,
      'It becomes closed, with 0 failures: all processes call again what it protects.',
    ],
    make: (session, name) => close(session, name),
    done: 'Reset',
  },
  'delete-cached': {
    ...deletion('Delete this cached value?', 'The next call that needs it computes it again.'),
    source: ({ table }) => sourceOf(table),
    find: (session, { storedKey, table }) => entry(session, sourceOf(table), storedKey),
    make: (session, name, _row, { table }) => deleteCached(session, { ...name, table }),
  },
  'delete-result': {
    ...deletion('Delete this result?', 'The next run with this key does its work once more.'),
    source: () => RESULTS,
    find: (session, { storedKey }) => entry(session, RESULTS, storedKey),
    make: (session, name) => deleteResult(session, name),
  },
}

/**
 * @param {Session} session
 * @param {Wanted} wanted
 */
async function preview(session, wanted) {
  const kind = KINDS[wanted.kind]
  const { row, name } = await find(session, wanted)
  const { title, button } = kind
  return { title, button, ...name, storedKey: wanted.storedKey, sentences: kind.will(row), seen: kind.seen(row) }
}

/**
 * Makes the change if the row is still as it was shown.
 *
 * @param {Session} session
 * @param {Wanted} wanted
 * @param {unknown} seen
 */
async function change(session, wanted, seen) {
  const kind = KINDS[wanted.kind]
  const { row, name } = await find(session, wanted)
  const isSame = JSON.stringify(kind.seen(row)) === JSON.stringify(seen)
  if (!isSame || (await kind.make(session, name, row, wanted)) === false) {
    throw new Problem(FAILED, 'Nothing was changed: it is not as it was shown any more', 'Look at it again.')
  }
  return { done: kind.done, key: name.key }
}

/**
 * @param {Session} session
 * @param {Wanted} wanted
 */
async function find(session, wanted) {
  const kind = KINDS[wanted.kind]
  const row = await kind.find(session, wanted)
  if (row === undefined) throw new Problem(FAILED, 'Nothing was changed: it is not there any more')
  if (wanted.name !== undefined) return { row, name: wanted.name }
  const name = { key: row.key, keyPrefix: session.keyPrefix ?? row.keyPrefix }
  // The change is a call of the adapters, which find the row by its key. Without a wanted prefix the prefix is a guess.
  if ((await session.storedKey(kind.source(wanted), name.key, name.keyPrefix)) === wanted.storedKey)
    return { row, name }
  throw new Problem(
    FAILED,
    'The key of this row is not known: it is stored as a digest, or has been stored by another application',
    'Start `ui` with --key-prefix; or, for a lock whose key you know, `goscope-postgres release` frees it.',
  )
}

module.exports = { KINDS, change, preview }
