// @ts-check
// Ours as one of several processes, on keys that all of them use: many cold ones, or eight hot ones.
'use strict'

const { Pool } = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { OPERATIONS, TTL, VALUE, keyName } = require('../operations.js')
const { versions } = require('./ours.js')

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

/** @param {string} url */
async function open(url) {
  // Its connections stay open while other numbers of processes are measured: to open them again would be part of a window.
  const adapter = new PostgresAdapter(new Pool({ connectionString: url, max: 10, idleTimeoutMillis: 0 }))
  await adapter.connect()
  const read = (/** @type {number} */ key) => adapter.get(keyName(key))
  const write = (/** @type {number} */ key) => adapter.set(keyName(key), VALUE, TTL)
  const count = (/** @type {number} */ key) => adapter.recordFailure(keyName(key), 1e9)
  const hold = async (/** @type {number} */ key) => (await adapter.lock(keyName(key), { ttl: TTL })).release()
  return {
    calls: {
      ...{ getCold: read, getHot: read, setCold: write, setHot: write },
      ...{ recordFailureCold: count, recordFailureHot: count, lockCold: hold, lockHot: hold },
    },
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

module.exports = { WANTED, operations, sides: { ours: { open, versions } } }
