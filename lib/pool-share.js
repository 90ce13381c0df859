// @ts-check
'use strict'

const { send, untilSettled } = require('./bridge.js')
const { PoolHandle } = require('./pool-handle.js')
const { POOL_ENDED, coded } = require('./errors.js')
const { UnderWay } = require('./under-way.js')
const { isInWork, isWithin, runWork, waitForEnd } = require('./work-context.js')

const CLOSED = 'Cannot use an adapter after calling close on it'

/**
 * One adapter's share of the {@link PoolHandle} that all adapters on a pool share: its calls, and its own end. Closing
 * it leaves the others open; the last one to be closed closes the native connections. What the application has given,
 * such as a `pg.Pool`, ends only with `end`.
 */
class PoolShare {
  /** @type {Promise<void> | undefined} */
  #closed
  /** @type {Set<() => void>} each ends one */
  #subscriptions = new Set()
  /** @type {Set<() => void>} as those, of leases: work under way may need them to its end */
  #leases = new Set()
  #underWay = new UnderWay(this)

  /** @param {unknown} argument the first that an adapter takes */
  constructor(argument) {
    this.handle = PoolHandle.of(argument)
    this.handle.join()
    this.native = this.handle.native
    this.pool = this.handle.pool
  }

  get target() {
    return this.handle.target
  }

  metrics() {
    return this.handle.metrics()
  }

  get isEnded() {
    return this.#closed !== undefined || this.handle.isEnded
  }

  /**
   * Whether a call that is made here and now is refused: this is being ended, and the call is no part of the work
   * that continues.
   */
  get isRefusing() {
    return (this.#closed !== undefined && !isInWork(this)) || this.handle.isRefusing
  }

  /** The error with which a call is refused. */
  refusal() {
    return this.#closed ? coded(new Error(CLOSED), 'ERR_ADAPTER_CLOSED') : new Error(POOL_ENDED)
  }

  /** Throws if {@link isRefusing} is true. */
  assertOpen() {
    if (!this.isEnded) return
    this.handle.noticeEnd()
    if (this.isRefusing) throw this.refusal()
  }

  /**
   * Makes a native call, unless it is refused. Its outcome is for `settled`.
   *
   * @param {(slot: number) => void} start
   */
  send(start) {
    if (!this.isEnded) return send(start, this)
    return new Promise((resolve) => resolve(this.assertOpen())).then(() => send(start, this))
  }

  /**
   * As {@link send}, as part of a task: not refused while the end waits for that.
   *
   * @param {(slot: number) => void} start
   */
  sendDuringTask(start) {
    return send(start, this)
  }

  /**
   * A task that the end waits for; see {@link UnderWay}.
   *
   * @template T
   * @param {() => Promise<T>} task
   */
  during(task) {
    return this.handle.during(() => this.#underWay.during(task))
  }

  /** As {@link during}: see {@link UnderWay.begin}. */
  beginTask() {
    this.handle.beginTask()
    this.#underWay.begin()
  }

  finishTask() {
    this.#underWay.finish()
    this.handle.finishTask()
  }

  /**
   * Runs work of the application, as part of a task. While the end waits for it, calls that it makes are not refused.
   *
   * @template T
   * @param {string} claim under which it is done
   * @param {() => T | Promise<T>} work
   */
  work(claim, work) {
    this.assertOpen()
    return runWork(this, claim, work)
  }

  /**
   * Whether this is called within the work under a claim, of any adapter on the pool.
   *
   * @param {string} claim
   */
  isWithin(claim) {
    return isWithin(this.handle, claim)
  }

  /**
   * Registers a wait that the end gives up. If the wait is part of work, it is given up when that work is over.
   *
   * @param {() => void} giveUp
   * @returns {() => void} to be called when the wait is over
   */
  onEnd(giveUp) {
    const waits = [this.#underWay.onEnd(giveUp), this.handle.onEnd(giveUp)]
    return () => {
      for (const isOver of waits) isOver()
    }
  }

  /**
   * Waits for something that may take another process long, unless the end comes meanwhile.
   *
   * @template T
   * @param {Promise<T>} wait
   * @returns {Promise<T>}
   */
  async unlessEnded(wait) {
    let isOver = () => {}
    const ended = new Promise((/** @type {(never: never) => void} */ _, reject) => {
      isOver = this.onEnd(() => reject(this.refusal()))
    })
    try {
      return await Promise.race([wait, ended])
    } finally {
      isOver()
    }
  }

  /**
   * Passes events to the subscriber from now until the returned function is called, or until the end.
   *
   * @param {(news: any) => void} subscriber
   * @param {{ subscribe: (subscription: number) => void, unsubscribe: (subscription: number) => void }} native
   * @param {{ isLease?: boolean }} [options]
   */
  subscribe(subscriber, native, options) {
    this.assertOpen()
    const all = options?.isLease ? this.#leases : this.#subscriptions
    const endInPool = this.handle.subscribe(subscriber, native, options)
    const end = () => {
      if (all.delete(end)) endInPool()
    }
    all.add(end)
    return end
  }

  /** Ends all adapters on the pool, and the pool. */
  end() {
    return this.handle.end()
  }

  /**
   * Waits for this adapter's calls and work under way. Within work that it would have to wait for, it returns at
   * once, and all of that follows when the work is over.
   */
  close() {
    this.#closed ??= this.#close()
    return waitForEnd(this, this.#closed)
  }

  async #close() {
    for (const end of this.#subscriptions) end()
    // This runs after the function has returned, when `isEnded` is true.
    await null
    await this.#underWay.over()
    for (const end of this.#leases) end()
    await untilSettled(this)
    // A lock that was refused is released in the background.
    await send((slot) => this.native.untilNothingIsOwed(slot))
    await this.handle.leave()
  }
}

/**
 * Whether a call was refused because its adapter, or the pool, is being ended.
 *
 * @param {any} error
 */
const isRefusal = (error) => error?.message === POOL_ENDED || error?.code === 'ERR_ADAPTER_CLOSED'

module.exports = { PoolShare, isRefusal }
