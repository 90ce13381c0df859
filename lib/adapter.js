// @ts-check
'use strict'

const { types } = require('node:util')
const { partsOf } = require('./adapter-parts.js')
const args = require('./arguments.js')
const { Breaker } = require('./breaker/breaker.js')
const { KnownCircuits } = require('./breaker/known-circuits.js')
const { sharedCircuits } = require('./breaker/shared-circuits.js')
const { settled } = require('./bridge.js')
const { CacheProvider } = require('./cache-provider.js')
const { columnsOf, fieldsOf, partOf } = require('./checkpoints.js')
const { now } = require('./clock.js')
const { coded } = require('./errors.js')
const { provideGroups } = require('./groups.js')
const { itself } = require('./itself.js')
const { iterate, iterationOptions, pageOptions } = require('./key-pages.js')
const { Lease } = require('./lease.js')
const { lockHandle } = require('./lock-handle.js')
const { optionsOf } = require('./options.js')
const { provideLocks } = require('./lock-provider.js')
const { tracingOf } = require('./tracing.js')
const { semaphoreOf } = require('./semaphore.js')
const { lockWhenFree, wantedBy } = require('./waiting-lock.js')
const { leaseAssertion } = require('./within/assert-held.js')
const { Parts } = require('./within/parts.js')
const { refuseWithin } = require('./within/refusals.js')

const TASKS = tracingOf('checkpoints.listTasks')

const STATES = ['closed', 'open', 'half-open']

// The documented column is an INTEGER.
const MAX_FAILURE_COUNT = 2 ** 31 - 1

// In ms since the epoch: from 4713 BC, where PostgreSQL's timestamps begin, to where JavaScript's dates end.
const TIME_RANGE = { min: -2.1e14, max: 8.64e15 }

/** See index.d.ts for what each method promises. */
class PostgresAdapter extends CacheProvider {
  #parts
  #share
  #locks
  #permits
  #circuits
  #cache
  #checkpoints
  #defaultLockTTL
  #isConnected = false
  /** Made when it is first needed. @type {KnownCircuits | undefined} */
  #knownCircuits

  /**
   * @param {unknown} pool
   * @param {unknown} [options]
   */
  constructor(pool, options) {
    const parts = pool instanceof Parts ? pool : partsOf(pool, options)
    const { share, providers, settings } = parts
    super(share, providers.cache, settings.claims, settings.durability)
    this.#parts = parts
    this.#share = share
    this.#locks = providers.locks
    this.#permits = providers.permits
    this.#circuits = providers.circuits
    this.#cache = providers.cache
    this.#checkpoints = providers.checkpoints
    this.#defaultLockTTL = settings.defaultLockTTL
    if (parts.isWithin) refuseWithin(this)
    else provideLocks(this)
  }

  // Transactions

  /** @param {unknown} client */
  within(client) {
    const parts = itself(this).#parts.within(client)
    const value = leaseAssertion(parts)
    return Object.defineProperty(new PostgresAdapter(parts), 'assertHeld', {
      value,
      writable: true,
      configurable: true,
    })
  }

  // Life cycle

