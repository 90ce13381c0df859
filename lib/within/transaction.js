// @ts-check
// The option `transaction`: work runs in a transaction of the application's own pool.
'use strict'

const args = require('../arguments.js')
const { coded } = require('../errors.js')
const { holdClientOf } = require('../work-context.js')

/**
 * @typedef {{ signal: AbortSignal, client?: any }} WorkContext
 *
 * @typedef {<T>(work: (client: any) => Promise<T>) => Promise<T>} Transact begins a transaction, and commits it when the
 * work resolves. It rolls back if the work rejects, and then rejects with the same error.
 */

const EXPECTED = 'a pool with connect(), or a function that runs its argument in a transaction and passes it a client'

const NO_CLIENTS = 'is a pool whose connect() did not resolve to a client with query() and release()'

const ROLLED_BACK =
  'The server has rolled the transaction back at its COMMIT, and nothing of the work is stored: a query of the work had ' +
  'failed after work() was done. Let work() await each of its queries'

/**
 * @param {unknown} transaction
 * @returns {Transact}
 */
function transactionOf(transaction) {
  const given = /** @type {any} */ (transaction)
  if (typeof given === 'function') return (work) => transactBy(given, work)
  // A client of pg has `connect`, too.
  const isClient = given?.totalCount === undefined && typeof given?.escapeIdentifier === 'function'
  if (typeof given?.connect !== 'function' || isClient)
    throw args.wrongType('options.transaction', EXPECTED, transaction)
  return (work) => transactOn(given, work)
}

/**
 * By the application's own function, such as Drizzle's `transaction`. It must give back what the work resolves to.
 *
 * @template T
 * @param {(work: (client: any) => Promise<T>) => Promise<unknown>} transact
 * @param {(client: any) => Promise<T>} work
 * @returns {Promise<T>}
 */
async function transactBy(transact, work) {
  /** @type {{ value: T } | undefined} */
  let done
  await transact(async (client) => {
    done = undefined
    const value = await work(client)
    done = { value }
    return value
  })
  if (done) return done.value
  throw args.invalid('options.transaction', 'is a function that did not run its argument', transact)
}

/**
 * @template T
 * @param {any} pool
 * @param {(client: any) => Promise<T>} work
 * @returns {Promise<T>}
 */
async function transactOn(pool, work) {
  assertHasRoom(pool)
  const client = await pool.connect()
  if (typeof client?.query !== 'function' || typeof client.release !== 'function') {
    throw args.invalid('options.transaction', NO_CLIENTS, pool)
  }
  // A pool does not listen to a client that is checked out. If the connection breaks between two queries, its event
  // `error` would end the process. The next query reports it.
  client.on?.('error', ignore)
  /** @type {unknown} an error with which the session must not be used again */
  let broken
  try {
    await client.query('BEGIN')
    const result = await work(client)
    const { command } = (await client.query('COMMIT')) ?? {}
    // A transaction in which a query has failed ends so, and COMMIT reports no error.
    if (command === 'ROLLBACK') throw coded(new Error(ROLLED_BACK), 'ERR_TRANSACTION_ROLLED_BACK')
    return result
  } catch (error) {
    await client.query('ROLLBACK').catch((/** @type {unknown} */ failure) => {
      broken = failure
    })
    throw error
  } finally {
    client.release(broken)
    client.removeListener?.('error', ignore)
  }
}

/**
 * Throws if the work that this work is part of holds all clients of the pool: it would wait for itself.
 *
 * @param {any} pool
 */
function assertHasRoom(pool) {
  const held = holdClientOf(pool)
  if (held === 0 || held < (pool.options?.max ?? Infinity)) return
  const message =
    `The pool in \`options.transaction\` has ${held} clients, and the runs that this one is part of hold all of ` +
    'them: it would wait for itself without end. Give the pool a larger max, or use the outer client'
  throw coded(new Error(message), 'ERR_WORK_WAITS_FOR_ITSELF')
}

function ignore() {}

module.exports = { transactionOf }
