// @ts-check
// Runs a sequence of operations on both drivers and compares after each: what it gave, and what stands in the table.
'use strict'

const { isDeepStrictEqual } = require('node:util')
const { operations } = require('./operations.js')
const tables = require('./tables.js')

/** @typedef {import('./operations.js').Call} Call */
/** @typedef {{ value: any } | { error: { name: string, code: any } }} Outcome */

/**
 * @typedef {object} Observed an operation and how the drivers differ after it
 * @property {Call} call
 * @property {Outcome} theirs
 * @property {Outcome} ours
 * @property {tables.RowDifference[]} rows where they differ
 * @property {tables.Contents} before
 * @property {tables.Contents} after
 * @property {Map<string, string>} drawn see `tables.differingRows`
 * @property {{ hits: number, misses: number }} lookups what `stats` should have counted
 */

/**
 * @typedef {object} Difference that is allowed
 * @property {string} id
 * @property {(observed: Observed) => { theirs?: Outcome, rows?: tables.RowDifference[] } | undefined} [explain] what is
 * left to explain, if the operation shows this difference
 */

class Comparison {
  /** How often each allowed difference was seen. @type {Map<string, number>} */
  seen = new Map()
  operations = 0

  /**
   * @param {import('./drivers.js').Database} db
   * @param {import('./drivers.js').Driver} reference
   * @param {import('./drivers.js').Driver} ours
   * @param {Difference[]} allowed
   */
  constructor(db, reference, ours, allowed) {
    this.db = db
    this.reference = reference
    this.ours = ours
    this.allowed = allowed
  }

  /**
   * @param {import('./operations.js').Operation[]} sequence
   * @returns {Promise<Observed | undefined>} the first difference that is not allowed
   */
  async run(sequence) {
    await tables.emptyAll(this.db)
    for (const driver of [this.reference, this.ours]) driver.startAnew()
    const state = { drawn: new Map(), lookups: new Map(), known: new Map() }
    for (const operation of sequence) {
      this.operations++
      if (!('on' in operation)) {
        await tables.advanceClock(this.db)
        state.known.clear()
      } else {
        const unexplained = await this.#compare(operation, state)
        if (unexplained) return unexplained
      }
    }
    return undefined
  }

  /**
   * @param {Call} call
   * @param {{ drawn: Map<string, string>, lookups: Map<string, { hits: number, misses: number }>, known: Map<string, tables.Contents> }} state
   * `known`: what stood in each table when it was last read, if only calls about other tables have followed
   */
  async #compare(call, { drawn, lookups, known }) {
    // A handle that only one of them gave has no counterpart.
    const drivers = [this.reference, this.ours]
    if (call.taken && !drivers.every((driver) => driver.handles.has(call.taken?.n ?? -1))) return

    const table = tables.tableOf(call)
    const before = known.get(table) ?? (await tables.read(this.db, table))
    const theirs = await this.reference.run(() => outcome(call, this.reference))
    const ours = await this.ours.run(() => outcome(call, this.ours))
    const after = await tables.read(this.db, table)
    known.set(table, after)
    const rows = tables.differingRows(after, drawn)

    const counted = lookups.get(call.prefix) ?? { hits: 0, misses: 0 }
    lookups.set(call.prefix, counted)
    count(call, before, counted)

    const observed = { call, theirs, ours, rows, before, after, drawn, lookups: counted }
    if (agree(observed)) return
    const ids = this.#explain(observed)
    if (!ids) return observed
    for (const id of ids) this.seen.set(id, (this.seen.get(id) ?? 0) + 1)
    const differing = tables.differingRows(after, drawn).map(({ key }) => key)
    if (differing.length === 0) return
    await tables.makeAlike(this.db, table, differing, drawn)
    known.delete(table)
  }

  /**
   * Which of the allowed differences it takes to explain all that differs; none if they do not.
   *
   * @param {Observed} observed
   */
  #explain(observed) {
    let left = observed
    const ids = []
    for (const { id, explain } of this.allowed) {
      const rest = explain?.(left)
      if (!rest) continue
      left = { ...left, ...rest }
      ids.push(id)
      if (agree(left)) return ids
    }
    return undefined
  }

  /**
   * As few operations as still differ, found by leaving out ever smaller parts.
   *
   * @param {import('./operations.js').Operation[]} sequence
   */
  async shrink(sequence) {
    let shortest = sequence
    for (let part = Math.ceil(shortest.length / 2); part >= 1; part = part === 1 ? 0 : Math.ceil(part / 2)) {
      for (let at = 0; at < shortest.length; ) {
        const shorter = shortest.toSpliced(at, part)
        if (await this.run(shorter)) shortest = shorter
        else at += part
      }
    }
    return shortest
  }
}

/**
 * @param {Call} call
 * @param {import('./drivers.js').Driver} driver
 * @returns {Promise<Outcome>}
 */
async function outcome(call, driver) {
  const target = call.taken ? driver.handles.get(call.taken.n) : driver.client(call.on, call.prefix)
  try {
    const value = await target[call.method](...call.args)
    if (call.method !== 'acquire' || value === null) return { value: inOrder(call, value) }
    driver.handles.set(call.n, value)
    return { value: `a handle: ${Object.keys(value).sort().join()}` }
  } catch (error) {
    const { name, code } = /** @type {any} */ (error)
    return { error: { name, code } }
  }
}

/**
 * The reference gives keys in no order of its own.
 *
 * @param {Call} call
 * @param {any} value
 */
const inOrder = (call, value) => (call.method === 'keys' ? value.toSorted() : value)

/** @param {Observed} observed */
function agree({ theirs, ours, rows }) {
  return rows.length === 0 && sameOutcome(theirs, ours)
}

/**
 * The same, but for times that two clocks and two moments have made.
 *
 * @param {Outcome} theirs
 * @param {Outcome} ours
 */
function sameOutcome(theirs, ours) {
  if (!('value' in theirs) || !('value' in ours)) return isDeepStrictEqual(theirs, ours)
  return isDeepStrictEqual(withTimesOf(ours.value, theirs.value), ours.value)
}

const TIMES = ['lastFailureTime', 'lastSuccessTime', 'expiresAt']

/**
 * @param {any} ours
 * @param {any} theirs
 */
function withTimesOf(ours, theirs) {
  if (!isPlain(ours) || !isPlain(theirs)) return theirs
  const alike = TIMES.filter((time) => time in ours && time in theirs && tables.sameTime(theirs[time], ours[time]))
  return { ...theirs, ...Object.fromEntries(alike.map((time) => [time, ours[time]])) }
}

const isPlain = (/** @type {any} */ value) =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype

/**
 * @param {Call} call
 * @param {tables.Contents} before
 * @param {{ hits: number, misses: number }} lookups
 */
function count({ on, method, prefix, args: [key] }, { ours, now }, lookups) {
  const isKey = typeof key === 'bigint' || Number.isFinite(key) || (typeof key === 'string' && !key.includes('\0'))
  if (on !== 'cache' || method !== 'get' || !isKey) return
  const row = ours.get(`${prefix}${key}`)
  if (row && (row.expires_at === null || row.expires_at > now)) lookups.hits++
  else lookups.misses++
}

module.exports = { Comparison, operations }
