// @ts-check
// A `pg.Pool` and the native pool that replaces it: its settings, each connection's description, its end.
'use strict'

const native = require('./native.js')
const { answerFor, bridge, send, settled, subscribe, unsubscribe } = require('./bridge.js')
const { describeConnection, parametersOf, targetOf } = require('./connecting/describe.js')
const { runConnectHooks } = require('./connecting/connect-hooks.js')
const { poolOf } = require('./connecting/pool-of.js')
const { poolSettings } = require('./connecting/pool-settings.js')
const { POOL_ENDED } = require('./errors.js')
const { UnderWay } = require('./under-way.js')
const { noticeEnd } = require('./pool-end.js')
const { isInWork, waitForEnd } = require('./work-context.js')

/** @type {WeakMap<object, PoolHandle>} */
const handles = new WeakMap()

// Native code knows a pool by number. The references are weak, so that a pool that the application has forgotten is
// collected with its native connections.
/** @type {Map<number, WeakRef<PoolHandle>>} */
const byNumber = new Map()
const forgotten = new FinalizationRegistry((/** @type {number} */ number) => byNumber.delete(number))
let pools = 0

answerFor({
  async describe({ pool, ...asked }) {
    const handle = handleOf(pool)
    return describeConnection(handle.pool, () => handle.verifier, asked)
  },
  async runConnectHooks({ pool, processID }, runHookQuery) {
    const handle = handleOf(pool)
    const about = { processID, parameters: () => parametersOf(handle.pool) }
    await runConnectHooks(handle.pool, (sql) => runHookQuery(sql, handle), about)
  },
})

/** @param {number} number */
function handleOf(number) {
  const handle = byNumber.get(number)?.deref()
  if (!handle) throw new Error(POOL_ENDED)
  return handle
}

/** What all adapters built on one `pg.Pool` share. */
class PoolHandle {
  /** @type {import('./connecting/certificate-verifier.js').CertificateVerifier | undefined} */
  #verifier
  /** How many adapters use it. */
  #users = 0
  /** @type {Promise<void> | undefined} */
  #closed
  /** @type {Promise<void> | undefined} */
  #ended
  #forgetEnd = () => {}
  /** @type {ReturnType<typeof targetOf> | undefined} */
  #target
  /** @type {Set<() => void>} each ends one */
  #subscriptions = new Set()
  /** @type {Set<() => void>} as those, of leases: work under way may need them to its end */
  #leases = new Set()
  #underWay = new UnderWay(this)

  /** @param {any} pool */
  constructor(pool) {
    this.pool = pool
    const number = ++pools
    this.native = new native.Pool(bridge, number, JSON.stringify(poolSettings(pool)))
    byNumber.set(number, new WeakRef(this))
    forgotten.register(this, number)
    if (pool.given || !pool.isOurs) this.#forgetEnd = noticeEnd(pool.given ?? pool, this)
  }

  /**
   * The handle of a pool, made at its first adapter. Any other form of the argument makes a pool of its own.
   *
   * @param {unknown} argument the first that an adapter takes
   * @returns {PoolHandle}
   */
  static of(argument) {
    const given = poolOf(argument)
    let handle = handles.get(given)
    if (!handle) {
      handle = new PoolHandle(given)
      handles.set(given, handle)
    }
    return handle
  }

  /** The verifier of its servers' certificates. Loaded only if there is TLS. */
  get verifier() {
    this.#verifier ??= new (require('./connecting/certificate-verifier.js').CertificateVerifier)()
    return this.#verifier
  }

  get isEnded() {
    return this.#closed !== undefined || this.pool.ending === true
  }

  /**
   * Whether a call that is made here and now is refused: the pool is being ended, and the call is no part of the work
   * that continues.
   */
  get isRefusing() {
    return this.isEnded && !isInWork(this)
  }

  /**
   * Makes a native call, unless the pool has been ended, by us or by the application. Its outcome is for `settled`.
   *
   * @param {(slot: number) => void} start
   */
  send(start) {
    if (!this.isEnded) return send(start, this)
    return new Promise((resolve) => resolve(this.assertOpen())).then(() => send(start, this))
  }

  /** Throws if {@link isRefusing} is true. */
  assertOpen() {
    if (!this.isEnded) return
    this.noticeEnd()
    if (this.isRefusing) throw new Error(POOL_ENDED)
  }

  /** If the application has ended its pool by itself, closes the native connections, too. */
  noticeEnd() {
    if (this.pool.ending === true) this.end().catch(() => {})
  }

  /** One more adapter uses it. */
  join() {
    this.#users++
  }

  /**
   * One adapter less uses it. The last one closes the native connections, and leaves open what the application has
   * given.
   */
  async leave() {
    if (--this.#users > 0) return
    // A later adapter on the pool gets native connections of its own, unless the pool has been ended.
    if (!this.#ended && handles.get(this.pool) === this) handles.delete(this.pool)
    await this.#close()
  }

  /**
   * A task that the end of the pool waits for; see {@link UnderWay}.
   *
   * @template T
   * @param {() => Promise<T>} task
   */
  during(task) {
    return this.#underWay.during(task)
  }

  /** As {@link during}: see {@link UnderWay.begin}. */
  beginTask() {
    this.#underWay.begin()
  }

  finishTask() {
    this.#underWay.finish()
  }

  /**
   * Registers a wait that the end of the pool gives up. If the wait is part of work, it is given up when that work
   * is over.
   *
   * @param {() => void} giveUp
   * @returns {() => void} to be called when the wait is over
   */
  onEnd(giveUp) {
    return this.#underWay.onEnd(giveUp)
  }

  /** The present state of the native pool, and its counters since it was made. */
  metrics() {
    return JSON.parse(this.native.metrics())
  }

  /** Where it leads, for observers such as tracing; resolved once. */
  get target() {
    this.#target ??= targetOf(this.pool)
    return this.#target
  }

  /**
   * Passes events to the subscriber from now until the returned function is called, or the pool has been ended.
   *
   * @param {(news: any) => void} subscriber
   * @param {{ subscribe: (subscription: number) => void, unsubscribe: (subscription: number) => void }} native
   * @param {{ isLease?: boolean }} [options]
   */
  subscribe(subscriber, native, { isLease = false } = {}) {
    this.assertOpen()
    const all = isLease ? this.#leases : this.#subscriptions
    // The closure keeps alive what would otherwise be collected with the adapter.
    const notify = (/** @type {unknown} */ news) => all.has(end) && subscriber(news)
    const subscription = subscribe(notify, native.subscribe)
    const end = () => {
      all.delete(end)
      unsubscribe(subscription)
      native.unsubscribe(subscription)
    }
    all.add(end)
    return end
  }

  /**
   * Waits for calls and work under way, closes the native connections, and ends the pool that was given. Within work
   * that it would have to wait for, it returns at once, and all of that follows when the work is over.
   */
  end() {
    this.#ended ??= this.#end()
    return waitForEnd(this, this.#ended)
  }

  async #end() {
    await this.#close()
    if (!this.pool.ending && !this.pool.ended) await this.pool.end()
  }

  #close() {
    this.#closed ??= this.#closeNative()
    return this.#closed
  }

  async #closeNative() {
    for (const end of this.#subscriptions) end()
    // This runs after the function has returned, when `isEnded` is true.
    await null
    await this.#underWay.over()
    for (const end of this.#leases) end()
    settled(await send((slot) => this.native.close(slot)))
    this.#forgetEnd()
  }
}

module.exports = { PoolHandle }
