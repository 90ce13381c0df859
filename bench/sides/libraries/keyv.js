// @ts-check
// A store of Keyv: this package's, and @keyv/postgres, which leaves the expiry of its entries to Keyv in front of it.
'use strict'

const { Pool } = require('pg')
const { fetched } = require('../../../scripts/fetched.js')
const { KEYS, OPERATIONS, TTL, VALUE, keyName } = require('../../operations.js')
const { requireBeside } = require('./packages.js')

const PEER = '@keyv/postgres'
const folder = fetched(`${PEER}@2.2.3`, { dependencies: { keyv: '5.6.0' } })
const { Keyv } = requireBeside(folder, 'keyv')

const OF_MANY = 10

/** It has no target: Keyv itself takes about 5 µs for a `get`, which is more than the store. */
const THROUGH_KEYV = 'get, through Keyv'

/** What Keyv gives a store. */
const STORED = JSON.stringify({ value: VALUE, expires: Date.now() + TTL })

const { get, has, set, delete: remove } = /** @type {Record<string, any>} */ (OPERATIONS)
const isStored = (/** @type {unknown} */ value) => value === STORED
const operations = {
  get: { ...get, check: isStored },
  getMany: {
    ...{ title: `getMany of ${OF_MANY}`, writes: false, key: get.key },
    check: (/** @type {unknown[]} */ values) => values.length === OF_MANY && values.every(isStored),
  },
  has,
  set,
  delete: { ...remove, check: (/** @type {unknown} */ isDeleted) => isDeleted === true },
  // Keyv's own work comes on top of it, the same for both.
  throughKeyv: { ...get, title: THROUGH_KEYV },
}

/** @param {any} store */
function callsOn(store) {
  const keyv = new Keyv({ store })
  keyv.on('error', (/** @type {Error} */ error) => {
    throw error
  })
  const write = (/** @type {number} */ key) => store.set(keyName(key), STORED, TTL)
  const manyFrom = (/** @type {number} */ key) =>
    Array.from({ length: OF_MANY }, (_, index) => keyName((key + index) % KEYS))
  return {
    calls: {
      get: (/** @type {number} */ key) => store.get(keyName(key)),
      getMany: (/** @type {number} */ key) => store.getMany(manyFrom(key)),
      has: (/** @type {number} */ key) => store.has(keyName(key)),
      set: write,
      delete: async (/** @type {number} */ key) => {
        await store.set(`deleted:${keyName(key)}`, STORED, TTL)
        return await store.delete(`deleted:${keyName(key)}`)
      },
      throughKeyv: (/** @type {number} */ key) => keyv.get(keyName(key)),
    },
    async fill() {
      const keys = Array.from({ length: KEYS }, (_, key) => key)
      await Promise.all(keys.map(write))
      // Keyv puts its namespace before the keys.
      await Promise.all(keys.map((key) => keyv.set(keyName(key), VALUE, TTL)))
    },
    close: () => keyv.disconnect(),
  }
}

const sides = {
  ours: {
    open: async (/** @type {string} */ url) => {
      const { KeyvStore } = require('goscope-postgres/keyv')
      return callsOn(new KeyvStore(new Pool({ connectionString: url, max: 10 })))
    },
    versions: () => ({ keyv: '5.6.0' }),
  },
  [PEER]: {
    open: async (/** @type {string} */ url) => {
      const { KeyvPostgres } = requireBeside(folder, PEER)
      return callsOn(new KeyvPostgres({ uri: url, max: 10 }))
    },
    versions: () => ({ [PEER]: '2.2.3' }),
  },
}

module.exports = { peer: PEER, operations, sides, withoutTarget: ['throughKeyv'] }
