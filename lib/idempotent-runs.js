// @ts-check
'use strict'

const args = require('./arguments.js')
const { settled } = require('./bridge.js')
const { coded } = require('./errors.js')
const { optionsOf } = require('./options.js')
const { isFailedResult } = require('./failed-result.js')
const { WaitLimit } = require('./wait-limit.js')
const { transactionOf } = require('./within/transaction.js')

/** How long other processes wait for one that has crashed while it worked. */
const CLAIM_TTL_MS = 30_000

/** A look at a result that was just stored takes no longer, but for a server that is away. */
const SHORT_TTL_MS = 60_000

const NO_PLACE =
  'go_goscope_idempotency has no column for fingerprints, or this role may not use it. Call connect() once as the owner ' +
  'of the table, or run sql/schema.sql'

const ENDED =
  'The work has ended the transaction that it was run in, by a COMMIT or ROLLBACK of its own, or the function in ' +
  '`options.transaction` has begun none. The result is not stored. Use savepoints within the work'

const ROLLED_BACK =
  'The function in `options.transaction` has resolved, and the result is not stored: it has rolled back, or committed a ' +
  'transaction in which a query had failed. Let it reject then'

const NO_LONGER_THERE =
  'Another process has stored a result under this idempotency key while this one worked, and it has expired or was deleted ' +
  'since, or `options.transaction` leads to another database than the adapter. The work of this process was rolled back'

/**
 * @typedef {object} Run
 * @property {string} name the key, as native code takes it
 * @property {string} key as the caller knows it
 * @property {(context: import('./within/transaction.js').WorkContext) => unknown} work
 * @property {import('./within/transaction.js').Transact | null} transact runs it in a transaction
 * @property {boolean} isOwnTransaction whether that is begun and ended here, not by a function of the application
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

  #parts

  /**
   * @param {import('./within/parts.js').Parts<{ results: import('../native').Idempotency }, unknown>} parts
   * @param {import('./single-flight.js').SingleFlight} singleFlight
   */
  constructor(parts, singleFlight) {
    this.#parts = parts
    this.#share = parts.share
    this.#results = parts.providers.results
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
    if (run.transact) return await this.#workInTransaction(run, run.transact, signal)
    const { json, outcome } = ended(await run.work({ signal }))
    if (json === undefined) return outcome
    // If this process has lost the claim while it worked, it may come second. Then it returns the result that the
    // first has stored.
    const isFirst = await this.#remember(this.#parts, run, json)
    return (isFirst ? undefined : await this.#find(run)) ?? outcome
  }

  /**
   * The work and its result are committed together, so of several processes that do the work one commits. A second one
   * waits for the row of the result, and finds it taken when the first has committed.
   *
   * @param {Run} run
   * @param {import('./within/transaction.js').Transact} transact
   * @param {AbortSignal} signal
   * @returns {Promise<Outcome>}
   */
  async #workInTransaction(run, transact, signal) {
    /** @type {Outcome | undefined} */
    let failed
    try {
      const outcome = await transact(async (client) => {
        // Before the work, so that a wrong client, or one of another database, is refused before it has an effect.
        const within = this.#parts.within(client)
        const begun = await openTransaction(within)
        const { json, outcome } = ended(await run.work({ client, signal }))
        if (json === undefined) {
          failed = outcome
          throw new RollBack()
        }
        if ((await openTransaction(within)) !== begun) throw coded(new Error(ENDED), 'ERR_TRANSACTION_ENDED')
        if (await this.#remember(within, run, json)) return outcome
        throw new RollBack()
      })
      // A function of the application may have rolled back, and not say so.
      if (run.isOwnTransaction || isShortLived(run.ttl) || (await this.#find(run))) return outcome
      throw coded(new Error(ROLLED_BACK), 'ERR_TRANSACTION_ROLLED_BACK')
    } catch (error) {
      if (failed) return failed
      if (error instanceof RollBack) {
        const found = await this.#find(run)
        if (found) return found
        throw coded(new Error(NO_LONGER_THERE), 'ERR_IDEMPOTENCY_RESULT_GONE')
      }
      // If there is a result, another process has committed the work, and the failure may come of that: a row that its
      // work has inserted already. Or the result is our own, and only the answer to the COMMIT was lost.
      const found = await this.#find(run).catch((failure) => {
        if (failure.code === 'ERR_IDEMPOTENCY_FINGERPRINT_MISMATCH') throw failure
      })
      if (found) return found
      throw error
    }
  }

  /**
   * @param {import('./within/parts.js').Parts<{ results: import('../native').Idempotency }, unknown>} parts
   * @param {Run} run
   * @param {string} json
   * @returns {Promise<boolean>} whether it was stored; it was not if another result came first
   */
  async #remember({ share, providers: { results } }, { name, ttl, fingerprint, claimTtl }, json) {
    return settled(
      await share.send((/** @type {number} */ slot) => results.remember(slot, name, json, ttl, fingerprint, claimTtl)),
    )
  }
}

/**
 * What identifies the transaction that is open on a client.
 *
 * @param {import('./within/parts.js').Parts<{ results: import('../native').Idempotency }, unknown>} within
 * @returns {Promise<string>}
 */
async function openTransaction({ share, providers: { results } }) {
  return settled(await share.send((/** @type {number} */ slot) => results.transaction(slot)))
}

/** Whether a result that was just stored may have expired when it is looked for. @param {number | null} ttl */
const isShortLived = (ttl) => ttl !== null && ttl < SHORT_TTL_MS

/** Thrown to have a transaction rolled back; the caller does not see it. */
class RollBack extends Error {}

/**
 * What the end of work means. A failed Result of go-go-scope is not remembered, so that the work is done again.
 *
 * @param {unknown} result
 * @returns {{ json?: string, outcome: Outcome }}
 */
function ended(result) {
  if (isFailedResult(result)) return { outcome: { result } }
  // JSON has no undefined, and the result of finished work must be remembered.
  const json = args.json('result of work()', result === undefined ? null : result)
  return { json, outcome: { result: JSON.parse(json) } }
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
    transact: given.transaction == null ? null : transactionOf(given.transaction),
    isOwnTransaction: typeof given.transaction !== 'function',
  }
}

module.exports = { IdempotentRuns }
