// @ts-check
// What is measured, and with which keys: 1,000 keys of 100-byte values, eight hot breakers and counters.
'use strict'

const { isDeepStrictEqual } = require('node:util')

const KEYS = 1000
const HOT_KEYS = 8
const CHECKPOINTS_PER_TASK = 10

/** Longer than a run: what expires meanwhile would be another work. */
const TTL = 24 * 3600_000

/** Who holds the busy locks. */
const HOLDER = 'another process'

/** 100 bytes of JSON. */
const VALUE = { name: 'benchmark', items: [1, 2, 3, 4, 5, 6, 7, 8], text: 'x'.repeat(44) }

/**
 * @typedef {object} Operation
 * @property {string} title
 * @property {boolean} writes
 * @property {(worker: Worker) => number} key which of the keys the next call is about
 * @property {(result: any) => boolean} check whether a call has done its work
 *
 * @typedef {{ index: number, inFlight: number, calls: number }} Worker one of those that keep a call in flight
 */

const anyKey = () => Math.floor(Math.random() * KEYS)
const hotKey = () => Math.floor(Math.random() * HOT_KEYS)

/**
 * Keys that no other worker uses at the time: two holders of one lock would measure refusals.
 *
 * @param {Worker} worker
 */
function ownKey({ index, inFlight, calls }) {
  const keys = Math.max(1, Math.floor(KEYS / inFlight))
  return index + inFlight * (calls % keys)
}

const anything = () => true

/** @type {Record<string, Operation>} */
const OPERATIONS = {
  get: { title: 'get', writes: false, key: anyKey, check: (value) => isDeepStrictEqual(value, VALUE) },
  has: { title: 'has', writes: false, key: anyKey, check: (found) => found === true },
  loadLatest: {
    title: 'loadLatest',
    writes: false,
    key: anyKey,
    check: (saved) => Number(saved.sequence) >= CHECKPOINTS_PER_TASK - 1 && isDeepStrictEqual(saved.data, VALUE),
  },
  set: { title: 'set', writes: true, key: anyKey, check: anything },
  // A delete alone would soon find nothing.
  delete: { title: 'set + delete', writes: true, key: ownKey, check: anything },
  increment: { title: 'increment', writes: true, key: hotKey, check: (sum) => Number(sum) > 0 },
  save: { title: 'save', writes: true, key: anyKey, check: anything },
  lock: { title: 'acquire + release', writes: true, key: ownKey, check: anything },
  recordFailure: {
    title: 'recordFailure',
    writes: true,
    key: hotKey,
    check: (count) => count > 0,
  },
  poll: { title: 'acquire of a busy lock', writes: false, key: anyKey, check: (handle) => !handle },
}

/** What is measured with more and more rows: something of each table. */
const ROWS_OPERATIONS = {
  ...{ get: OPERATIONS.get, set: OPERATIONS.set, lock: OPERATIONS.lock, loadLatest: OPERATIONS.loadLatest },
  ...{ save: OPERATIONS.save, recordFailure: OPERATIONS.recordFailure },
  recall: { title: 'idempotency get', writes: false, key: anyKey, check: (/** @type {any} */ found) => found !== null },
  remember: { title: 'idempotency set', writes: true, key: anyKey, check: anything },
}

/** What each of the further parts measures. */
const OF_PARTS = {
  openLoop: ['get', 'set', 'lock', 'recordFailure', 'loadLatest'],
  environments: ['get', 'set', 'lock'],
  network: ['get', 'set', 'lock'],
  limits: ['get', 'set'],
  loadLimits: ['get', 'set', 'lock', 'recordFailure', 'loadLatest'],
  processLimits: ['getCold', 'getHot', 'setHot', 'recordFailureHot', 'lockHot'],
  processes: [
    ...['getCold', 'getHot', 'setCold', 'setHot'],
    ...['recordFailureCold', 'recordFailureHot', 'lockCold', 'lockHot'],
  ],
}

/** @param {number} key */
const keyName = (key) => `key:${key}`

/** @param {number} key */
const checkpoint = (key) => {
  const sequence = Math.floor(Math.random() * CHECKPOINTS_PER_TASK)
  return checkpointOf(key, sequence)
}

/**
 * @param {number} key
 * @param {number} sequence
 */
const checkpointOf = (key, sequence) => ({
  id: `${keyName(key)}:${sequence}`,
  taskId: keyName(key),
  sequence,
  timestamp: 1_700_000_000_000,
  progress: 50,
  data: VALUE,
})

/** Every checkpoint that there is to load. */
function* checkpoints() {
  for (let key = 0; key < KEYS; key++) {
    for (let sequence = 0; sequence < CHECKPOINTS_PER_TASK; sequence++) yield checkpointOf(key, sequence)
  }
}

module.exports = {
  OF_PARTS,
  ROWS_OPERATIONS,
  OPERATIONS,
  KEYS,
  HOT_KEYS,
  CHECKPOINTS_PER_TASK,
  TTL,
  HOLDER,
  VALUE,
  keyName,
  checkpoint,
  checkpointOf,
  checkpoints,
}
