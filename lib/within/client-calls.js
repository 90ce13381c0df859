// @ts-check
'use strict'

const native = require('../native.js')
const args = require('../arguments.js')
const { withError } = require('../bridge.js')
const { nextErrorId } = require('../error-registry.js')
const { serverErrorOf } = require('./server-error.js')

const UNDEFINED_TABLE = '42P01'

const OTHER_DATABASE =
  'The table is known to the adapter, and not to this client. Is the client connected to the database of the adapter’s pool?'

/**
 * Calls that run on a connection of the application: in their order, one after the other. It takes the place of the
 * adapter's share of its pool, of which it has the end and the metrics.
 */
class ClientCalls {
  #share
  #calls
  #run
  #isRunning = false
  #pending = 0
  /** @type {Map<number, unknown>} by the number that native code carries to each call that the error fails */
  #errors = new Map()

  /**
   * @param {import('../pool-share.js').PoolShare} share
   * @param {import('./client-of.js').RunOnClient} run
   */
  constructor(share, run) {
    this.#share = share
    this.#calls = new native.Client(share.native)
    this.#run = run
  }

  /** Providers take this to have their calls run here. */
  get native() {
    return this.#calls
  }

  get target() {
    return this.#share.target
  }

  get isEnded() {
    return this.#share.isEnded
  }

  metrics() {
    return this.#share.metrics()
  }

  /**
   * As that of the share. If no other call is under way here, and the table is prepared, the client has the query when
   * this returns.
   *
   * @param {(slot: number) => void} start
   */
  async send(start) {
    this.#pending++
    try {
      const outcome = await this.#share.send((slot) => {
        start(slot)
        this.#carry()
      })
      return withError(outcome, this.#errors)
    } finally {
      if (--this.#pending === 0) this.#errors.clear()
    }
  }

  async #carry() {
    if (this.#isRunning) return
    this.#isRunning = true
    try {
      for (;;) {
        if (this.#calls.mustPrepare()) await this.#share.sendDuringTask((slot) => this.#calls.prepare(slot))
        const query = this.#calls.next()
        if (query === null) return
        await this.#carryOut(query)
      }
    } finally {
      this.#isRunning = false
    }
  }

  /** @param {import('../../native').ClientQuery} query */
  async #carryOut({ text, values }) {
    try {
      const rows = await this.#run(text, /** @type {(string | null)[]} */ (values))
      this.#calls.answer(rows.map(recordOf))
    } catch (error) {
      const id = nextErrorId()
      this.#errors.set(id, error)
      this.#calls.fail(id, explained(error)?.code)
    }
  }
}

/**
 * The only column, whatever the client calls it: some are told to rename columns.
 *
 * @param {any} row
 */
function recordOf(row) {
  const [record, ...others] = Object.values(row ?? {})
  if (typeof record === 'string' && others.length === 0) return record
  throw args.invalid('client', 'is a client whose rows are not those of the query: one column, "record", of text', row)
}

/**
 * The server's error. That a table is missing is no news to the caller, but why may be.
 *
 * @param {unknown} error
 */
function explained(error) {
  const found = serverErrorOf(error)
  // Some errors take no further property.
  if (found?.code === UNDEFINED_TABLE && found.bearer.hint == null) Reflect.set(found.bearer, 'hint', OTHER_DATABASE)
  return found
}

module.exports = { ClientCalls }
