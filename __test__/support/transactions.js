// @ts-check
// Transactions of an application, and adapters within them.
'use strict'

/** @typedef {Awaited<ReturnType<typeof import('./database.js').useDatabase>>} Database */

/**
 * A transaction on a client of the pool. The client's statements are in `sent`. If a test fails, the drop of the database
 * releases the client.
 *
 * @template {{ within(client: any): any }} A
 * @param {import('pg').Pool} pool
 * @param {A} adapter
 * @param {string} [mode]
 */
async function begin(pool, adapter, mode = 'ISOLATION LEVEL READ COMMITTED') {
  const client = await pool.connect()
  /** @type {string[]} */
  const sent = []
  /** What `within` takes, and all that is asked of it. */
  const recorded = {
    query(/** @type {string} */ text, /** @type {any[]} */ values) {
      sent.push(text)
      return client.query(text, values)
    },
  }
  await client.query(`BEGIN ${mode}`)
  const end = async (/** @type {string} */ how) => {
    await client.query(how)
    client.release()
  }
  return {
    client,
    sent,
    within: /** @type {ReturnType<A['within']>} */ (adapter.within(recorded)),
    query: async (/** @type {string} */ text, /** @type {any[]} */ values) => (await client.query(text, values)).rows,
    commit: () => end('COMMIT'),
    rollback: () => end('ROLLBACK'),
  }
}

/** The rejection of a promise that must not be fulfilled. @param {Promise<unknown>} promise @returns {Promise<any>} */
const failure = (promise) =>
  promise.then(
    () => {
      throw new Error('it did not reject')
    },
    (error) => error,
  )

module.exports = { begin, failure }
