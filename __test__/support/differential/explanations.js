// @ts-check
// What each allowed difference looks like in a sequence of operations. A function is given what a call did on both
// drivers, and what is left to explain of it; if its difference is part of that, it gives what is then left. It says
// yes only to what the call must do by our promises, so that it does not cover up for an error of ours.
'use strict'

const { isDeepStrictEqual } = require('node:util')
const { codesFor, isFailedResult } = require('./arguments.js')
const { differingColumns, sameTime } = require('./tables.js')

/** @typedef {import('./sequences.js').Observed} Observed */
/** @typedef {import('./tables.js').Row} Row */
/** @typedef {NonNullable<import('./sequences.js').Difference['explain']>} Explain */

const UUID_V4 = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/
const TIME_AND_RANDOM = /^\d{13}-[\da-z]+$/
const DONE = { value: undefined }

const isLive = (/** @type {Row | undefined} */ row, /** @type {number} */ now) =>
  row !== undefined && (row.expires_at === null || row.expires_at > now)
const isExpired = (/** @type {Row | undefined} */ row, /** @type {number} */ now) =>
  row !== undefined && row.expires_at !== null && row.expires_at <= now
const isEntryTable = (/** @type {Observed} */ { call }) =>
  call.on !== 'adapter' || ['get', 'set', 'delete', 'has', 'clear', 'keys'].includes(call.method)

/** Where what the call is about is stored. @param {Observed} observed */
function keyOf({ call }) {
  const [name] = (call.taken ?? call).args
  return `${call.prefix}${namespaceOf(call)}${String(name)}`
}

/** @param {Observed['call']} call */
function namespaceOf({ on, method, taken }) {
  if (taken || ['acquire', 'extend', 'forceRelease'].includes(method)) return 'lock:'
  if (['getState', 'setState', 'recordFailure', 'recordSuccess'].includes(method)) return 'circuit:'
  return on === 'adapter' ? 'cache:' : ''
}

/**
 * The rows without those that a predicate takes as explained; nothing if it takes none.
 *
 * @param {Observed} observed
 * @param {(row: import('./tables.js').RowDifference) => boolean} isExplained
 */
function without(observed, isExplained) {
  const rows = observed.rows.filter((row) => !isExplained(row))
  return rows.length < observed.rows.length ? { rows } : undefined
}

/** @param {Observed} observed */
const oursIsUntouched = ({ before, after }) =>
  isDeepStrictEqual([...after.ours].sort(byKey), [...before.ours].sort(byKey))
const byKey = (/** @type {[string, any]} */ [a], /** @type {[string, any]} */ [b]) => (a < b ? -1 : 1)

