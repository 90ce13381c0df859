// @ts-check
// What is measured, and with which keys: 1,000 keys of 100-byte values, eight hot breakers.
'use strict'

const KEYS = 1000
const HOT_KEYS = 8
const CHECKPOINTS_PER_TASK = 10
const TTL = 60_000

/** 100 bytes of JSON. */
const VALUE = { name: 'benchmark', items: [1, 2, 3, 4, 5, 6, 7, 8], text: 'x'.repeat(44) }

/**
 * @typedef {object} Operation
 * @property {string} title
 * @property {boolean} writes
 * @property {(worker: Worker) => number} key which of the keys the next call is about
 *
 * @typedef {{ index: number, inFlight: number, calls: number }} Worker one of those that keep a call in flight
 */

const anyKey = () => Math.floor(Math.random() * KEYS)

/**
 * Keys that no other worker uses at the time: two holders of one lock would measure refusals.
 *
 * @param {Worker} worker
 */
function ownKey({ index, inFlight, calls }) {
  const keys = Math.max(1, Math.floor(KEYS / inFlight))
  return index + inFlight * (calls % keys)
}

/** @type {Record<string, Operation>} */
const OPERATIONS = {
  get: { title: 'get', writes: false, key: anyKey },
  loadLatest: { title: 'loadLatest', writes: false, key: anyKey },
  set: { title: 'set', writes: true, key: anyKey },
  save: { title: 'save', writes: true, key: anyKey },
  lock: { title: 'acquire + release', writes: true, key: ownKey },
  recordFailure: { title: 'recordFailure', writes: true, key: () => Math.floor(Math.random() * HOT_KEYS) },
  poll: { title: 'acquire of a busy lock', writes: false, key: anyKey },
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

module.exports = { OPERATIONS, KEYS, TTL, VALUE, keyName, checkpoint, checkpoints }
