// @ts-check
// A new native connection as the application's hooks see it: what they use of a pg client, and no more.
'use strict'

const { randomBytes } = require('node:crypto')
const { EventEmitter } = require('node:events')
const { inspect } = require('node:util')
const { coded } = require('../errors.js')
const { literal } = require('./literal.js')

class Session extends EventEmitter {
  #converse
  /** @type {Promise<unknown>} */
  #last = Promise.resolve()
  #pending = 0

  /** @param {(sql: string) => Promise<any>} converse */
  constructor(converse) {
    super()
    this.#converse = converse
    // Whatever else hooks ask of a client would be skipped in silence if it were merely undefined.
    // biome-ignore lint/correctness/noConstructorReturn: only a proxy can see what is asked of it
    return new Proxy(this, { get: member })
  }

  /**
   * Runs SQL, as pg's `client.query`: a text or `{ text, values, rowMode }`, with a callback or a promise. Values in the
   * rows are text, as the server writes them.
   *
   * @param {string | { text: string, values?: unknown[], rowMode?: string }} query
   * @param {unknown[] | Function} [values]
   * @param {Function} [callback]
   */
  query(query, values, callback) {
    const { text, values: own, rowMode } = typeof query === 'string' ? { text: query } : /** @type {any} */ (query)
    const done = typeof values === 'function' ? values : callback
    const params = Array.isArray(values) ? values : own
    const result = this.#enqueue(() => this.#run(text, params, rowMode))
    if (!done) return result
    result.then(
      (rows) => done(null, rows),
      (error) => done(error),
    )
    return undefined
  }

  /** @param {() => Promise<any>} run */
  #enqueue(run) {
    this.#pending++
    const result = this.#last.then(run).finally(() => this.#pending--)
    this.#last = result.catch(() => {})
    return result
  }

  /**
   * @param {string} text
   * @param {unknown[]} [params]
   * @param {string} [rowMode]
   */
  async #run(text, params, rowMode) {
    const told = params?.length ? await this.#runWith(text, params) : await this.#converse(text)
    const shaped = told.map((/** @type {any} */ result) => shape(result, text, rowMode))
    return shaped.length === 1 ? shaped[0] : shaped
  }

  /**
   * The server plans and types it as in the extended protocol, which native code keeps for its own statements.
   *
   * @param {string} text
   * @param {unknown[]} params
   */
  async #runWith(text, params) {
    // Each has a name of its own: if it fails it may stay behind, in a session that a pooler gives to other clients, too.
    const name = `goscope_hook_${randomBytes(8).toString('hex')}`
    const prepare = `PREPARE ${name} AS ${text.replace(/;\s*$/, '')}`
    try {
      const results = await this.#converse(
        `${prepare}; EXECUTE ${name} (${params.map(literal).join(', ')}); DEALLOCATE ${name}`,
      )
      return [results[1]]
    } catch (error) {
      // The server has stopped at the statement that failed. If that was the first, there is nothing to remove.
      await this.#converse(`DEALLOCATE ${name}`).catch(() => {})
      throw error
    }
  }

  escapeLiteral(/** @type {string} */ text) {
    return literal(text)
  }

  escapeIdentifier(/** @type {string} */ name) {
    return `"${name.replaceAll('"', '""')}"`
  }

  /** Parsers of column types concern queries of the application's own, which it makes through pg. */
  setTypeParser() {}

  /** A session in a hook is the pool's to take back. */
  release() {}

  /** Resolves when everything that was asked has been answered, and what hooks asked upon that, too. */
  async settled() {
    while (this.#pending > 0) {
      await this.#last
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

/**
 * @param {{ fields: string[], rows: string[][], rowCount: number }} result
 * @param {string} text
 * @param {string} [rowMode]
 */
function shape({ fields, rows, rowCount }, text, rowMode) {
  const object = (/** @type {string[]} */ row) => Object.fromEntries(fields.map((name, at) => [name, row[at]]))
  return {
    command: /^\s*(\w+)/.exec(text)?.[1]?.toUpperCase() ?? null,
    rowCount,
    fields: fields.map((name) => ({ name })),
    rows: rowMode === 'array' ? rows : rows.map(object),
  }
}

/**
 * @param {Session} session
 * @param {string | symbol} name
 */
function member(session, name) {
  const value = Reflect.get(session, name)
  if (typeof value === 'function') return value.bind(session)
  if (value === undefined && typeof name === 'string' && !OPTIONAL.has(name) && !(name in session)) {
    const message = `A connect hook asked for client.${name}, which goscope-postgres' connections do not have`
    throw coded(
      new TypeError(`${message} (only query, events and escaping). Received ${inspect(name)}`),
      'ERR_INVALID_ARG_VALUE',
    )
  }
  return value
}

// What JavaScript itself and loggers ask of any object.
const OPTIONAL = new Set(['then', 'toJSON', 'inspect', 'constructor', 'nodeType', 'asymmetricMatch', '$$typeof'])

module.exports = { Session }
