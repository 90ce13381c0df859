// @ts-check
'use strict'

const { fromTypeORM } = require('goscope-postgres/clients')

/** @type {import('./library.js').Library} */
const typeorm = {
  name: 'TypeORM',
  specs: ['typeorm@1.1.1', 'reflect-metadata@0.2.2', 'pg@8.23.1'],
  async open(load, url) {
    const { DataSource, QueryFailedError } = await load('typeorm')
    const dataSource = await new DataSource({ type: 'postgres', url }).initialize()
    /** @param {any} manager @returns {import('./library.js').Within} */
    const within = (manager) => ({
      client: fromTypeORM(manager),
      execute: (text) => manager.query(text),
      nested: (work) => manager.transaction((/** @type {any} */ nested) => work(within(nested))),
    })
    return {
      transaction: (work, isolation = 'read committed') =>
        dataSource.transaction(isolation.toUpperCase(), (/** @type {any} */ manager) => work(within(manager))),
      close: () => dataSource.destroy(),
      refused: {
        'a data source': () => fromTypeORM(dataSource),
        'the manager of a data source': () => fromTypeORM(dataSource.manager),
      },
      isOwnError: (error) => error instanceof QueryFailedError,
      sqlstate: (error) => error.code,
    }
  },
}

/** The same, by a query runner. @type {import('./library.js').Library} */
const queryRunner = {
  ...typeorm,
  name: 'a query runner of TypeORM',
  async open(load, url) {
    const opened = await typeorm.open(load, url)
    return {
      ...opened,
      transaction: (work, isolation) =>
        opened.transaction(({ client, ...within }) => {
          const runner = client.transaction.queryRunner
          return work({ ...within, client: fromTypeORM(runner) })
        }, isolation),
    }
  },
}

module.exports = { queryRunner, typeorm }
