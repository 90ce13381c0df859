// @ts-check
'use strict'

const args = require('./arguments.js')
const { settled } = require('./bridge.js')
const { pause } = require('./clock.js')
const { isUnreachable } = require('./unreachable.js')
const { OutageTolerance } = require('./single-flight.js')
const { optionsOf } = require('./options.js')
const { isRefusal } = require('./pool-share.js')
const { coded } = require('./errors.js')
const { WaitLimit } = require('./wait-limit.js')
const { outsideWork } = require('./work-context.js')

/** How long other processes wait for one that has crashed while it computed. */
const CLAIM_TTL_MS = 10_000

/**
 * How often to retry if a write finds an entry and a read does not. It may have gone in between, but not so often.
 */
const LOOKS = 8

/**
 * @typedef {object} Wanted
 * @property {string} name the entry's key, as native code takes it
 * @property {string} key as the caller knows it
 * @property {(context: { signal: AbortSignal }) => unknown} compute
 * @property {number | null} ttl how long the value is fresh
 * @property {number} staleTtl how much longer it may be given out
 * @property {number} claimTtl
 * @property {boolean} computesAnyway if the database cannot be reached
 * @property {WaitLimit} limit
 *
 * @typedef {{ value: unknown, isStale: boolean }} Found
 *
 * @typedef {object} Computed
 * @property {string} json of which each caller gets an own copy
 * @property {boolean} isStored not if something was written or deleted under the key since the computation began
 * @property {unknown} [loss] why it is not known whether it is stored: the database could not be reached
 */

/**
 * Cache entries that are computed if they are missing: by one process at a time, and there once for all concurrent
 * callers. An entry is stored until it is of no more use, `staleTtl` beyond its `ttl`. In its last `staleTtl` it is
 * stale.
 */
class ComputedEntries {
  #share
  #cache
  #singleFlight
  /** @type {Map<string, { outcome: Promise<Computed>, limit: WaitLimit, tolerance: OutageTolerance }>} with the limit of the caller that began it */
  #computing = new Map()
  /** @type {Set<string>} */
  #refreshing = new Set()
  /** @type {Map<string, Promise<string>>} without the database */
  #computingAnyway = new Map()
  /** @type {WeakSet<object>} errors that are the application's own */
  #fromCompute = new WeakSet()

  /**
   * @param {import('./pool-share.js').PoolShare} share
   * @param {import('../native').Cache} cache
   * @param {import('./single-flight.js').SingleFlight} singleFlight
   */
  constructor(share, cache, singleFlight) {
    this.#share = share
    this.#cache = cache
    this.#singleFlight = singleFlight
  }

