// @ts-check
'use strict'

const { fromKysely } = require('goscope-postgres/clients')
const { inSavepoint } = require('./library.js')

/** @type {import('./library.js').Library} */
const kysely = {
  name: 'Kysely',
  // 0.29 is for Node 22 and later, and this may be run by 20.
  specs: ['kysely@0.28.19', 'pg@8.23.1'],
  async open(load, url) {
    const { CamelCasePlugin, CompiledQuery, Kysely, ParseJSONResultsPlugin, PostgresDialect } = await load('kysely')
    const { DatabaseError, Pool } = await load('pg')
    // Plugins that change columns and values.
    const plugins = [new CamelCasePlugin(), new ParseJSONResultsPlugin(), renaming]
    const pool = new Pool({ connectionString: url })
    const db = new Kysely({ dialect: new PostgresDialect({ pool }), plugins })
    /** @param {any} trx @returns {import('./library.js').Within} */
    const within = (trx) => {
      const execute = (/** @type {string} */ text) => trx.executeQuery(CompiledQuery.raw(text))
      const itself = { client: fromKysely(trx), execute, nested }
      /** @param {(nested: import('./library.js').Within) => Promise<any>} work */
      async function nested(work) {
        return await inSavepoint(execute, () => work(itself))
      }
      return itself
    }
    return {
      transaction: async (work, isolation) => {
        const transaction = isolation ? db.transaction().setIsolationLevel(isolation) : db.transaction()
        return await transaction.execute((/** @type {any} */ trx) => work(within(trx)))
      },
      close: () => db.destroy(),
      refused: { 'a database': () => fromKysely(db) },
      isOwnError: (error) => error instanceof DatabaseError,
      sqlstate: (error) => error.code,
    }
  },
}

/** The same, with transactions that the application itself ends. @type {import('./library.js').Library} */
const controlled = {
  ...kysely,
  name: 'a controlled transaction of Kysely',
  async open(load, url) {
    const { CompiledQuery, Kysely, PostgresDialect } = await load('kysely')
    const { Pool } = await load('pg')
    const db = new Kysely({ dialect: new PostgresDialect({ pool: new Pool({ connectionString: url }) }) })
    /** @param {any} trx @returns {import('./library.js').Within} */
    const within = (trx) => ({
      client: fromKysely(trx),
      execute: (text) => trx.executeQuery(CompiledQuery.raw(text)),
      nested: async (work) => {
        const nested = await trx.savepoint('nested').execute()
        try {
          return await work(within(nested))
        } catch (error) {
          await nested.rollbackToSavepoint('nested').execute()
          throw error
        }
      },
    })
    return {
      ...(await kysely.open(load, url)),
      transaction: async (work, isolation = 'read committed') => {
        const trx = await db.startTransaction().setIsolationLevel(isolation).execute()
        try {
          const result = await work(within(trx))
          await trx.commit().execute()
          return result
        } catch (error) {
          await trx.rollback().execute()
          throw error
        }
      },
      close: () => db.destroy(),
    }
  },
}

const renaming = {
  transformQuery: (/** @type {any} */ { node }) => node,
  transformResult: async (/** @type {any} */ { result }) => ({
    ...result,
    rows: result.rows.map((/** @type {object} */ row) =>
      Object.fromEntries(Object.entries(row).map(([name, value]) => [name.toUpperCase(), [value]])),
    ),
  }),
}

module.exports = { controlled, kysely }
