// @ts-check
'use strict'

const args = require('../arguments.js')
const { cutAtParameters } = require('./parameters.js')

const TRANSACTION = 'a transaction of Drizzle: the argument of the function that you pass to db.transaction()'
const SQL = "the function sql of Drizzle: import { sql } from 'drizzle-orm'"

/**
 * @param {unknown} transaction
 * @param {unknown} sql
 */
function fromDrizzle(transaction, sql) {
  const [tx, chunks] = /** @type {[any, any]} */ ([transaction, sql])
  // A database has no rollback(). Each of its queries may run on another connection.
  if (typeof tx?.execute !== 'function' || typeof tx.rollback !== 'function') {
    throw args.wrongType('tx', TRANSACTION, transaction)
  }
  if (typeof chunks?.raw !== 'function' || typeof chunks.param !== 'function' || typeof chunks.join !== 'function') {
    throw args.wrongType('sql', SQL, sql)
  }
  return {
    transaction: tx,
    /** @param {string} text @param {unknown[]} [given] */
    async query(text, given = []) {
      const { parts, values } = cutAtParameters(text, given)
      const all = parts.flatMap((part, at) => [
        chunks.raw(part),
        ...(at < values.length ? [chunks.param(values[at])] : []),
      ])
      const result = await tx.execute(chunks.join(all))
      // postgres.js gives the rows themselves, other drivers an object that has them.
      return { rows: Array.isArray(result) ? result : result.rows }
    },
  }
}

module.exports = { fromDrizzle }
