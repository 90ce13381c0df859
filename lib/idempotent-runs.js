// @ts-check
'use strict'

const args = require('./arguments.js')
const { settled } = require('./bridge.js')
const { coded } = require('./errors.js')
const { optionsOf } = require('./options.js')
const { isFailedResult } = require('./failed-result.js')
const { WaitLimit } = require('./wait-limit.js')

/** How long other processes wait for one that has crashed while it worked. */
const CLAIM_TTL_MS = 30_000

const NO_PLACE =
  'go_goscope_idempotency has no column for fingerprints, or this role may not use it. Call connect() once as the owner ' +
  'of the table, or run sql/schema.sql'

/**
 * @typedef {object} Run
 * @property {string} name the key, as native code takes it
 * @property {string} key as the caller knows it
 * @property {(context: { signal: AbortSignal }) => unknown} work
 * @property {number | null} ttl
 * @property {number} claimTtl
 * @property {string | null} fingerprint
 * @property {WaitLimit} limit
 *
 * @typedef {{ result: unknown }} Outcome
 */

/** Runs work once under a key, and remembers its result. */
class IdempotentRuns {
  #share
  #results
  #singleFlight
  /** @type {Map<string, Promise<void>>} what this process works at, or waits for another's; each ends, and never fails */
  #running = new Map()

  /**
   * @param {import('./pool-share.js').PoolShare} share
   * @param {import('../native').Idempotency} results
   * @param {import('./single-flight.js').SingleFlight} singleFlight
   */
  constructor(share, results, singleFlight) {
    this.#share = share
    this.#results = results
    this.#singleFlight = singleFlight
  }

  /**
   * @param {unknown} key
   * @param {unknown} work
   * @param {unknown} options
   */
  async run(key, work, options) {
    const { limit: given, ...wanted } = runOf(key, work, options)
    this.#share.assertOpen()
    this.#singleFlight.assertNotWithin(wanted.name, wanted.key)
    const limit = new WaitLimit(wanted.key, given)
    try {
      limit.throwIfReached()
      // The end of the pool waits for it. So it gets the result of work that continues meanwhile.
      return await limit.race(this.#share.during(() => this.#runOnce({ ...wanted, limit })))
    } finally {
      limit.end()
    }
  }

  /** @param {Run} run */
  async #runOnce(run) {
    let found = await this.#find(run)
    // In this process the callers run one after the other, so that only one of them requests the claim.
    for (let ahead = this.#running.get(run.name); ahead && !found; ahead = this.#running.get(run.name)) {
      run.limit.beforeWaiting()
      await run.limit.race(ahead)
      found = await this.#find(run)
    }
    run.limit.throwIfReached()
    return (found ?? (await this.#first(run))).result
  }

  /** @param {Run} run */
  #first(run) {
    const { name, key, claimTtl, limit } = run
    const find = () => this.#find(run)
    const begin = () => this.#find(run, true)
    const work = (/** @type {AbortSignal} */ signal) => this.#work(run, signal)
    const outcome = this.#singleFlight.do({ name, key, claimTtl, limit, find, begin, work })
    const isOver = () => {
      this.#running.delete(name)
    }
    this.#running.set(name, outcome.then(isOver, isOver))
    return outcome
  }

  /**
   * @param {Run} run
   * @param {boolean} [beforeWork] whether the work is done if there is no result
   * @returns {Promise<Outcome | undefined>}
   */
  async #find({ name, key, fingerprint }, beforeWork = false) {
    const found = settled(await this.#share.sendDuringTask((slot) => this.#results.recall(slot, name, beforeWork)))
    if (fingerprint !== null && !this.#results.keepsFingerprints()) {
      throw coded(new Error(NO_PLACE), 'ERR_FINGERPRINT_UNAVAILABLE')
    }
    if (found === undefined) return undefined
    // A result without a fingerprint was stored by set(), or by an application that does not know of fingerprints.
    if (fingerprint !== null && found.fingerprint !== undefined && found.fingerprint !== fingerprint) {
      const message = `The idempotency key "${key}" has been used with another fingerprint: a key belongs to one request`
      throw coded(new Error(message), 'ERR_IDEMPOTENCY_FINGERPRINT_MISMATCH')
    }
    return { result: found.value }
  }

  /**
   * @param {Run} run
   * @param {AbortSignal} signal
   * @returns {Promise<Outcome>}
   */
  async #work(run, signal) {
    const result = await run.work({ signal })
    if (isFailedResult(result)) return { result }
    // JSON has no undefined, and the result of finished work must be remembered.
    const json = args.json('result of work()', result === undefined ? null : result)
    const { name, ttl, fingerprint, claimTtl } = run
    const isFirst = settled(
      await this.#share.send((slot) => this.#results.remember(slot, name, json, ttl, fingerprint, claimTtl)),
    )
    // If this process has lost the claim while it worked, it may come second. Then it returns the result that the
    // first has stored.
    return (isFirst ? undefined : await this.#find(run)) ?? { result: JSON.parse(json) }
  }
}

/**
 * @param {unknown} key
 * @param {unknown} work
 * @param {unknown} options
 */
function runOf(key, work, options) {
  const name = args.key('key', key)
  const callback = args.callback('work', work)
  const given = optionsOf(options, 'run')
  return {
    name,
    key: String(key),
    work: callback,
    ttl: args.entryTtl(given.ttl, 'options.ttl'),
    claimTtl: args.positiveTime('options.claimTtl', given.claimTtl ?? CLAIM_TTL_MS),
    fingerprint: given.fingerprint == null ? null : args.wellFormed('options.fingerprint', given.fingerprint),
    limit: args.limit(given),
  }
}

module.exports = { IdempotentRuns }
