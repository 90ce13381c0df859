// @ts-check
// The least that any client has the server do, as a side: pgbench writes with the documented columns alone. No JSON is
// made, no promise resolves, nothing is returned. A client has more to do than that.
'use strict'

const { KEYS, TTL, VALUE } = require('./operations.js')
const { KEY, ANY_KEY, SCRIPTS } = require('./pgbench-scripts.js')

/** More connections than these have smaller batches, and were slower. */
const CONNECTIONS = [1, 2]

const EXPIRY = `timezone('UTC', now()) + INTERVAL '${TTL} milliseconds'`
const UPSERT = 'ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at'

/**
 * Calls at once about random keys: those of one key need only one row.
 *
 * @param {number} calls
 * @param {number} [keys]
 */
const rowsOf = (calls, keys = KEYS) => Math.round(keys * (1 - (1 - 1 / keys) ** calls))

/** @typedef {import('./pgbench.js').Load & { rows: number }} Shape how calls in flight become statements */

/** @param {Shape['protocol']} protocol */
const jsonText = (protocol) => (protocol === 'simple' ? `'${JSON.stringify(VALUE)}'` : ':value')

/** @type {Record<string, (shape: Omit<Shape, 'script'>) => string[]>} */
const BARE = {
  get: () => /** @type {string[]} */ (SCRIPTS.get),
  set: (shape) => (shape.calls === 1 ? setOne(shape) : setMany(shape)),
}

/** @param {Omit<Shape, 'script'>} shape */
const setOne = ({ protocol }) => [
  ANY_KEY,
  `INSERT INTO go_goscope_cache (key, value, expires_at) VALUES ('cache:' || ${KEY}, ${jsonText(protocol)}::jsonb, ${EXPIRY}) ${UPSERT};`,
]

/**
 * Different keys in no order: a step that has no divisor in common with their number. The keys come into being in the
 * server, for less than it takes to receive them. Two connections lock their rows in one order, or they would deadlock.
 *
 * @param {Omit<Shape, 'script'>} shape
 */
function setMany({ protocol, connections, rows }) {
  const number = `(:first + place * :step) % ${KEYS}`
  const values = `unnest(array_fill(${jsonText(protocol)}::text, ARRAY[${rows}])) WITH ORDINALITY AS call (value, place)`
  return [
    `\\set first random(0, ${KEYS - 1})`,
    `\\set step 10 * random(0, ${KEYS / 10 - 1}) + 7`,
    [
      `INSERT INTO go_goscope_cache (key, value, expires_at)`,
      `SELECT 'cache:' || 'key:' || (${number})::text, value::jsonb, ${EXPIRY} FROM ${values}`,
      ...(connections > 1 ? [`ORDER BY ${number}`] : []),
      `${UPSERT};`,
    ].join(' '),
  ]
}

/**
 * @param {string} operation
 * @param {number} inFlight
 * @param {Shape['protocol'][]} protocols
 * @returns {Shape[]} in how many ways so many calls can be in flight
 */
function shapesOf(operation, inFlight, protocols) {
  const shapes = CONNECTIONS.filter((connections) => connections <= inFlight).flatMap((connections) =>
    protocols.map((protocol) => {
      const calls = Math.ceil(inFlight / connections)
      return { protocol, connections, calls, rows: rowsOf(calls) }
    }),
  )
  return shapes.map((shape) => ({ ...shape, script: BARE[operation]?.(shape) ?? [] }))
}

/**
 * @param {string} operation
 * @returns {string[]} what pgbench runs for a single call
 */
const statementOf = (operation) =>
  BARE[operation]?.({ protocol: 'prepared', connections: 1, calls: 1, rows: 1 }) ?? SCRIPTS[operation] ?? []

class BareStatement {
  /** The fastest way for as many calls of an operation, found by {@link choose}. @type {Shape | undefined} */
  #shape

  /**
   * @param {string} name
   * @param {import('./pgbench.js').Pgbench} pgbench
   * @param {Shape['protocol'][]} protocols that are tried
   */
  constructor(name, pgbench, protocols) {
    this.name = name
    this.versions = pgbench.versions
    this.pgbench = pgbench
    this.place = pgbench.place
    this.protocols = protocols
  }

  /**
   * @param {string} operation
   * @param {number} inFlight
   * @param {number} ms how long each way is tried
   * @returns {Promise<Shape>} the fastest
   */
  async choose(operation, inFlight, ms) {
    const tried = []
    for (const shape of shapesOf(operation, inFlight, this.protocols)) {
      await this.place.tidy()
      tried.push({ shape, rate: (await this.pgbench.run(shape, ms)).rate })
    }
    const [fastest] = tried.sort((a, b) => b.rate - a.rate)
    this.#shape = /** @type {{ shape: Shape }} */ (fastest).shape
    return this.#shape
  }

  /**
   * @param {string} _operation
   * @param {Pick<import('./window.js').Span, 'ms'>} span
   */
  window(_operation, { ms }) {
    return this.pgbench.run(/** @type {Shape} */ (this.#shape), ms)
  }

  close() {
    return this.pgbench.close()
  }

  kill() {
    this.pgbench.kill()
  }
}

module.exports = { BareStatement, EXPIRY, UPSERT, rowsOf, statementOf }