/** @type {Record<string, Explain>} by the id of the difference */
const explanations = {
  'default-owner': (observed) => {
    const { call, drawn } = observed
    if (call.method !== 'acquire' || call.args[2] != null) return undefined
    return without(observed, ({ key, theirs, ours }) => {
      if (key !== keyOf(observed)) return false
      if (!theirs || !ours || !isDeepStrictEqual(differingColumns(theirs, ours, drawn), ['owner'])) return false
      if (!UUID_V4.test(ours.owner) || !TIME_AND_RANDOM.test(theirs.owner)) return false
      drawn.set(ours.owner, theirs.owner)
      return true
    })
  },

  'bad-arguments': (observed) => {
    const { call, ours, theirs } = observed
    if (!('error' in ours) || !codesFor(call).includes(ours.error.code) || !oursIsUntouched(observed)) return undefined
    return isDeepStrictEqual(theirs, ours) ? undefined : { theirs: ours, rows: [] }
  },

  'numeric-owner': (observed) => {
    const { call, theirs, ours, before } = observed
    const owner = (call.taken ?? call).args[2]
    if (typeof owner !== 'number') return undefined
    const key = keyOf(observed)
    const held = before.ours.get(key)
    if (!isLive(held, before.now) || held?.owner !== String(owner)) return undefined
    if (call.method === 'isValid' && isDeepStrictEqual([theirs, ours], [{ value: false }, { value: true }])) {
      return { theirs: ours }
    }
    if (call.method !== 'acquire' || !('value' in theirs) || theirs.value !== null) return undefined
    if (!('value' in ours) || ours.value === null) return undefined
    return { theirs: ours, rows: observed.rows.filter((row) => row.key !== key) }
  },

  'expired-locks': (observed) =>
    observed.call.method === 'acquire' && isDeepStrictEqual(observed.ours, { value: null }) && oursIsUntouched(observed)
      ? without(observed, ({ theirs, ours }) => !theirs && isExpired(ours, observed.before.now))
      : undefined,

  'expired-entries': (observed) =>
    observed.call.method === 'set' && isEntryTable(observed)
      ? without(observed, ({ theirs, ours }) => !ours && isExpired(theirs, observed.before.now))
      : undefined,

  'accessed-at': (observed) => {
    const { call } = observed
    if (!['get', 'set'].includes(call.method) || call.on === 'results') return undefined
    // Of the adapter's cache, their `set` does not touch it; of a cache's own table, a `get` does.
    const writer = call.method === 'get' ? 'theirs' : 'ours'
    return without(observed, ({ key, theirs, ours }) => {
      if (!theirs || !ours || key !== keyOf(observed)) return false
      if (!isDeepStrictEqual(differingColumns(theirs, ours), ['accessed_at'])) return false
      const [written, left] = writer === 'theirs' ? [theirs, ours] : [ours, theirs]
      return written.accessed_at > left.accessed_at
    })
  },

  'absent-fields': ({ call, theirs, ours }) => {
    if (!['getState', 'load', 'loadLatest', 'list', 'get'].includes(call.method)) return undefined
    if (call.method === 'get' && call.on !== 'results') return undefined
    if (!('value' in theirs) || !('value' in ours) || !theirs.value) return undefined
    const value = Array.isArray(theirs.value) ? theirs.value.map(withoutUndefined) : withoutUndefined(theirs.value)
    return isDeepStrictEqual(value, theirs.value) ? undefined : { theirs: { value } }
  },

  'zero-times': (observed) => {
    const { call, before } = observed
    const key = keyOf(observed)
    if (!['setState', 'recordFailure'].includes(call.method)) return undefined
    // To count, theirs reads the whole state and sends it back.
    const sentBack = before.ours.get(key)?.last_success_time
    const given = call.method === 'setState' ? call.args[1] : { lastSuccessTime: sentBack }
    /** @type {Record<string, any>} */
    const times = { last_failure_time: given.lastFailureTime, last_success_time: given.lastSuccessTime }
    return without(observed, ({ key: at, theirs, ours }) => {
      if (!theirs || !ours || at !== key) return false
      return differingColumns(theirs, ours).every(
        (column) => times[column] === 0 && theirs[column] === null && ours[column] === 0,
      )
    })
  },

  'far-times': (observed) => {
    const { call, theirs, ours, before, after } = observed
    const key = keyOf(observed)
    if (!isDateError(theirs)) return undefined
    const left = { theirs: ours, rows: observed.rows.filter((row) => row.key !== key) }
    if (call.method === 'setState') {
      const given = [call.args[1].lastFailureTime, call.args[1].lastSuccessTime]
      const stored = [after.ours.get(key)?.last_failure_time, after.ours.get(key)?.last_success_time]
      const isKept = given.every((time, at) => sameTime(time == null ? null : Math.trunc(time), stored[at]))
      return given.some(isFar) && isKept && isDeepStrictEqual(ours, DONE) ? left : undefined
    }
    // Theirs sends the time of the last success back.
    const was = before.ours.get(key)
    if (call.method !== 'recordFailure' || !isFar(was?.last_success_time)) return undefined
    const count = Math.min(Number(was?.failure_count) + 1, MAX_COUNT)
    return isDeepStrictEqual(ours, { value: count }) ? left : undefined
  },

  'long-ttl': (observed) => {
    const { call, theirs, ours, after } = observed
    const [, , ttl] = call.args
    if (call.method !== 'set' || !(ttl > YEAR_10000) || !isDateError(theirs)) return undefined
    // They stumbled over the TTL before the server could over the value.
    if (isRefusedByServer(observed)) return { theirs: ours }
    if (!isDeepStrictEqual(ours, DONE)) return undefined
    const expiresAt = after.ours.get(keyOf(observed))?.expires_at
    const isKept = ttl === Infinity ? expiresAt === null : Math.abs(expiresAt - after.now - ttl) < 3_600_000
    if (!isKept) return undefined
    return { theirs: ours, rows: observed.rows.filter(({ key }) => key !== keyOf(observed)) }
  },

  'full-count': (observed) => {
    const { call, theirs, ours, before } = observed
    if (call.method !== 'recordFailure' || !('error' in theirs) || theirs.error.code !== '22003') return undefined
    if (before.ours.get(keyOf(observed))?.failure_count !== String(MAX_COUNT)) return undefined
    if (!isDeepStrictEqual(ours, { value: MAX_COUNT })) return undefined
    return { theirs: ours, rows: observed.rows.filter(({ key }) => key !== keyOf(observed)) }
  },

  'literal-prefix': (observed) => {
    const { call, before, after } = observed
    if (!/[%_\\]/.test(call.prefix)) return undefined
    if (call.method === 'keys') return keysOnly(observed)
    if (call.method !== 'clear') return undefined
    const prefix = storedPrefix(call)
    const left = [...before.ours.keys()].filter((key) => !key.startsWith(prefix))
    if (!isDeepStrictEqual([...after.ours.keys()].sort(), left.sort())) return undefined
    return without(observed, ({ key, theirs }) => !theirs && !key.startsWith(prefix))
  },

  'keys-as-given': (observed) =>
    observed.call.method === 'keys' && observed.call.on === 'adapter' && observed.call.prefix === ''
      ? keysOnly(observed)
      : undefined,

  'star-pattern': (observed) =>
    observed.call.method === 'keys' && observed.call.on === 'cache' && /[%_\\]/.test(observed.call.args[0] ?? '')
      ? keysOnly(observed)
      : undefined,

  'stats-and-prune': (observed) => {
    const { call, theirs, ours, before, lookups } = observed
    const mine = [...before.ours].filter(([key]) => key.startsWith(call.prefix))
    if (call.method === 'stats') {
      const { hits, misses } = lookups
      const hitRatio = hits + misses === 0 ? 0 : hits / (hits + misses)
      const size = mine.filter(([, row]) => isLive(row, before.now)).length
      const everybodys = [...before.theirs.values()].filter((row) => isLive(row, before.now)).length
      if (!isDeepStrictEqual(ours, { value: { hits, misses, size, hitRatio } })) return undefined
      const uncounted = { value: { hits: 0, misses: 0, size: everybodys, hitRatio: 0 } }
      return isDeepStrictEqual(theirs, uncounted) ? { theirs: ours } : undefined
    }
    const expired = mine.filter(([, row]) => isExpired(row, before.now)).map(([key]) => key)
    if (call.method !== 'prune' || !isDeepStrictEqual(ours, { value: expired.length })) return undefined
    const rows = observed.rows.filter(
      ({ key, theirs, ours }) => theirs || key.startsWith(call.prefix) || !isExpired(ours, before.now),
    )
    return { theirs: ours, rows }
  },

  'failed-result': (observed) => {
    const { call, ours, after } = observed
    if (call.on !== 'results' || call.method !== 'set' || !isFailedResult(call.args[1])) return undefined
    if (!isDeepStrictEqual(ours, DONE) || after.ours.has(keyOf(observed))) return undefined
    return { theirs: ours, rows: observed.rows.filter(({ key }) => key !== keyOf(observed)) }
  },

  'save-replaces': (observed) => {
    const { call } = observed
    if (call.method !== 'save') return undefined
    const [{ id, taskId, sequence, timestamp }] = call.args
    return without(observed, ({ key, theirs, ours }) => {
      if (key !== id || !theirs || !ours) return false
      const isSaved = isDeepStrictEqual(
        [ours.task_id, ours.sequence, ours.timestamp],
        [String(taskId), String(sequence), String(timestamp)],
      )
      const columns = differingColumns(theirs, ours)
      return isSaved && columns.every((column) => ['task_id', 'sequence', 'timestamp'].includes(column))
    })
  },

  'sequence-is-a-number': ({ call, theirs, ours }) => {
    if (!['load', 'loadLatest', 'list'].includes(call.method)) return undefined
    if (!('value' in theirs) || !('value' in ours) || !theirs.value || theirs.value.length === 0) return undefined
    const mend = (/** @type {any} */ it) => ({ ...it, sequence: Number(it.sequence) })
    return { theirs: { value: Array.isArray(theirs.value) ? theirs.value.map(mend) : mend(theirs.value) } }
  },

  'equal-sequences': (observed) => {
    const { call, theirs, ours, before, after } = observed
    const newestFirst = [...before.ours]
      .filter(([, row]) => row.task_id === String(call.args[0]))
      .sort(([, a], [, b]) => Number(b.sequence) - Number(a.sequence) || Number(b.timestamp) - Number(a.timestamp))
      .map(([id]) => id)
    if (call.method === 'cleanup') {
      const left = newestFirst.slice(0, call.args[1])
      const kept = newestFirst.filter((id) => after.ours.has(id))
      if (!isDeepStrictEqual(kept, left)) return undefined
      const isTied = (/** @type {Row | undefined} */ row) =>
        left.some((id) => before.ours.get(id)?.sequence === row?.sequence)
      return without(observed, ({ theirs, ours }) => isTied(theirs ?? ours))
    }
    if (!('value' in theirs) || !('value' in ours) || !ours.value) return undefined
    if (call.method === 'loadLatest') {
      const isTied = ours.value.sequence === theirs.value?.sequence
      return isTied && ours.value.id === newestFirst[0] ? { theirs: ours } : undefined
    }
    if (call.method !== 'list') return undefined
    const ids = ours.value.map((/** @type {any} */ it) => it.id)
    const sorted = theirs.value.toSorted(
      (/** @type {any} */ a, /** @type {any} */ b) => a.sequence - b.sequence || a.timestamp - b.timestamp,
    )
    if (!isDeepStrictEqual(ids, newestFirst.toReversed()) || !isDeepStrictEqual(sorted, ours.value)) return undefined
    return { theirs: ours }
  },
}

