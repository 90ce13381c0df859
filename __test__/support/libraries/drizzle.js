// @ts-check
'use strict'

const { fromDrizzle } = require('goscope-postgres/clients')

const DRIZZLE = 'drizzle-orm@0.45.4'

/**
 * @param {any} tx
 * @param {any} sql
 * @returns {import('./library.js').Within}
 */
const within = (tx, sql) => ({
  client: fromDrizzle(tx, sql),
  execute: async (text) => await tx.execute(sql.raw(text)),
  nested: (work) => tx.transaction((/** @type {any} */ nested) => work(within(nested, sql))),
})

/**
 * @param {any} db
 * @param {any} orm
 * @returns {Omit<import('./library.js').Opened, 'close'>}
 */
const opened = (db, { DrizzleQueryError, sql }) => ({
  transaction: (work, isolationLevel) =>
    db.transaction((/** @type {any} */ tx) => work(within(tx, sql)), isolationLevel && { isolationLevel }),
  refused: {
    'a database': () => fromDrizzle(db, sql),
    'no sql': () => fromDrizzle(/** @type {any} */ ({ execute() {}, rollback() {} }), /** @type {any} */ (undefined)),
  },
  isOwnError: (error) => error instanceof DrizzleQueryError,
  sqlstate: (error) => error.cause?.code,
})

/** @type {import('./library.js').Library} */
const onPg = {
  name: 'Drizzle on pg',
  specs: [DRIZZLE, 'pg@8.23.1'],
  async open(load, url) {
    const { Pool } = await load('pg')
    const pool = new Pool({ connectionString: url })
    const { drizzle } = await load('drizzle-orm/node-postgres')
    return { ...opened(drizzle(pool), await load('drizzle-orm')), close: () => pool.end() }
  },
}

/** @type {import('./library.js').Library} */
const onPostgresJs = {
  name: 'Drizzle on postgres.js',
  specs: [DRIZZLE, 'postgres@3.4.9'],
  async open(load, url) {
    const { default: postgres } = await load('postgres')
    const sql = postgres(url)
    const { drizzle } = await load('drizzle-orm/postgres-js')
    return { ...opened(drizzle(sql), await load('drizzle-orm')), close: () => sql.end() }
  },
}

module.exports = { onPg, onPostgresJs }
