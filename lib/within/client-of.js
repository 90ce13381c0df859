// @ts-check
// A connection of the application, as `within` takes it.
'use strict'

const args = require('../arguments.js')

/** @typedef {(text: string, values: (string | null)[]) => Promise<unknown[]>} RunOnClient resolves to the rows */

const EXPECTED = 'a client with a method query(text, values), such as that of pool.connect()'
const POOL =
  'is a pool, and each of its queries may run on another connection, outside of your transaction: take a client by ' +
  'await pool.connect()'
const NOT_CONNECTED = 'is a client that is not connected: await client.connect() first'
const NO_ROWS = 'is a client whose query() resolved neither to { rows } nor to an array of rows'
const NOT_A_TASK =
  'is a whole database, and each of its queries may run on another connection: pass the object of a transaction (of pg-promise, ' +
  'the `t` of db.tx())'

/**
 * @param {unknown} client
 * @returns {RunOnClient}
 */
function clientOf(client) {
  const given = /** @type {any} */ (client)
  if (typeof given?.query !== 'function') throw args.wrongType('client', EXPECTED, client)
  if (typeof given.totalCount === 'number' && typeof given.connect === 'function') {
    throw args.invalid('client', POOL, client)
  }
  // The database object of pg-promise; that of a task or a transaction has a context.
  if (given.$pool !== undefined && given.ctx === undefined) throw args.invalid('client', NOT_A_TASK, client)
  return async (text, values) => {
    // A client of pg queues queries until it is connected, and that may never be.
    if (given._connected === false && given._connecting === false && !given._ending) {
      throw args.invalid('client', NOT_CONNECTED, client)
    }
    const result = await given.query(text, values)
    const rows = Array.isArray(result) ? result : result?.rows
    if (!Array.isArray(rows)) throw args.invalid('client', NO_ROWS, client)
    return rows
  }
}

module.exports = { clientOf }
