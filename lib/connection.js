// @ts-check
// A `pg.Pool` and the native pool that stands in for it: its settings, each connection's description, its end.
'use strict'

const native = require('./native.js')
const { answerFor, bridge, send, settled, subscribe, unsubscribe } = require('./bridge.js')
const { describeConnection, targetOf } = require('./connecting/describe.js')
const { greet } = require('./connecting/greeting.js')
const { poolOf } = require('./connecting/pool-of.js')
const { poolSettings } = require('./connecting/pool-settings.js')
const { POOL_ENDED } = require('./errors.js')

/** @type {WeakMap<object, Connection>} */
const connections = new WeakMap()

// Native code knows a pool by number. The references are weak, so that a pool that the application has forgotten is
// collected with its native connections.
/** @type {Map<number, WeakRef<Connection>>} */
const byNumber = new Map()
const forgotten = new FinalizationRegistry((/** @type {number} */ number) => byNumber.delete(number))
let pools = 0

answerFor({
  async describe({ pool, ...asked }) {
    const connection = connectionOf(pool)
    return describeConnection(connection.pool, () => connection.judge, asked)
  },
  async greet({ pool }, converse) {
    const connection = connectionOf(pool)
    await greet(connection.pool, (sql) => converse(sql, connection))
  },
})

/** @param {number} number */
function connectionOf(number) {
  const connection = byNumber.get(number)?.deref()
  if (!connection) throw new Error(POOL_ENDED)
  return connection
}

/** What all adapters built on one `pg.Pool` share. */
class Connection {
  /** @type {import('./connecting/judge.js').Judge | undefined} */
  #judge
  /** @type {Promise<void> | undefined} */
  #ended
  #forgetEnd = () => {}
  /** @type {ReturnType<typeof targetOf> | undefined} */
  #target
  /** @type {Set<() => void>} each ends one */
  #subscriptions = new Set()

  /** @param {any} pool */
  constructor(pool) {
    this.pool = pool
    const number = ++pools
    this.native = new native.Pool(bridge, number, JSON.stringify(poolSettings(pool)))
    byNumber.set(number, new WeakRef(this))
    forgotten.register(this, number)
    if (!pool.isOurs) this.#forgetEnd = noticeEnd(pool, this)
  }

  /**
   * The connection of a pool, made at its first adapter. Any other form of the argument makes a pool of its own.
   *
   * @param {unknown} argument the first that an adapter takes
   * @returns {Connection}
   */
  static of(argument) {
    const given = poolOf(argument)
    let connection = connections.get(given)
    if (!connection) {
      connection = new Connection(given)
      connections.set(given, connection)
    }
    return connection
  }

  /** Who judges the certificates of its servers. Read in only where there is TLS. */
  get judge() {
    this.#judge ??= new (require('./connecting/judge.js').Judge)()
    return this.#judge
  }

  get isEnded() {
    return this.#ended !== undefined || this.pool.ending === true
  }

  /**
   * Makes a native call, unless the pool has been ended, by us or by the application. Its outcome is for `settled`.
   *
   * @param {(slot: number) => void} start
   */
  send(start) {
    if (this.isEnded) {
      // The application ended its pool by itself: the native connections go with it.
      this.end().catch(() => {})
      return Promise.reject(new Error(POOL_ENDED))
    }
    return send(start, this)
  }

  /** What the native pool does now and has done since it was made. */
  metrics() {
    return JSON.parse(this.native.metrics())
  }

  /** Where it leads, for those who watch; resolved once. */
  get target() {
    this.#target ??= targetOf(this.pool)
    return this.#target
  }

  /**
   * Has news told from now until the function that it returns is called, or the pool has been ended.
   *
   * @param {(news: any) => void} subscriber
   * @param {{ subscribe: (subscription: number) => void, unsubscribe: (subscription: number) => void }} native
   */
  subscribe(subscriber, native) {
    if (this.isEnded) throw new Error(POOL_ENDED)
    // It holds what would otherwise be collected with the adapter.
    const hear = (/** @type {unknown} */ news) => this.#subscriptions.has(end) && subscriber(news)
    const subscription = subscribe(hear, native.subscribe)
    const end = () => {
      this.#subscriptions.delete(end)
      unsubscribe(subscription)
      native.unsubscribe(subscription)
    }
    this.#subscriptions.add(end)
    return end
  }

  /** Waits for the calls under way, closes the native connections, and ends the pool that was given. */
  end() {
    this.#ended ??= this.#end()
    return this.#ended
  }

  async #end() {
    for (const end of this.#subscriptions) end()
    settled(await send((slot) => this.native.close(slot), this))
    this.#forgetEnd()
    if (!this.pool.ending && !this.pool.ended) await this.pool.end()
  }
}

/**
 * The application may end its pool by itself. pg-pool tells nobody, so its `end` is wrapped: what it ended is ours, too,
 * and its promise (or callback) waits for that.
 *
 * @param {any} pool
 * @param {Connection} connection
 * @returns {() => void} takes the wrapper off again, so that a pool that lives on does not keep us
 */
function noticeEnd(pool, connection) {
  const { end } = pool
  const own = Object.getOwnPropertyDescriptor(pool, 'end')
  const wrapped = (/** @type {Function} */ callback) => {
    if (pool.ending || connection.isEnded) return end.call(pool, callback)
    // First the pool itself, so that `pool.ending` is true when this returns, as ever.
    if (typeof callback !== 'function') return Promise.all([end.call(pool), connection.end()]).then(([ended]) => ended)
    return end.call(pool, (/** @type {unknown[]} */ ...told) => connection.end().then(() => callback(...told)))
  }
  try {
    Object.defineProperty(pool, 'end', { value: wrapped, writable: true, configurable: true, enumerable: false })
  } catch {
    // A frozen pool's end is noticed at the next call.
  }
  return () => {
    // Unless somebody has wrapped it once more.
    if (pool.end !== wrapped) return
    delete pool.end
    if (own) Object.defineProperty(pool, 'end', own)
  }
}

module.exports = { Connection }
