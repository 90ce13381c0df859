// @ts-check
// Known differences in how the two are connected, and in what a program sees of them; see scenarios.js.
'use strict'

const net = require('node:net')
const pg = require('pg')

/** @type {Record<string, import('./scenarios.js').Scenario>} by the id of the difference */
const connections = {
  'own-connections': {
    async run(driver) {
      const pool = driver.newPool()
      const adapter = driver.adapter({}, pool)
      await adapter.connect()
      return pool.totalCount
    },
    theirs: 1,
    ours: 0,
  },

  'type-parsers': {
    async run(driver) {
      const getTypeParser = (/** @type {any} */ oid, /** @type {any} */ format) =>
        oid === pg.types.builtins.JSONB ? () => 'parsed otherwise' : pg.types.getTypeParser(oid, format)
      const adapter = driver.adapter({}, driver.newPool({ types: { getTypeParser } }))
      await adapter.connect()
      await adapter.set('key', { a: 1 })
      return await adapter.get('key')
    },
    theirs: 'parsed otherwise',
    ours: { a: 1 },
  },

  'hook-client': {
    async run(driver) {
      const seen = new Set()
      const pool = driver.newPool()
      pool.on('connect', async (client) => {
        seen.add((await client.query('SELECT 1 AS n')).rows[0].n)
      })
      const adapter = driver.adapter({}, pool)
      await adapter.connect()
      await adapter.get('key')
      return [...seen]
    },
    theirs: [1],
    ours: ['1'],
  },

  'refused-options': {
    async run(driver) {
      const pool = driver.newPool(/** @type {any} */ ({ stream: () => new net.Socket() }))
      return await driver
        .adapter({}, pool)
        .connect()
        .then(
          () => 'done',
          (/** @type {any} */ error) => error.code,
        )
    },
    theirs: 'done',
    ours: 'ERR_INVALID_ARG_VALUE',
  },

  'lock-provider': {
    async run(driver) {
      const adapter = driver.adapter()
      await adapter.connect()
      const provider = adapter.lock
      return typeof provider === 'undefined' ? 'no provider' : (await provider.acquire('key', 60_000)) && 'taken'
    },
    theirs: 'no provider',
    ours: 'taken',
  },
}

module.exports = { connections }
