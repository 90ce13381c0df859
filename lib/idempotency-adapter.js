// @ts-check
'use strict'

const native = require('./native.js')
const args = require('./arguments.js')
const { settled } = require('./bridge.js')
const { PoolShare } = require('./pool-share.js')
const { adapterOptions } = require('./options.js')
const { LifeCycle } = require('./life-cycle.js')
const { isFailedResult } = require('./failed-result.js')
const { IdempotentRuns } = require('./idempotent-runs.js')
const { SingleFlight } = require('./single-flight.js')

/** See index.d.ts for what each method promises. */
class PostgresIdempotencyAdapter extends LifeCycle {
  #share
  #results
  #claims
  /** @type {import('./idempotent-runs.js').IdempotentRuns | undefined} */
  #runs

  /**
   * @param {unknown} pool
   * @param {unknown} [options]
   */
  constructor(pool, options) {
    const { keyPrefix, createTables } = adapterOptions(options, 'PostgresIdempotencyAdapter')
    const share = new PoolShare(pool)
    super(share)
    this.#share = share
    this.#results = new native.Idempotency(this.#share.native, keyPrefix, createTables)
    this.#claims = { keyPrefix, namespace: 'run:', createTables }
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
    this.#runs ??= new IdempotentRuns(this.#share, this.#results, new SingleFlight(this.#share, this.#claims))
    return await this.#runs.run(key, work, options)
  }
}

module.exports = { PostgresIdempotencyAdapter }
