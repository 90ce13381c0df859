// @ts-check
'use strict'

const args = require('../arguments.js')

const TRANSACTION =
  'a transaction of Kysely: the argument of the function that you pass to db.transaction().execute(), or what ' +
  'db.startTransaction().execute() gives'

/** @param {unknown} transaction */
function fromKysely(transaction) {
  const trx = /** @type {any} */ (transaction)
  if (typeof trx?.executeQuery !== 'function' || trx.isTransaction !== true) {
    throw args.wrongType('trx', TRANSACTION, transaction)
  }
  // Plugins rename columns, and read values that look like JSON.
  const plain = trx.withoutPlugins()
  return {
    transaction: trx,
    /** @param {string} text @param {unknown[]} [values] */
    async query(text, values = []) {
      const { rows } = await plain.executeQuery(compiled(text, values))
      return { rows }
    },
  }
}

/**
 * As Kysely's `CompiledQuery.raw` makes it.
 *
 * @param {string} text
 * @param {unknown[]} values
 */
const compiled = (text, values) => ({
  sql: text,
  parameters: values,
  query: { kind: 'RawNode', sqlFragments: [text], parameters: [] },
  queryId: { queryId: 'goscope-postgres' },
})

module.exports = { fromKysely }
