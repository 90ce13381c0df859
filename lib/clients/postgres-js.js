// @ts-check
'use strict'

const args = require('../arguments.js')

const TRANSACTION =
  'a transaction of postgres.js: the argument of the function that you pass to sql.begin() or sql.savepoint(), or what ' +
  'sql.reserve() gives'

/** @param {unknown} transaction */
function fromPostgresJs(transaction) {
  const sql = /** @type {any} */ (transaction)
  // A pool can begin transactions. Each of its queries may run on another connection.
  if (typeof sql?.unsafe !== 'function' || typeof sql.begin === 'function') {
    throw args.wrongType('sql', TRANSACTION, transaction)
  }
  return {
    transaction: sql,
    /** @param {string} text @param {unknown[]} [values] */
    async query(text, values = []) {
      return { rows: [...(await sql.unsafe(text, values))] }
    },
  }
}

module.exports = { fromPostgresJs }
