// @ts-check
'use strict'

const args = require('../arguments.js')

const TRANSACTION =
  'a transaction of Prisma Client: the argument of the function that you pass to prisma.$transaction()'

/** @param {unknown} transaction */
function fromPrisma(transaction) {
  const tx = /** @type {any} */ (transaction)
  // A whole client can connect. Each of its queries may run on another connection.
  if (typeof tx?.$queryRawUnsafe !== 'function' || typeof tx.$connect === 'function') {
    throw args.wrongType('tx', TRANSACTION, transaction)
  }
  return {
    transaction: tx,
    /** @param {string} text @param {unknown[]} [values] */
    async query(text, values = []) {
      return { rows: await tx.$queryRawUnsafe(text, ...values) }
    },
  }
}

module.exports = { fromPrisma }
