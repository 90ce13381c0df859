// @ts-check
'use strict'

const args = require('../arguments.js')

const TRANSACTION =
  'a query runner of TypeORM, or the EntityManager of a transaction: the argument of the function that you pass to ' +
  'dataSource.transaction()'

/** @param {unknown} transaction */
function fromTypeORM(transaction) {
  const given = /** @type {any} */ (transaction)
  // A data source and its own manager have no query runner. Each of their queries may run on another connection.
  const runner = typeof given?.startTransaction === 'function' ? given : given?.queryRunner
  if (typeof runner?.query !== 'function') throw args.wrongType('transaction', TRANSACTION, transaction)
  return {
    transaction: given,
    /** @param {string} text @param {unknown[]} [values] */
    async query(text, values = []) {
      // As an object: what it gives otherwise depends on the statement.
      const { records } = await runner.query(text, values, true)
      return { rows: records }
    },
  }
}

module.exports = { fromTypeORM }
