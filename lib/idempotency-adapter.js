// @ts-check
'use strict'

const native = require('./native.js')
const args = require('./arguments.js')
const { settled } = require('./bridge.js')
const { itself } = require('./itself.js')
const { PoolShare } = require('./pool-share.js')
const { adapterOptions } = require('./options.js')
const { LifeCycle } = require('./life-cycle.js')
const { isFailedResult } = require('./failed-result.js')
const { IdempotentRuns } = require('./idempotent-runs.js')
const { SingleFlight } = require('./single-flight.js')
const { Parts } = require('./within/parts.js')
const { refuseWithin } = require('./within/refusals.js')

/** See index.d.ts for what each method promises. */
class PostgresIdempotencyAdapter extends LifeCycle {
  #parts
  #share
  #results
  /** @type {import('./idempotent-runs.js').IdempotentRuns | undefined} */
  #runs

  /**
   * @param {unknown} pool
   * @param {unknown} [options]
   */
  constructor(pool, options) {
    const parts = pool instanceof Parts ? pool : partsOf(pool, options)
    super(parts.share)
    this.#parts = parts
    this.#share = parts.share
    this.#results = parts.providers.results
    if (parts.isWithin) refuseWithin(this)
  }

  /** @param {unknown} client */
  within(client) {
    return new PostgresIdempotencyAdapter(itself(this).#parts.within(client))
  }

  async connect() {
    settled(await this.#share.send((slot) => this.#share.native.connect(slot, null, null, null, null, this.#results)))
  }

  /** @param {unknown} key */
  async get(key) {
    const name = args.key('key', key)
    return settled(await this.#share.send((slot) => this.#results.get(slot, name))) ?? null
  }

  /**
   * @param {unknown} key
   * @param {unknown} value
   * @param {unknown} [ttl]
   */
  async set(key, value, ttl) {
    const name = args.key('key', key)
    const length = args.entryTtl(ttl)
    if (isFailedResult(value)) {
      settled(await this.#share.send((slot) => this.#results.delete(slot, name)))
      return
    }
    const json = args.json('value', value)
    settled(await this.#share.send((slot) => this.#results.set(slot, name, json, length)))
  }

  /** @param {unknown} key */
  async delete(key) {
    const name = args.key('key', key)
    settled(await this.#share.send((slot) => this.#results.delete(slot, name)))
  }

  /**
   * @param {unknown} key
   * @param {unknown} work
   * @param {unknown} [options]
   */
  async run(key, work, options) {
    this.#runs ??= new IdempotentRuns(this.#parts, new SingleFlight(this.#share, this.#parts.settings))
    return await this.#runs.run(key, work, options)
  }
}

/**
 * @param {unknown} pool
 * @param {unknown} options
 */
function partsOf(pool, options) {
  const { keyPrefix, createTables } = adapterOptions(options, 'PostgresIdempotencyAdapter')
  const share = new PoolShare(pool)
  const results = new native.Idempotency(share.native, keyPrefix, createTables)
  return new Parts(share, { results }, { keyPrefix, namespace: 'run:', createTables })
}

module.exports = { PostgresIdempotencyAdapter }
