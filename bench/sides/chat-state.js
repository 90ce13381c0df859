// @ts-check
// @chat-adapter/state-pg: a cache of text values, and locks by the clock of the process.
'use strict'

const path = require('node:path')
const { pathToFileURL } = require('node:url')
const { fetched } = require('../../scripts/fetched.js')
const { KEYS, TTL, VALUE, keyName } = require('../operations.js')

const SPEC = '@chat-adapter/state-pg@4.41.0'

/** @param {string} url */
async function open(url) {
  const entry = path.join(fetched(SPEC), 'dist/index.js')
  const { createPostgresState } = await import(pathToFileURL(entry).href)
  const logger = { debug() {}, info() {}, warn() {}, error: console.error, child: () => logger }
  // Its own pool has pg's default of ten connections.
  const state = createPostgresState({ url, logger })
  await state.connect()
  const keys = Array.from({ length: KEYS }, (_, key) => keyName(key))
  return {
    calls: {
      get: (/** @type {number} */ key) => state.get(keyName(key)),
      set: (/** @type {number} */ key) => state.set(keyName(key), VALUE, TTL),
      delete: async (/** @type {number} */ key) => {
        await state.set(`deleted:${keyName(key)}`, VALUE, TTL)
        await state.delete(`deleted:${keyName(key)}`)
      },
      lock: async (/** @type {number} */ key) => state.releaseLock(await state.acquireLock(keyName(key), TTL)),
      poll: (/** @type {number} */ key) => state.acquireLock(`busy:${keyName(key)}`, TTL),
    },
    async fill() {
      await Promise.all(keys.map((key) => state.set(key, VALUE, TTL)))
      await Promise.all(keys.map((key) => state.acquireLock(`busy:${key}`, TTL)))
    },
    close: () => state.disconnect(),
  }
}

const versions = () => ({ '@chat-adapter/state-pg': SPEC.slice(SPEC.lastIndexOf('@') + 1) })

module.exports = { open, versions }
