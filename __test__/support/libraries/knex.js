// @ts-check
'use strict'

const { fromKnex } = require('goscope-postgres/clients')

/** @type {import('./library.js').Library} */
const knex = {
  name: 'Knex',
  specs: ['knex@3.3.0', 'pg@8.23.1'],
  async open(load, url) {
    const { default: Knex } = await load('knex')
    const { DatabaseError } = await load('pg')
    const db = Knex({ client: 'pg', connection: url })
    /** @param {any} trx @returns {import('./library.js').Within} */
    const within = (trx) => ({
      client: fromKnex(trx),
      execute: async (text) => await trx.raw(text.replaceAll('?', '\\?')),
      nested: (work) => trx.transaction((/** @type {any} */ nested) => work(within(nested))),
    })
    return {
      transaction: (work, isolationLevel) =>
        db.transaction((/** @type {any} */ trx) => work(within(trx)), isolationLevel && { isolationLevel }),
      close: () => db.destroy(),
      refused: { 'Knex itself': () => fromKnex(db) },
      isOwnError: (error) => error instanceof DatabaseError,
      sqlstate: (error) => error.code,
    }
  },
}

module.exports = { knex }