  /**
   * @param {unknown} key
   * @param {unknown} compute
   * @param {unknown} options
   * @param {(isHit: boolean) => void} count called for each lookup
   */
  async getOrSet(key, compute, options, count) {
    const { limit: given, ...asked } = wantedBy(key, compute, options)
    this.#singleFlight.assertNotWithin(asked.name, asked.key)
    const limit = new WaitLimit(asked.key, given)
    try {
      limit.throwIfReached()
      return await limit.race(this.#get({ ...asked, limit }, count))
    } finally {
      limit.end()
    }
  }

  /**
   * @param {Wanted} wanted
   * @param {(isHit: boolean) => void} count
   */
  async #get(wanted, count) {
    try {
      return await this.#getFromDatabase(wanted, count)
    } catch (error) {
      if (!wanted.computesAnyway || !isUnreachable(error) || this.#fromCompute.has(/** @type {any} */ (error)))
        throw error
      return JSON.parse(await this.#computedAnyway(wanted))
    }
  }

  /**
   * Without the database: for all concurrent callers in this process. Not stored.
   *
   * @param {Wanted} wanted
   */
  #computedAnyway({ name, limit, compute }) {
    let computing = this.#computingAnyway.get(name)
    if (computing) {
      limit.beforeWaiting()
      return limit.race(computing)
    }
    limit.throwIfReached()
    limit.end()
    // There is no claim that could be lost.
    const { signal } = new AbortController()
    const work = () => this.#jsonOf(compute, signal)
    computing = this.#share
      .during(() => this.#singleFlight.withoutClaim(name, work))
      .finally(() => this.#computingAnyway.delete(name))
    this.#computingAnyway.set(name, computing)
    return computing
  }

  /**
   * @param {Wanted} wanted
   * @param {(isHit: boolean) => void} count
   */
  async #getFromDatabase(wanted, count) {
    const found = await this.#find(wanted)
    count(found !== undefined)
    if (!found) return JSON.parse(await this.#joined(wanted))
    if (found.isStale) this.#refresh(wanted)
    return found.value
  }

  /**
   * @param {Wanted} wanted
   * @returns {Promise<Found | undefined>}
   */
  async #find({ name, staleTtl }) {
    const look = (/** @type {number} */ slot) =>
      staleTtl === 0 ? this.#cache.get(slot, name) : this.#cache.look(slot, name, staleTtl)
    const found = settled(await this.#share.send(look))
    if (found === undefined) return undefined
    return staleTtl === 0 ? { value: found, isStale: false } : { value: found[0], isStale: found[1] }
  }

  /**
   * For all callers in this process that request the value before it is there: one of them computes, or waits for
   * another process.
   *
   * @param {Wanted} wanted
   */
  #computed(wanted) {
    const { name, limit } = wanted
    let computing = this.#computing.get(name)
    if (!computing) {
      const tolerance = new OutageTolerance()
      const work = { ...this.#work(wanted, false), tolerance }
      const outcome = this.#singleFlight.do(work).finally(() => this.#computing.delete(name))
      computing = { outcome, limit, tolerance }
      this.#computing.set(name, computing)
    }
    return computing
  }

  /**
   * As {@link #computed}, for one caller. A caller that joins the computation of another computes by itself, or joins
   * the next,
   * - if the value was not stored: this caller may have come after the write or the delete, and must not get a value
   *   that was computed before it. If the database could not be reached to store it, the value serves all callers
   *   that compute in that case;
   * - if the other is refused because the pool is being ended, and this one is not, as part of work under way;
   * - if the other does not wait any longer.
   *
   * @param {Wanted} wanted
   * @returns {Promise<string>}
   */
  async #joined(wanted) {
    const { name, limit } = wanted
    for (;;) {
      limit.throwIfReached()
      const isFirst = !this.#computing.has(name)
      if (!isFirst) limit.beforeWaiting()
      const computing = this.#computed(wanted)
      // The wait for another caller is not worth a wait for the database: this caller computes by itself.
      if (wanted.computesAnyway) computing.tolerance.end()
      try {
        const { json, isStored, loss } = await limit.race(computing.outcome)
        if (loss && !wanted.computesAnyway) throw loss
        if (isFirst || isStored || loss) return json
        const found = await this.#find(wanted)
        if (found) return JSON.stringify(found.value)
      } catch (error) {
        const isRefused = isRefusal(error) && !this.#share.isRefusing
        if (isFirst || !(isRefused || computing.limit.isReached)) throw error
      }
    }
  }

  /**
   * In the background. A failure there is not reported: the stale value stays until it expires. After that, the next
   * caller computes and gets the failure.
   *
   * @param {Wanted} wanted
   */
  #refresh(wanted) {
    const { name } = wanted
    if (this.#refreshing.has(name)) return
    this.#refreshing.add(name)
    const limit = new WaitLimit(wanted.key, { wait: null, signal: undefined })
    outsideWork(() => this.#singleFlight.tryTo(this.#work({ ...wanted, limit }, true)))
      .catch(() => {})
      .finally(() => this.#refreshing.delete(name))
  }

  /**
   * @param {Wanted} wanted
   * @param {boolean} isRefresh whether a stale value is to be replaced
   * @returns {import('./single-flight.js').Work<Computed>}
   */
  #work(wanted, isRefresh) {
    const { name, key, compute, ttl, staleTtl, claimTtl, limit } = wanted
    const length = ttl === null ? null : ttl + staleTtl
    let version = ''
    const find = async () => {
      const found = await this.#find(wanted)
      return found && { json: JSON.stringify(found.value), isStored: true }
    }
    const begin = async () => {
      const begun = await this.#begin(wanted, isRefresh)
      if ('version' in begun) version = begun.version
      return 'json' in begun ? { json: begun.json, isStored: true } : undefined
    }
    const work = async (/** @type {AbortSignal} */ signal) => {
      try {
        const json = await this.#jsonOf(compute, signal)
        const store = (/** @type {number} */ slot) => this.#cache.storeComputed(slot, name, json, length, version)
        return { json, ...(await this.#stored(store)) }
      } catch (error) {
        // A mark that remains is harmless.
        this.#share.send((slot) => this.#cache.withdraw(slot, name, version)).catch(() => {})
        throw error
      }
    }
    return { name, key, claimTtl, limit, find, begin, work }
  }

  /**
   * @param {Wanted['compute']} compute
   * @param {AbortSignal} signal
   */
  async #jsonOf(compute, signal) {
    try {
      return args.json('result of compute()', await compute({ signal }))
    } catch (error) {
      if (Object(error) === error) this.#fromCompute.add(/** @type {object} */ (error))
      throw error
    }
  }

  /**
   * @param {(slot: number) => void} store
   * @returns {Promise<{ isStored: boolean, loss?: unknown }>}
   */
  async #stored(store) {
    try {
      return { isStored: settled(await this.#share.send(store)) }
    } catch (error) {
      if (!isUnreachable(error)) throw error
      return { isStored: false, loss: error }
    }
  }

  /**
   * The value that exists by now, as JSON, or the version that the computed value may replace.
   *
   * @param {Wanted} wanted
   * @param {boolean} isRefresh
   * @returns {Promise<{ json: string } | { version: string }>}
   */
  async #begin({ name, key, staleTtl }, isRefresh) {
    for (let look = 1; ; look++) {
      const version = settled(await this.#share.send((slot) => this.#cache.beginComputing(slot, name)))
      if (version !== undefined) return { version }
      const found = settled(await this.#share.send((slot) => this.#cache.observe(slot, name, staleTtl)))
      // Gone since: it has expired, or was deleted.
      if (found === undefined) {
        if (look === LOOKS) throw hiddenEntry(key)
        await pause(2 ** look)
        continue
      }
      const [value, isStale, itsVersion] = found
      return isRefresh && isStale ? { version: itsVersion } : { json: JSON.stringify(value) }
    }
  }
}

/** @param {string} key */
function hiddenEntry(key) {
  const message =
    `The entry "${key}" is there for writes, but reads do not find it: they go to a replica, or a row-level policy hides it. ` +
    'Name one endpoint of the primary, or change the policy; `npx goscope-postgres doctor` looks for both'
  return coded(new Error(message), 'ERR_CACHE_ENTRY_HIDDEN')
}

/**
 * @param {unknown} key
 * @param {unknown} compute
 * @param {unknown} options
 */
function wantedBy(key, compute, options) {
  const name = args.key('key', key)
  const callback = args.callback('compute', compute)
  const given = optionsOf(options, 'getOrSet')
  return {
    name,
    key: String(key),
    compute: callback,
    ttl: args.entryTtl(given.ttl, 'options.ttl'),
    staleTtl: args.number('options.staleTtl', given.staleTtl ?? 0, { min: 0, max: Number.MAX_VALUE }),
    claimTtl: args.positiveTime('options.claimTtl', given.claimTtl ?? CLAIM_TTL_MS),
    computesAnyway: args.word('options.onError', given.onError, ['throw', 'compute']) === 'compute',
    limit: args.limit(given),
  }
}

module.exports = { ComputedEntries }
