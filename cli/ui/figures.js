// @ts-check
// What happened between two answers of `metrics()`: counts per operation, and the state of the pool.
'use strict'

const { quantile } = require('../../lib/quantile.js')

/** A document may have any content: so many operations of it are read. */
const MOST_OPERATIONS = 200
const LONGEST_NAME = 100

/**
 * @typedef {{ bounds: number[], counts: number[] }} Histogram
 * @typedef {{ calls: number, errors: Record<string, number>, latency: Histogram }} Operation
 * @typedef {{ hits: number, misses: number }} Lookups
 *
 * @typedef {object} Totals of one application since its start
 * @property {Map<string, Operation>} operations
 * @property {Record<string, number>} now the pool's state, and calls in flight
 * @property {Lookups | undefined} cache
 *
 * @typedef {object} Figures of all applications, or one, over some seconds
 * @property {Record<string, Rates>} operations
 * @property {Rates} all
 * @property {Record<string, number>} now
 * @property {number | null} hitRatio
 *
 * @typedef {{ calls: number, errors: number, p50: number | null, p95: number | null, p99: number | null, codes: Record<string, number> }} Rates
 *   calls and errors per second, latencies in ms, errors by code
 */

/** @param {unknown} value */
const whole = (value) => (typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : 0)

/** @param {unknown} value @returns {Record<string, any>} */
const objectOf = (value) => (typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {})

/** @param {unknown} value @returns {number[]} */
const numbersOf = (value) => (Array.isArray(value) ? value.slice(0, 1_000).map(whole) : [])

/** @param {Record<string, any>} counts */
const countsOf = (counts) =>
  Object.fromEntries(
    Object.entries(counts)
      .slice(0, MOST_OPERATIONS)
      .map(([name, value]) => [name.slice(0, LONGEST_NAME), whole(value)]),
  )

/**
 * @param {unknown} document what the application serves: `metrics()`, perhaps with `stats()` of its cache as `cache`
 * @returns {Totals | undefined} undefined if it is neither
 */
function totalsOf(document) {
  const { operations, pool, calls, cache } = objectOf(document)
  if (typeof operations !== 'object' || operations === null || typeof pool !== 'object') return undefined
  const known = Object.entries(objectOf(operations)).slice(0, MOST_OPERATIONS)
  const { open, idle, waiting, max } = objectOf(pool)
  const { inFlight, queued } = objectOf(calls)
  const { hits, misses } = objectOf(cache)
  return {
    operations: new Map(known.map(([name, value]) => [name.slice(0, LONGEST_NAME), operationOf(value)])),
    now: countsOf({ open, idle, waiting, max, inFlight, queued }),
    cache: hits === undefined ? undefined : { hits: whole(hits), misses: whole(misses) },
  }
}

/** @param {unknown} value @returns {Operation} */
function operationOf(value) {
  const { calls, errors, latency } = objectOf(value)
  const { bounds, counts } = objectOf(latency)
  return {
    calls: whole(calls),
    errors: countsOf(objectOf(errors)),
    latency: { bounds: numbersOf(bounds), counts: numbersOf(counts) },
  }
}

/**
 * What was added since. An application that has started anew counts from its start.
 *
 * @param {Totals} now
 * @param {Totals} before
 * @returns {Totals}
 */
function since(now, before) {
  /** @type {Map<string, Operation>} */
  const operations = new Map()
  for (const [name, operation] of now.operations) {
    const old = before.operations.get(name)
    const isOlder = old !== undefined && old.calls <= operation.calls
    operations.set(name, isOlder ? added(operation, old) : operation)
  }
  return { operations, now: now.now, cache: now.cache && lookups(now.cache, before.cache) }
}

/**
 * @param {Operation} now
 * @param {Operation} old
 * @returns {Operation}
 */
function added(now, old) {
  const errors = Object.entries(now.errors).map(([code, count]) => [code, Math.max(0, count - (old.errors[code] ?? 0))])
  const counts = now.latency.counts.map((count, at) => Math.max(0, count - (old.latency.counts[at] ?? 0)))
  return {
    calls: now.calls - old.calls,
    errors: Object.fromEntries(errors),
    latency: { bounds: now.latency.bounds, counts },
  }
}

/** @param {Lookups} now @param {Lookups} [old] @returns {Lookups} */
const lookups = (now, old) =>
  old !== undefined && old.hits <= now.hits && old.misses <= now.misses
    ? { hits: now.hits - old.hits, misses: now.misses - old.misses }
    : now

/**
 * @param {Totals[]} all
 * @param {number} seconds
 * @returns {Figures}
 */
function figuresOf(all, seconds) {
  const names = [...new Set(all.flatMap(({ operations }) => [...operations.keys()]))].sort()
  const each = names.map((name) => all.flatMap(({ operations }) => operations.get(name) ?? []))
  const caches = all.flatMap(({ cache }) => cache ?? [])
  const hits = sum(caches.map((cache) => cache.hits))
  const asked = hits + sum(caches.map((cache) => cache.misses))
  return {
    operations: Object.fromEntries(names.map((name, at) => [name, ratesOf(each[at], seconds)])),
    all: ratesOf(each.flat(), seconds),
    now: merged(all.map(({ now }) => now)),
    hitRatio: asked === 0 ? null : hits / asked,
  }
}

/**
 * @param {Operation[]} operations
 * @param {number} seconds
 * @returns {Rates}
 */
function ratesOf(operations, seconds) {
  const codes = merged(operations.map(({ errors }) => errors))
  const bounds = operations[0]?.latency.bounds ?? []
  const counts = bounds.map((_, at) => sum(operations.map(({ latency }) => latency.counts[at] ?? 0)))
  const above = sum(operations.map(({ latency }) => latency.counts[bounds.length] ?? 0))
  const at = (/** @type {number} */ q) => {
    const value = bounds.length === 0 ? Number.NaN : quantile({ bounds, counts: [...counts, above] }, q)
    return Number.isNaN(value) ? null : value
  }
  return {
    calls: sum(operations.map(({ calls }) => calls)) / seconds,
    errors: sum(Object.values(codes)) / seconds,
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    codes: Object.fromEntries(Object.entries(codes).filter(([, count]) => count > 0)),
  }
}

/** @param {number[]} numbers */
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0)

/** @param {Record<string, number>[]} counts @returns {Record<string, number>} */
function merged(counts) {
  /** @type {Map<string, number>} */
  const total = new Map()
  for (const [name, count] of counts.flatMap(Object.entries)) total.set(name, (total.get(name) ?? 0) + count)
  return Object.fromEntries(total)
}

module.exports = { figuresOf, since, totalsOf }
