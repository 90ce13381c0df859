// @ts-check
// A new native connection as the application's hooks see it. It can be read like pg's client: values of pg's client
// are here, too, and any other name is undefined. A method of pg's client that a native connection lacks throws when
// it is called, and not when it is read.
'use strict'

const { randomBytes } = require('node:crypto')
const { EventEmitter } = require('node:events')
const { coded } = require('../errors.js')
const { after, nextTurn } = require('../clock.js')
const { literal } = require('./literal.js')

/**
 * @typedef {object} About what pg's client knows of its session
 * @property {number | null} processID null if a pooler shares the server's sessions
 * @property {() => { user?: string, database?: string, host?: string, port?: unknown }} parameters
 */

class Session extends EventEmitter {
  #runQuery
  #parameters
  /** @type {Promise<unknown>} */
  #last = Promise.resolve()
  #pending = 0
  /** The number of queries so far. */
  #asked = 0
  /** The promises of unfinished queries that the hooks have received. @type {Set<Promise<unknown>>} */
  #given = new Set()

  /**
   * @param {(sql: string) => Promise<any>} runQuery runs SQL there
   * @param {About} about
   */
  constructor(runQuery, { processID, parameters }) {
    super()
    this.#runQuery = runQuery
    this.#parameters = parameters
    this.processID = processID
    // Also for hooks that pass the method on detached.
    this.query = this.query.bind(this)
  }

  get user() {
    return this.#parameters().user
  }

  get database() {
    return this.#parameters().database
  }

  get host() {
    return this.#parameters().host
  }

  get port() {
    return Number(this.#parameters().port)
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
    // As pg.
    if (query == null) throw invalidQuery('Client was passed a null or undefined query')
    const { text, values: own, rowMode } = typeof query === 'string' ? { text: query } : /** @type {any} */ (query)
    if (typeof text !== 'string') throw invalidQuery('A query of a connect hook must have a text')
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
    this.#asked++
    const result = this.#last.then(run).finally(() => this.#pending--)
    this.#last = result.catch(() => {})
    // This promise is not the one that is awaited here: if the hook ignores a failure, it is unhandled, as with pg.
    const given = result.then((found) => found)
    this.#given.add(given)
    const isOver = () => this.#given.delete(given)
    result.then(isOver, isOver)
    return given
  }

  /** A hook has failed, and the connection ends. Its queries fail with it; that is no further failure to handle. */
  abandon() {
    for (const given of this.#given) given.catch(() => {})
  }

  /**
   * @param {string} text
   * @param {unknown[]} [params]
   * @param {string} [rowMode]
   */
  async #run(text, params, rowMode) {
    const results = params?.length ? await this.#runWith(text, params) : await this.#runQuery(text)
    const shaped = results.map((/** @type {any} */ result) => shape(result, text, rowMode))
    return shaped.length === 1 ? shaped[0] : shaped
  }

  /**
   * The server plans and types it as in the extended protocol, which native code keeps for its own statements.
   *
   * @param {string} text
   * @param {unknown[]} params
   */
  async #runWith(text, params) {
    // Each has a name of its own: if it fails it may remain, also in a session that a pooler gives to other clients.
    const name = `goscope_hook_${randomBytes(8).toString('hex')}`
    // On lines of its own: it may end in a comment. A semicolon before that leaves an empty statement, which has no
    // result.
    const prepare = `PREPARE ${name} AS ${text.replace(/;\s*$/, '')}\n`
    try {
      const results = await this.#runQuery(
        `${prepare}; EXECUTE ${name} (${params.map(literal).join(', ')}); DEALLOCATE ${name}`,
      )
      return [results[1]]
    } catch (error) {
      // The server has stopped at the statement that failed. If that was the first, there is nothing to remove.
      await this.#runQuery(`DEALLOCATE ${name}`).catch(() => {})
      throw error
    }
  }

  escapeLiteral(/** @type {string} */ text) {
    return literal(text)
  }

  escapeIdentifier(/** @type {string} */ name) {
    return `"${name.replaceAll('"', '""')}"`
  }

  /** Parsers of column types apply to the application's own queries, which it makes through pg. */
  setTypeParser() {}

  /** Values in the rows are text, so nothing parses them. */
  getTypeParser() {
    return (/** @type {string} */ value) => value
  }

  /** Only the pool may release a session that a hook uses. */
  release() {}

  /** While hooks run, the call that needs the connection keeps the process alive. */
  ref() {}

  unref() {}

  /** As pg's client before the server has sent the status. */
  getTransactionStatus() {
    return null
  }

  connect() {
    throw lacking('connect', 'it is connected already')
  }

  end() {
    throw lacking('end', 'the pool ends it; reject or throw to have it not used')
  }

  cancel() {
    throw lacking('cancel', 'see statement_timeout')
  }

  /**
   * Calls back once no query has been under way for this time.
   *
   * @param {number} ms
   * @param {() => void} callback
   * @returns {() => void} cancels it
   */
  whenIdle(ms, callback) {
    let isCancelled = false
    let cancel = () => {}
    const watch = async () => {
      await this.settled()
      if (isCancelled) return
      const asked = this.#asked
      cancel = after(ms, () => (asked === this.#asked ? callback() : watch()))
    }
    watch()
    return () => {
      isCancelled = true
      cancel()
    }
  }

  /** Resolves when all queries have been answered, including those that hooks made after the earlier answers. */
  async settled() {
    while (this.#pending > 0) {
      await this.#last
      await nextTurn()
    }
  }
}

/**
 * @param {string} method
 * @param {string} advice
 */
const lacking = (method, advice) =>
  coded(
    new TypeError(`A connect hook called client.${method}(), which native connections do not have: ${advice}`),
    'ERR_INVALID_ARG_VALUE',
  )

/** @param {string} message */
const invalidQuery = (message) => coded(new TypeError(message), 'ERR_INVALID_ARG_TYPE')

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

module.exports = { Session }
