// @ts-check
// What the tests know of a library that begins transactions. Each has a file here.
'use strict'

const { createRequire } = require('node:module')
const { pathToFileURL } = require('node:url')
const { Consumer } = require('../consumer.js')

/**
 * @typedef {'read committed' | 'repeatable read' | 'serializable'} Isolation
 *
 * @typedef {object} Within an open transaction
 * @property {any} client as `within()` takes it
 * @property {(sql: string) => Promise<unknown>} execute the library's own way to execute SQL
 * @property {<T>(work: (nested: Within) => Promise<T>) => Promise<T>} nested in a savepoint, which is rolled back to if the
 * work rejects
 *
 * @typedef {object} Opened
 * @property {<T>(work: (within: Within) => Promise<T>, isolation?: Isolation) => Promise<T>} transaction
 * @property {() => Promise<unknown>} close
 * @property {Record<string, () => unknown>} refused what makes a client of something that is no transaction
 * @property {(error: any) => boolean} isOwnError
 * @property {(error: any) => string | undefined} sqlstate where the library has the server's code
 *
 * @typedef {object} Library
 * @property {string} name
 * @property {string[]} specs what npm installs
 * @property {(load: Load, url: string) => Promise<Opened>} open
 *
 * @typedef {(name: string) => Promise<any>} Load imports a package that is installed for the test
 */

/**
 * @param {string[]} specs
 * @returns {Promise<{ consumer: Consumer, load: Load }>}
 */
async function install(specs) {
  const consumer = new Consumer()
  await consumer.install([...new Set(specs)])
  const require = createRequire(consumer.path('package.json'))
  const load = async (/** @type {string} */ name) => {
    const module = await import(pathToFileURL(require.resolve(name)).href)
    return module.default && typeof module.default === 'object' ? { ...module.default, ...module } : module
  }
  return { consumer, load }
}

let savepoints = 0

/**
 * For libraries without nested transactions.
 *
 * @template T
 * @param {(sql: string) => Promise<unknown>} execute
 * @param {() => Promise<T>} work
 */
async function inSavepoint(execute, work) {
  const name = `s${++savepoints}`
  await execute(`SAVEPOINT ${name}`)
  try {
    const result = await work()
    await execute(`RELEASE SAVEPOINT ${name}`)
    return result
  } catch (error) {
    await execute(`ROLLBACK TO SAVEPOINT ${name}`)
    throw error
  }
}

/**
 * For connections on which the application itself begins transactions.
 *
 * @template T
 * @param {(sql: string) => Promise<unknown>} execute
 * @param {() => Promise<T>} work
 * @param {Isolation} [isolation]
 */
async function inTransaction(execute, work, isolation) {
  await execute(isolation ? `BEGIN ISOLATION LEVEL ${isolation}` : 'BEGIN')
  try {
    const result = await work()
    await execute('COMMIT')
    return result
  } catch (error) {
    await execute('ROLLBACK')
    throw error
  }
}

module.exports = { inSavepoint, inTransaction, install }
