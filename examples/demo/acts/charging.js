// @ts-check
'use strict'

const crypto = require('node:crypto')
const { setTimeout: delay } = require('node:timers/promises')
const { isDeepStrictEqual } = require('node:util')
const { PostgresIdempotencyAdapter } = require('goscope-postgres')

const PROCESSES = 8
const ORDERS = 50
const HANDFUL = 5
const PROVIDER_MS = 10
const LOCK_TTL = 60_000
const RECEIPT_TTL = 24 * 60 * 60 * 1000

const title = 'Orders that arrive many times, charged once'

/** @typedef {{ id: string, cents: number }} Order */
/** @typedef {{ charge: string, order: string, cents: number, by: number }} Receipt */

/** @param {import('../stage.js').Stage} stage */
async function run(stage) {
  // No unique constraint: a second charge would go through, and show.
  await stage.pool.query('CREATE TABLE demo_charges (charge TEXT, order_id TEXT, cents INTEGER, process INTEGER)')
  /** @type {Order[]} */
  const orders = Array.from({ length: ORDERS }, (_, at) => ({ id: `order-${1001 + at}`, cents: 500 + 37 * at }))
  stage.note(`${PROCESSES} processes receive the same ${ORDERS} orders at the same time`)

  const cashiers = await stage.crew.start('charging', PROCESSES)
  const rows = cashiers.map(({ name }) => ({ name, done: 0, total: ORDERS, text: '' }))
  /** @type {{ receipts: Receipt[], replays: number, waits: number }[]} */
  const outcomes = await stage.watch('requests', rows, () =>
    Promise.all(
      cashiers.map((cashier, at) =>
        cashier.ask('chargeAll', { orders }, (progress) => Object.assign(rows[at] ?? {}, progress)),
      ),
    ),
  )
  await Promise.all(cashiers.map((cashier) => cashier.dismiss()))

  const { rows: charges } = await stage.pool.query(
    'SELECT charge, order_id AS order, cents, process AS by FROM demo_charges ORDER BY order_id',
  )
  const replays = outcomes.reduce((sum, outcome) => sum + outcome.replays, 0)
  const waits = outcomes.reduce((sum, outcome) => sum + outcome.waits, 0)
  const chargers = new Set(charges.map(({ by }) => by)).size
  const agreeing = outcomes.filter(({ receipts }) => isDeepStrictEqual(receipts, charges)).length
  stage.note(`${PROCESSES * ORDERS} requests: ${charges.length} charges by ${chargers} processes, ${replays} replays`)
  stage.note(`${waits} of them found another process at the same order and waited for it`)
  stage.claim(
    'every order was charged, and none twice',
    charges.length === ORDERS && orders.every(({ id }, at) => charges[at]?.order === id),
    `${charges.length} charges for ${ORDERS} orders`,
  )
  stage.claim(
    'every process has the same receipts',
    agreeing === PROCESSES && replays === (PROCESSES - 1) * ORDERS,
    `${agreeing} of ${PROCESSES} processes`,
  )
  const { rows: locks } = await stage.pool.query('SELECT key FROM go_goscope_locks')
  stage.claim('no lock is left behind', locks.length === 0, `${locks.length} locks`)
}

// What the processes do

/**
 * @param {import('../worker.js').Work} work
 * @param {{ orders: Order[] }} order
 */
async function chargeAll({ pool, adapter, progress }, { orders }) {
  const results = new PostgresIdempotencyAdapter(pool)
  await results.connect()
  const receipts = []
  let replays = 0
  let waits = 0
  for (const order of shuffled(orders)) {
    const { receipt, isReplay, hasWaited } = await once(adapter, results, order, () => charge(pool, order))
    if (isReplay) replays++
    if (hasWaited) waits++
    receipts.push(receipt)
    progress({ done: receipts.length, text: `${receipts.length - replays} charged, ${replays} replayed` })
  }
  return { receipts: receipts.sort((a, b) => a.order.localeCompare(b.order)), replays, waits }
}

/**
 * Each process takes the orders a little differently: the first at the first order would otherwise stay ahead, and
 * charge alone.
 *
 * @param {Order[]} orders
 */
function shuffled(orders) {
  const places = new Map(orders.map((order, at) => [order, Math.floor(at / HANDFUL) + Math.random()]))
  return [...orders].sort((a, b) => Number(places.get(a)) - Number(places.get(b)))
}

/**
 * The result that is stored for an order, or that of `work`, which runs under the order's lock.
 *
 * @param {import('goscope-postgres').PostgresAdapter} adapter
 * @param {PostgresIdempotencyAdapter} results
 * @param {Order} order
 * @param {() => Promise<Receipt>} work
 * @returns {Promise<{ receipt: Receipt, isReplay: boolean, hasWaited: boolean }>}
 */
async function once(adapter, results, order, work) {
  const key = `charge:${order.id}`
  let lock = await adapter.acquire(key, LOCK_TTL)
  const hasWaited = lock === null
  for (; !lock; lock = await adapter.acquire(key, LOCK_TTL)) await delay(Math.random() * 10)
  try {
    // Under the lock: a look before it could be overtaken by another process's charge.
    const stored = await results.get(key)
    if (stored) return { receipt: /** @type {any} */ (stored.value)[1], isReplay: true, hasWaited }
    const receipt = await work()
    await results.set(key, [undefined, receipt], RECEIPT_TTL)
    return { receipt, isReplay: false, hasWaited }
  } finally {
    await lock.release()
  }
}

/**
 * @param {import('pg').Pool} pool
 * @param {Order} order
 * @returns {Promise<Receipt>}
 */
async function charge(pool, { id, cents }) {
  await delay(PROVIDER_MS)
  const receipt = { charge: crypto.randomUUID(), order: id, cents, by: process.pid }
  await pool.query('INSERT INTO demo_charges VALUES ($1, $2, $3, $4)', [receipt.charge, id, cents, receipt.by])
  return receipt
}

module.exports = { title, run, commands: { chargeAll } }
