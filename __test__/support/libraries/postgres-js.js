// @ts-check
'use strict'

const { fromPostgresJs } = require('goscope-postgres/clients')
const { inSavepoint, inTransaction } = require('./library.js')

/** @type {import('./library.js').Library} */
const postgresJs = {
  name: 'postgres.js',
  specs: ['postgres@3.4.9'],
  async open(load, url) {
    const { default: postgres } = await load('postgres')
    // It renames columns.
    const db = postgres(url, { transform: { column: { from: postgres.toPascal } } })
    /** @param {any} sql @returns {import('./library.js').Within} */
    const within = (sql) => ({
      client: fromPostgresJs(sql),
      execute: async (text) => await sql.unsafe(text),
      nested: (work) => sql.savepoint((/** @type {any} */ nested) => work(within(nested))),
    })
    return {
      transaction: (work, isolation) =>
        db.begin(isolation ? `ISOLATION LEVEL ${isolation}` : '', (/** @type {any} */ sql) => work(within(sql))),
      close: () => db.end(),
      refused: { 'a pool': () => fromPostgresJs(db) },
      isOwnError: (error) => error instanceof postgres.PostgresError,
      sqlstate: (error) => error.code,
    }
  },
}

/** The same, on a connection that the application has taken out of the pool. @type {import('./library.js').Library} */
const reserved = {
  ...postgresJs,
  name: 'a reserved connection of postgres.js',
  async open(load, url) {
    const { default: postgres } = await load('postgres')
    const db = postgres(url)
    return {
      ...(await postgresJs.open(load, url)),
      transaction: async (work, isolation) => {
        const sql = await db.reserve()
        const execute = async (/** @type {string} */ text) => await sql.unsafe(text)
        /** @type {import('./library.js').Within} */
        const within = {
          client: fromPostgresJs(sql),
          execute,
          nested: (nested) => inSavepoint(execute, () => nested(within)),
        }
        try {
          return await inTransaction(execute, () => work(within), isolation)
        } finally {
          sql.release()
        }
      },
      close: () => db.end(),
    }
  },
}

module.exports = { postgresJs, reserved }
