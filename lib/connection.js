// @ts-check
// A `pg.Pool` and the native pool that stands in for it: its settings, each connection's description, its end.
'use strict'

const native = require('./native.js')
const { bridge, call, onDescribe } = require('./bridge.js')
const { POOL_ENDED } = require('./errors.js')
const args = require('./arguments.js')
const { describeConnection, poolSettings } = require('./describe.js')

/** @type {WeakMap<object, Connection>} */
const connections = new WeakMap()

// Native code knows a pool by number. The references are weak, so that a pool that the application has forgotten is
// collected with its native connections.
/** @type {Map<number, WeakRef<Connection>>} */
const byNumber = new Map()
const forgotten = new FinalizationRegistry((/** @type {number} */ number) => byNumber.delete(number))
let pools = 0

onDescribe((number) => {
  const connection = byNumber.get(number)?.deref()
  return connection ? describeConnection(connection.pool) : Promise.reject(new Error(POOL_ENDED))
})

/** What all adapters built on one `pg.Pool` share. */
class Connection {
  /** @type {Promise<void> | undefined} */
  #ended

  /** @param {any} pool */
  constructor(pool) {
    this.pool = pool
    const number = ++pools
    this.native = new native.Pool(bridge, number, JSON.stringify(poolSettings(pool)))
    byNumber.set(number, new WeakRef(this))
    forgotten.register(this, number)
  }

  /**
   * The connection of a pool, made at its first adapter.
   *
   * @param {unknown} pool
   * @returns {Connection}
   */
  static of(pool) {
    const given = args.pool(pool)
    let connection = connections.get(given)
    if (!connection) {
      connection = new Connection(given)
      connections.set(given, connection)
    }
    return connection
  }

  get isEnded() {
    return this.#ended !== undefined || this.pool.ending === true
  }

  /**
   * Makes a native call, unless the pool has been ended, by us or by the application.
   *
   * @param {(slot: number) => void} send
   */
  call(send) {
    if (this.isEnded) {
      // The application ended its pool by itself: the native connections go with it.
      this.end().catch(() => {})
      return Promise.reject(new Error(POOL_ENDED))
    }
    return call(send, this)
  }

  /** Waits for the calls under way, closes the native connections, and ends the pool that was given. */
  end() {
    this.#ended ??= this.#end()
    return this.#ended
  }

  async #end() {
    await call((slot) => this.native.close(slot), this)
    if (!this.pool.ending && !this.pool.ended) await this.pool.end()
  }
}

module.exports = { Connection }
