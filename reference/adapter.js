// @ts-check
'use strict'

const { Cache } = require('./cache.js')
const { Checkpoints } = require('./checkpoints.js')
const { Circuits } = require('./circuits.js')
const { Locks } = require('./locks.js')

/** @typedef {import('pg').Pool} Pool */

// Fault: the checkpoints' table is not made, though the checkpoint methods need it. And CREATE ... IF NOT EXISTS asks
// for the right to create before it looks whether there is anything to do.
const TABLES = `
  CREATE TABLE IF NOT EXISTS go_goscope_locks (key TEXT PRIMARY KEY, owner TEXT NOT NULL, expires_at TIMESTAMP NOT NULL);
  CREATE INDEX IF NOT EXISTS idx_locks_expires ON go_goscope_locks (expires_at);
  CREATE TABLE IF NOT EXISTS go_goscope_circuit (
    key TEXT PRIMARY KEY, state TEXT NOT NULL, failure_count INTEGER NOT NULL DEFAULT 0,
    last_failure_time TIMESTAMP, last_success_time TIMESTAMP, updated_at TIMESTAMP NOT NULL DEFAULT NOW());
  CREATE INDEX IF NOT EXISTS idx_circuit_updated ON go_goscope_circuit (updated_at);
  CREATE TABLE IF NOT EXISTS go_goscope_cache (
    key TEXT PRIMARY KEY, value JSONB NOT NULL, expires_at TIMESTAMP, accessed_at TIMESTAMP DEFAULT NOW());
  CREATE INDEX IF NOT EXISTS idx_cache_expires ON go_goscope_cache (expires_at);`

/** Everything but `keyPrefix` among the options is ignored. Fault: two others are documented. */
class PostgresAdapter {
  #pool
  #locks
  #circuits
  #cache
  #checkpoints

  /**
   * @param {Pool} pool
   * @param {{ keyPrefix?: string }} [options]
   */
  constructor(pool, options = {}) {
    const keyPrefix = options.keyPrefix ?? ''
    this.#pool = pool
    this.#locks = new Locks(pool, `${keyPrefix}lock:`)
    this.#circuits = new Circuits(pool, `${keyPrefix}circuit:`)
    this.#cache = new Cache(pool, keyPrefix)
    // Fault: the prefix is left out of checkpoints, so applications with prefixes of their own share them.
    this.#checkpoints = new Checkpoints(pool)
  }

  async connect() {
    const client = await this.#pool.connect()
    try {
      await client.query(TABLES)
    } finally {
      client.release()
    }
  }

  /** Fault: a second call rejects, since a pool ends once. */
  async disconnect() {
    await this.#pool.end()
  }

  /** Fault: says whether a connection is open just now, and idle ones close. */
  isConnected() {
    return this.#pool.totalCount > 0
  }

  acquire(/** @type {any[]} */ ...[key, ttl, owner]) {
    return this.#locks.acquire(key, ttl, owner)
  }

  extend(/** @type {any[]} */ ...[key, ttl, owner]) {
    return this.#locks.extend(key, ttl, owner)
  }

  forceRelease(/** @type {any} */ key) {
    return this.#locks.forceRelease(key)
  }

  getState(/** @type {any} */ key) {
    return this.#circuits.getState(key)
  }

  setState(/** @type {any} */ key, /** @type {any} */ state) {
    return this.#circuits.setState(key, state)
  }

  recordFailure(/** @type {any} */ key, /** @type {any} */ maxFailures) {
    return this.#circuits.recordFailure(key, maxFailures)
  }

  recordSuccess(/** @type {any} */ key) {
    return this.#circuits.recordSuccess(key)
  }

  get(/** @type {any} */ key) {
    return this.#cache.get(key)
  }

  set(/** @type {any[]} */ ...[key, value, ttl]) {
    return this.#cache.set(key, value, ttl)
  }

  delete(/** @type {any} */ key) {
    return this.#cache.delete(key)
  }

  has(/** @type {any} */ key) {
    return this.#cache.has(key)
  }

  clear() {
    return this.#cache.clear()
  }

  keys(/** @type {any} */ pattern) {
    return this.#cache.keys(pattern)
  }

  save(/** @type {any} */ checkpoint) {
    return this.#checkpoints.save(checkpoint)
  }

  load(/** @type {any} */ id) {
    return this.#checkpoints.load(id)
  }

  loadLatest(/** @type {any} */ taskId) {
    return this.#checkpoints.loadLatest(taskId)
  }

  list(/** @type {any} */ taskId) {
    return this.#checkpoints.list(taskId)
  }

  cleanup(/** @type {any} */ taskId, /** @type {any} */ keepCount) {
    return this.#checkpoints.cleanup(taskId, keepCount)
  }

  deleteAll(/** @type {any} */ taskId) {
    return this.#checkpoints.deleteAll(taskId)
  }
}

module.exports = { PostgresAdapter }
