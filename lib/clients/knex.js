// @ts-check
'use strict'

const args = require('../arguments.js')
const { cutAtParameters } = require('./parameters.js')

const TRANSACTION =
  'a transaction of Knex: the argument of the function that you pass to knex.transaction(), or what that resolves to'

const BACKSLASH = 'has a backslash before a question mark, and Knex has no way to send that'

/** @param {unknown} transaction */
function fromKnex(transaction) {
  const trx = /** @type {any} */ (transaction)
  if (typeof trx?.raw !== 'function' || trx.isTransaction !== true)
    throw args.wrongType('trx', TRANSACTION, transaction)
  return {
    transaction: trx,
    /** @param {string} text @param {unknown[]} [given] */
    async query(text, given = []) {
      const { parts, values } = cutAtParameters(text, given)
      // The space keeps a question mark of the text apart: two together are a name's place.
      const { rows } = await trx.raw(parts.map(escaped).join(' ?'), values)
      return { rows }
    },
  }
}

/** @param {string} text */
function escaped(text) {
  if (text.includes('\\?')) throw args.invalid('text', BACKSLASH, text)
  return text.replaceAll('?', '\\?')
}

module.exports = { fromKnex }
