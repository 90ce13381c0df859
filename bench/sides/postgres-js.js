// @ts-check
// The single statements that do the same, through postgres.js, which prepares them.
'use strict'

const { fetched } = require('../../scripts/fetched.js')
const { TTL, VALUE, checkpoint, keyName } = require('../operations.js')
const statements = require('../statements.js')

const SPEC = 'postgres@3.4.9'

/** @param {string} url */
async function open(url) {
  const sql = require(fetched(SPEC))(url, { max: 10, onnotice: () => {} })
  const run = (/** @type {string} */ text, /** @type {unknown[]} */ values) =>
    sql.unsafe(text, values, { prepare: true })
  const acquire = async (/** @type {string} */ name, /** @type {string} */ owner) => {
    const rows = await run(statements.ACQUIRE, [name, owner, TTL])
    return rows.length > 0
  }
  return {
    calls: {
      get: async (/** @type {number} */ key) => {
        const [row] = await run(statements.GET, [`cache:${keyName(key)}`])
        return row?.value ?? null
      },
      has: async (/** @type {number} */ key) => {
        const [row] = await run(statements.HAS, [`cache:${keyName(key)}`])
        return row.found
      },
      loadLatest: async (/** @type {number} */ key) => {
        const [row] = await run(statements.LOAD_LATEST, [keyName(key)])
        return row
      },
      set: (/** @type {number} */ key) => run(statements.SET, [`cache:${keyName(key)}`, sql.json(VALUE), TTL]),
      delete: async (/** @type {number} */ key) => {
        const name = `cache:deleted:${keyName(key)}`
        await run(statements.SET, [name, sql.json(VALUE), TTL])
        await run(statements.DELETE, [name])
      },
      increment: async (/** @type {number} */ key) => {
        const [row] = await run(statements.INCREMENT, [`cache:count:${keyName(key)}`, 1])
        return row.value
      },
      save: (/** @type {number} */ key) => {
        const { id, taskId, sequence, timestamp, progress, data } = checkpoint(key)
        return run(statements.SAVE, [id, taskId, sequence, timestamp, progress, sql.json(data)])
      },
      lock: async (/** @type {number} */ key) => {
        const [name, owner] = [`lock:${keyName(key)}`, crypto.randomUUID()]
        if (!(await acquire(name, owner))) throw new Error(`${name} is held`)
        await run(statements.RELEASE, [name, owner])
      },
      recordFailure: async (/** @type {number} */ key) => {
        const [row] = await run(statements.RECORD_FAILURE, [`circuit:${keyName(key)}`, 1e9])
        return row.failure_count
      },
      poll: (/** @type {number} */ key) => acquire(`lock:busy:${keyName(key)}`, crypto.randomUUID()),
    },
    close: () => sql.end(),
  }
}

const versions = () => ({ postgres: SPEC.slice(SPEC.lastIndexOf('@') + 1) })

module.exports = { open, versions }
