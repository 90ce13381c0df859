// @ts-check
// pg itself, whose clients need no function of ours.
'use strict'

const { inSavepoint, inTransaction } = require('./library.js')

/**
 * @param {string} name
 * @param {(pool: any, Client: any) => Promise<{ client: any, end: () => unknown }>} connect
 * @returns {import('./library.js').Library}
 */
const byClient = (name, connect) => ({
  name,
  specs: ['pg@8.23.1'],
  async open(load, url) {
    const { Client, DatabaseError, Pool } = await load('pg')
    const pool = new Pool({ connectionString: url })
    const { PostgresAdapter } = require('goscope-postgres')
    return {
      transaction: async (work, isolation) => {
        const { client, end } = await connect(pool, () => new Client({ connectionString: url }))
        const execute = (/** @type {string} */ text) => client.query(text)
        /** @type {import('./library.js').Within} */
        const within = { client, execute, nested: (nested) => inSavepoint(execute, () => nested(within)) }
        try {
          return await inTransaction(execute, () => work(within), isolation)
        } finally {
          await end()
        }
      },
      close: () => pool.end(),
      refused: { nothing: () => new PostgresAdapter(pool).within(/** @type {any} */ (undefined)) },
      isOwnError: (error) => error instanceof DatabaseError,
      sqlstate: (error) => error.code,
    }
  },
})

const pooled = byClient('a pool client of pg', async (pool) => {
  const client = await pool.connect()
  return { client, end: () => client.release() }
})

const single = byClient('a client of pg', async (_, make) => {
  const client = make()
  await client.connect()
  return { client, end: () => client.end() }
})

module.exports = { pooled, single }