const [YEAR_0, YEAR_10000] = [-62_167_219_200_000, 253_402_300_800_000]
const MAX_COUNT = 2 ** 31 - 1

const isFar = (/** @type {any} */ time) => typeof time === 'number' && (time < YEAR_0 || time >= YEAR_10000)

/**
 * JavaScript found no date, or PostgreSQL could not read one.
 *
 * @param {import('./sequences.js').Outcome} outcome
 */
const isDateError = (outcome) =>
  'error' in outcome &&
  (outcome.error.name === 'RangeError' || ['22007', '22008', '22009'].includes(outcome.error.code))

/**
 * Whether the value has a string that JSONB cannot hold, and the server said so and stored nothing.
 *
 * @param {Observed} observed
 */
function isRefusedByServer(observed) {
  const { call, ours } = observed
  if (!('error' in ours) || !['22P05', '22P02'].includes(ours.error.code)) return false
  return /\\u(0000|d[89a-f])/.test(JSON.stringify(call.args[1])) && oursIsUntouched(observed)
}

/** @param {Record<string, any>} object */
const withoutUndefined = (object) =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))

/** @param {Observed['call']} call */
const storedPrefix = ({ on, prefix }) => (on === 'cache' || prefix === '' ? prefix : `${prefix}cache:`)

