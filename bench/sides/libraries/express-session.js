// @ts-check
// A session store of express-session: this package's, and connect-pg-simple.
'use strict'

const { promisify } = require('node:util')
const { Pool } = require('pg')
const { sessionStoreOn } = require('../../../lib/integrations/session-store.js')
const { fetched } = require('../../../scripts/fetched.js')
const { KEYS, OPERATIONS, TTL, VALUE, keyName } = require('../../operations.js')
const { requireBeside } = require('./packages.js')

const PEER = 'connect-pg-simple'
const VERSIONS = { 'express-session': '1.19.0', [PEER]: '10.0.0' }
const folder = fetched(`${PEER}@${VERSIONS[PEER]}`, {
  dependencies: { 'express-session': VERSIONS['express-session'] },
})
const session = requireBeside(folder, 'express-session')
const SessionStore = sessionStoreOn(session.Store)

const { get, set, delete: remove } = /** @type {Record<string, any>} */ (OPERATIONS)
const operations = {
  get: { ...get, check: (/** @type {any} */ found) => get.check(found.user) },
  set,
  touch: { ...set, title: 'touch' },
  destroy: { ...remove, title: 'set + destroy' },
}

const SESSION = {
  cookie: { originalMaxAge: TTL, expires: new Date(Date.now() + TTL), httpOnly: true, path: '/' },
  user: VALUE,
}

/**
 * @param {any} store
 * @param {() => unknown} close
 */
function callsOn(store, close) {
  const [get, set, touch, destroy] = ['get', 'set', 'touch', 'destroy'].map((name) =>
    promisify(store[name].bind(store)),
  )
  const write = (/** @type {number} */ key) => set?.(keyName(key), SESSION)
  return {
    calls: {
      get: (/** @type {number} */ key) => get?.(keyName(key)),
      set: write,
      touch: (/** @type {number} */ key) => touch?.(keyName(key), SESSION),
      destroy: async (/** @type {number} */ key) => {
        await set?.(`destroyed:${keyName(key)}`, SESSION)
        await destroy?.(`destroyed:${keyName(key)}`)
      },
    },
    fill: () => Promise.all(Array.from({ length: KEYS }, (_, key) => write(key))),
    close,
  }
}

const sides = {
  ours: {
    open: async (/** @type {string} */ url) => {
      const pool = new Pool({ connectionString: url, max: 10 })
      return callsOn(new SessionStore(pool), () => pool.end())
    },
    versions: () => ({ 'express-session': VERSIONS['express-session'] }),
  },
  [PEER]: {
    open: async (/** @type {string} */ url) => {
      const PgStore = requireBeside(folder, PEER)(session)
      const pool = new Pool({ connectionString: url, max: 10 })
      return callsOn(new PgStore({ pool, createTableIfMissing: true }), () => pool.end())
    },
    versions: () => ({ [PEER]: VERSIONS[PEER] }),
  },
}

module.exports = { peer: PEER, operations, sides }
