// @ts-check
'use strict'

const { types } = require('node:util')
const native = require('./native.js')
const args = require('./arguments.js')
const { settled } = require('./bridge.js')
const { Connection } = require('./connection.js')
const { servedBy } = require('./tracing.js')

/** See index.d.ts for what each method promises. */
class PostgresIdempotencyAdapter {
  #connection
  #results

  /**
   * @param {unknown} pool
   * @param {unknown} [options]
   */
  constructor(pool, options) {
    const { keyPrefix, createTables } = args.adapterOptions(options)
    this.#connection = Connection.of(pool)
    this.#results = new native.Idempotency(this.#connection.native, keyPrefix, createTables)
    servedBy(this, this.#connection)
  }

  async connect() {
    settled(
      await this.#connection.send((slot) =>
        this.#connection.native.connect(slot, null, null, null, null, this.#results),
      ),
    )
  }

  /** @param {unknown} key */
  async get(key) {
    const name = args.key('key', key)
    return settled(await this.#connection.send((slot) => this.#results.get(slot, name))) ?? null
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
      settled(await this.#connection.send((slot) => this.#results.delete(slot, name)))
      return
    }
    const json = args.json('value', value)
    settled(await this.#connection.send((slot) => this.#results.set(slot, name, json, length)))
  }

  /** @param {unknown} key */
  async delete(key) {
    const name = args.key('key', key)
    settled(await this.#connection.send((slot) => this.#results.delete(slot, name)))
  }

  /** See index.d.ts; of all adapters that share the connection. */
  metrics() {
    return this.#connection.metrics()
  }
}

/**
 * go-go-scope stores a task's whole Result tuple. `[Error, undefined]` would come back through JSON as `[{}, null]`,
 * and a failure would be replayed as a success.
 *
 * @param {unknown} value
 */
const isFailedResult = (value) =>
  Array.isArray(value) && value.length === 2 && value[1] === undefined && isError(value[0])

/**
 * An error of any realm, or a DOMException, which is no native error.
 *
 * @param {unknown} value
 */
const isError = (value) => types.isNativeError(value) || value instanceof Error

module.exports = { PostgresIdempotencyAdapter }