/**
 * Ours are the keys that the promise says; whatever theirs are is then explained.
 *
 * @param {Observed} observed
 */
function keysOnly({ call, ours, before }) {
  const prefix = call.on === 'adapter' ? `${call.prefix}cache:` : call.prefix
  const matches = matcher(call.args[0], call.on === 'cache')
  const expected = [...before.ours]
    .filter(([key, row]) => key.startsWith(prefix) && isLive(row, before.now))
    .map(([key]) => key.slice(prefix.length))
    .filter(matches)
    .sort()
  return isDeepStrictEqual(ours, { value: expected }) ? { theirs: ours } : undefined
}

/**
 * @param {string | null | undefined} pattern
 * @param {boolean} onlyStars
 */
function matcher(pattern, onlyStars) {
  if (!pattern) return () => true
  const literal = (/** @type {string} */ text) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  const source = onlyStars
    ? pattern.split('*').map(literal).join('.*')
    : pattern.replace(/\\(.)|%|_|[^\\%_]+/gsu, (part, escaped) => {
        if (escaped !== undefined) return literal(escaped)
        return part === '%' ? '.*' : part === '_' ? '.' : literal(part)
      })
  const expression = new RegExp(`^${source}$`, 'su')
  return (/** @type {string} */ key) => expression.test(key)
}

module.exports = { explanations }
