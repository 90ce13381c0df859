// @ts-check
// Ours and pg's as one of several processes, on keys that all of them use: many cold ones, or eight hot ones.
'use strict'

const { Pool } = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { OPERATIONS, TTL, VALUE, keyName } = require('../operations.js')
const { PostgresAdapter: ReferenceAdapter } = require('../../reference/index.js')
const { versions } = require('./ours.js')
const reference = require('./reference.js')

/** Locks enough that few of the callers of all processes meet at one. */
const MANY_LOCKS = 100_000

/** That every waiting caller wants. */
const WANTED = 'wanted'

const { get, set, recordFailure } = /** @type {Record<string, import('../operations.js').Operation>} */ (OPERATIONS)
const [cold, hot] = [get.key, recordFailure.key]
const lock = { ...set, check: (/** @type {unknown} */ lease) => lease === undefined }

const operations = {
  getCold: { ...get, title: 'get, 1,000 keys', key: cold },
  getHot: { ...get, title: 'get, 8 keys', key: hot },
  setCold: { ...set, title: 'set, 1,000 keys', key: cold },
  setHot: { ...set, title: 'set, 8 keys', key: hot },
  recordFailureCold: { ...recordFailure, title: 'recordFailure, 1,000 keys', key: cold },
  recordFailureHot: { ...recordFailure, title: 'recordFailure, 8 keys', key: hot },
  lockCold: {
    ...lock,
    title: `lock + release, ${MANY_LOCKS.toLocaleString('en-US')} keys`,
    key: () => Math.floor(Math.random() * MANY_LOCKS),
  },
  lockHot: { ...lock, title: 'lock + release, 8 keys', key: hot },
}

// Its connections stay open while other numbers of processes are measured: to open them again would be part of a window.
const poolOf = (/** @type {string} */ url) => new Pool({ connectionString: url, max: 10, idleTimeoutMillis: 0 })

/** @param {any} adapter of either side */
function callsOf(adapter) {
  const read = (/** @type {number} */ key) => adapter.get(keyName(key))
  const write = (/** @type {number} */ key) => adapter.set(keyName(key), VALUE, TTL)
  const count = (/** @type {number} */ key) => adapter.recordFailure(keyName(key), 1e9)
  return {
    ...{ getCold: read, getHot: read, setCold: write, setHot: write },
    ...{ recordFailureCold: count, recordFailureHot: count },
  }
}

/** @param {string} url */
async function open(url) {
  const adapter = new PostgresAdapter(poolOf(url))
  await adapter.connect()
  const hold = async (/** @type {number} */ key) => (await adapter.lock(keyName(key), { ttl: TTL })).release()
  return {
    calls: { ...callsOf(adapter), lockCold: hold, lockHot: hold },
    statements: () => adapter.metrics().statements.count,
    connections: () => adapter.metrics().pool.open + adapter.metrics().listening,
    /** Waits for the one lock, releases it at once, and says when it was granted, in ms since the epoch. */
    async waitForWanted() {
      const lease = await adapter.lock(WANTED, { ttl: TTL })
      const granted = performance.timeOrigin + performance.now()
      await lease.release()
      return granted
    },
    close: () => adapter.disconnect(),
  }
}

/** No lock of it waits. @param {string} url */
async function openReference(url) {
  const pool = poolOf(url)
  const adapter = new ReferenceAdapter(pool)
  await adapter.connect()
  return {
    calls: callsOf(adapter),
    // It does not count them.
    statements: () => 0,
    connections: () => pool.totalCount,
    close: () => adapter.disconnect(),
  }
}

const sides = { ours: { open, versions }, reference: { open: openReference, versions: reference.versions } }

module.exports = { WANTED, operations, sides }