  async connect() {
    settled(
      await this.#share.send((slot) =>
        this.#share.native.connect(slot, this.#locks, this.#circuits, this.#cache, this.#checkpoints),
      ),
    )
    this._checkDurability()
    this.#isConnected = true
  }

  isConnected() {
    const self = itself(this)
    return self.#isConnected && !self.#share.isEnded
  }

  // Locks

  /**
   * @param {unknown} key
   * @param {unknown} ttl
   * @param {unknown} [owner]
   * @param {unknown} [options]
   */
  async acquire(key, ttl, owner, options = undefined) {
    // Its `length` stays 3, as that of the documented method.
    const name = args.key('key', key)
    const length = args.leaseTtl('ttl', ttl, this.#defaultLockTTL)
    const wanted = owner == null ? null : args.wellFormed('owner', owner)
    const isReentrant = args.optionalBoolean('options.reentrant', optionsOf(options, 'acquire').reentrant) ?? true
    const share = this.#share
    // The end waits until it is known whether the lock has to be released.
    share.beginTask()
    try {
      const called = now()
      const granted = settled(await share.send((slot) => this.#locks.acquire(slot, name, length, wanted, isReentrant)))
      if (granted === null) {
        if (!isReentrant && wanted !== null && this.#locks.lacksAcquisitions()) throw noAcquisitions()
        return null
      }
      const disposal = { isOwnDrawn: wanted === null, throws: false }
      const defaultTtl = this.#defaultLockTTL
      const end = called + length
      const lease = new Lease(share, this.#locks, name, String(key), granted, end, defaultTtl, disposal)
      // If the application has named the owner, it may have held the lock before, and can release it through another
      // adapter.
      if (wanted !== null || !share.isRefusing) return lockHandle(lease)
      lease.giveBack()
      throw share.refusal()
    } finally {
      share.finishTask()
    }
  }

  /**
   * @param {unknown} key
   * @param {unknown} ttl
   * @param {unknown} owner
   */
  async extend(key, ttl, owner) {
    const name = args.key('key', key)
    const length = args.leaseTtl('ttl', ttl, this.#defaultLockTTL)
    const holder = args.wellFormed('owner', owner)
    return settled(await this.#share.send((slot) => this.#locks.extend(slot, name, length, holder)))
  }

  /**
   * @param {unknown} key
   * @param {unknown} owner
   */
  async release(key, owner) {
    const name = args.key('key', key)
    const holder = args.wellFormed('owner', owner)
    return settled(await this.#share.send((slot) => this.#locks.releaseHeld(slot, name, holder)))
  }

  /** @param {unknown} key */
  async forceRelease(key) {
    const name = args.key('key', key)
    settled(await this.#share.send((slot) => this.#locks.forceRelease(slot, name)))
  }

  /**
   * @param {unknown} key
   * @param {unknown} [options]
   */
  async lock(key, options) {
    const name = args.key('key', key)
    const wanted = wantedBy(options, this.#defaultLockTTL)
    return lockHandle(
      await lockWhenFree(this.#share, this.#locks, { ...wanted, name, key: String(key), permits: null }),
    )
  }

  /**
   * @param {unknown} key
   * @param {unknown} permits
   */
  semaphore(key, permits) {
    const self = itself(this)
    return semaphoreOf(self.#share, self.#permits, self.#defaultLockTTL, key, permits)
  }

  /** @param {unknown} key */
  async holder(key) {
    const name = args.key('key', key)
    return settled(await this.#share.send((slot) => this.#locks.holder(slot, name)))
  }

  // Circuit breaker

  /** @param {unknown} key */
  async getState(key) {
    const name = args.key('key', key)
    return settled(await this.#share.send((slot) => this.#circuits.getState(slot, name)))
  }

  /**
   * @param {unknown} key
   * @param {unknown} state
   */
  async setState(key, state) {
    const name = args.key('key', key)
    const given = args.object('state', state)
    const circuit = args.oneOf('state.state', given.state, STATES)
    const count = args.number('state.failureCount', given.failureCount, {
      integer: true,
      min: 0,
      max: MAX_FAILURE_COUNT,
    })
    const failed = wholeTime('state.lastFailureTime', given.lastFailureTime)
    const succeeded = wholeTime('state.lastSuccessTime', given.lastSuccessTime)
    settled(await this.#share.send((slot) => this.#circuits.setState(slot, name, circuit, count, failed, succeeded)))
  }

  /**
   * @param {unknown} key
   * @param {unknown} maxFailures
   */
  async recordFailure(key, maxFailures) {
    const name = args.key('key', key)
    const limit = maxFailures === undefined ? Infinity : args.number('maxFailures', maxFailures, { min: 0 })
    return settled(await this.#share.send((slot) => this.#circuits.recordFailure(slot, name, limit)))
  }

  /** @param {unknown} key */
  async recordSuccess(key) {
    const name = args.key('key', key)
    settled(await this.#share.send((slot) => this.#circuits.recordSuccess(slot, name)))
  }

  /**
   * @param {unknown} key
   * @param {unknown} resetTimeout
   */
  async tryProbe(key, resetTimeout) {
    const name = args.key('key', key)
    const time = args.positiveTime('resetTimeout', resetTimeout)
    return settled(await this.#share.send((slot) => this.#circuits.tryProbe(slot, name, time)))
  }

  /**
   * @param {unknown} key
   * @param {unknown} callback
   */
  subscribe(key, callback) {
    const name = args.key('key', key)
    const notify = args.callback('callback', callback)
    const self = itself(this)
    const circuits = self.#circuits
    return self.#share.subscribe((state) => notify(state), {
      subscribe: (subscription) => circuits.subscribe(subscription, name),
      unsubscribe: (subscription) => circuits.unsubscribe(subscription),
    })
  }

  /**
   * @param {unknown} key
   * @param {unknown} options
   */
  breaker(key, options) {
    const self = itself(this)
    const share = self.#share
    self.#knownCircuits ??= new KnownCircuits(sharedCircuits(self, share, self.#circuits))
    return new Breaker(self.#knownCircuits, () => share.assertOpen(), key, options)
  }

  // Checkpoints

  /** @param {unknown} checkpoint */
  async save(checkpoint) {
    const fields = fieldsOf('checkpoint', checkpoint)
    settled(await this.#share.send((slot) => this.#checkpoints.save(slot, ...fields)))
  }

  /** @param {unknown} checkpoints */
  async saveMany(checkpoints) {
    const columns = columnsOf(checkpoints)
    settled(await this.#share.send((slot) => this.#checkpoints.saveMany(slot, ...columns)))
  }

  /** @param {unknown} id */
  async load(id) {
    const name = args.key('id', id)
    return settled(await this.#share.send((slot) => this.#checkpoints.load(slot, name)))
  }

  /** @param {unknown} taskId */
  async loadLatest(taskId) {
    const task = args.key('taskId', taskId)
    return settled(await this.#share.send((slot) => this.#checkpoints.loadLatest(slot, task)))
  }

  /**
   * @param {unknown} taskId
   * @param {unknown} [options]
   */
  async list(taskId, options) {
    const task = args.key('taskId', taskId)
    const part = partOf(options)
    const start = (/** @type {number} */ slot) =>
      part === null
        ? this.#checkpoints.list(slot, task)
        : this.#checkpoints.listPart(slot, task, part.limit, part.before, part.newestFirst)
    return settled(await this.#share.send(start))
  }

  /** @param {unknown} [options] */
  async listTasks(options) {
    const { prefix, limit, after } = pageOptions(options, 'listTasks')
    const start = (/** @type {number} */ slot) => this.#checkpoints.tasksPage(slot, prefix, limit, after)
    return settled(await this.#share.send(start)).keys
  }

  /** @param {unknown} [options] */
  iterateTasks(options) {
    const { prefix, pageSize } = iterationOptions(options, 'iterateTasks')
    const self = itself(this)
    const checkpoints = self.#checkpoints
    return iterate(self.#share, TASKS, pageSize, (slot, end) =>
      checkpoints.tasksPage(slot, prefix, pageSize, null, end),
    )
  }

  /**
   * @param {unknown} taskId
   * @param {unknown} keepCount
   */
  async cleanup(taskId, keepCount) {
    const task = args.key('taskId', taskId)
    const keep = args.number('keepCount', keepCount, { integer: true, min: 0 })
    settled(await this.#share.send((slot) => this.#checkpoints.cleanup(slot, task, keep)))
  }

  /** @param {unknown} taskId */
  async deleteAll(taskId) {
    const task = args.key('taskId', taskId)
    settled(await this.#share.send((slot) => this.#checkpoints.deleteAll(slot, task)))
  }
}

provideGroups(PostgresAdapter.prototype)

const noAcquisitions = () =>
  coded(
    new Error(
      'acquire() with reentrant: false needs the column `acquisition` of go_goscope_locks, which the table lacks or this role may ' +
        'not use. Call connect() once as the owner of the table, or run what `npx goscope-postgres schema --missing` prints; ' +
        'sql/role.sql has the rights',
    ),
    'ERR_REENTRANCY_UNAVAILABLE',
  )

/**
 * A time in whole milliseconds, cut as a Date cuts it, so that the stored time is the one that is read back. A Date
 * is accepted.
 *
 * @param {string} name
 * @param {unknown} value
 */
function wholeTime(name, value) {
  const ms = types.isDate(value) ? value.getTime() : Number.NaN
  const time = args.optionalNumber(name, Number.isNaN(ms) ? value : ms, TIME_RANGE)
  return time === null ? null : Math.trunc(time)
}

/**
 * Makes an adapter in the way that go-go-scope's documentation shows.
 *
 * @param {unknown} [pool]
 * @param {unknown} [options]
 */
const createPostgresAdapter = (pool, options) => new PostgresAdapter(pool, options)

module.exports = { PostgresAdapter, createPostgresAdapter }
