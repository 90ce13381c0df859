// @ts-check
// @keyv/postgres, which keeps values as text and leaves their expiry to Keyv in front of it.
'use strict'

const path = require('node:path')
const { pathToFileURL } = require('node:url')
const { fetched } = require('../../scripts/fetched.js')
const { KEYS, TTL, VALUE, keyName } = require('../operations.js')

const SPEC = '@keyv/postgres@2.2.3'

/** @param {string} url */
async function open(url) {
  const entry = path.join(fetched(SPEC), 'dist/index.js')
  const { createKeyv } = await import(pathToFileURL(entry).href)
  const keyv = createKeyv({ uri: url, max: 10 })
  const set = (/** @type {number} */ key) => keyv.set(keyName(key), VALUE, TTL)
  return {
    calls: {
      get: (/** @type {number} */ key) => keyv.get(keyName(key)),
      has: (/** @type {number} */ key) => keyv.has(keyName(key)),
      set,
      delete: async (/** @type {number} */ key) => {
        await keyv.set(`deleted:${keyName(key)}`, VALUE, TTL)
        await keyv.delete(`deleted:${keyName(key)}`)
      },
    },
    fill: () => Promise.all(Array.from({ length: KEYS }, (_, key) => set(key))),
    close: () => keyv.disconnect(),
  }
}

const versions = () => ({ '@keyv/postgres': SPEC.slice(SPEC.lastIndexOf('@') + 1) })

module.exports = { open, versions }
