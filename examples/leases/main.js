// @ts-check
// Two workers book into one ledger, which a lock protects. They wait for each other; the lease of the one that is at work is
// renewed; and one that was away for too long, and does not know it, cannot book.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { Pool } = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { startPostgres } = require('goscope-postgres/embedded')

class Worker {
  /**
   * @param {string} name
   * @param {string} url
   */
  constructor(name, url) {
    this.name = name
    this.pool = new Pool({ connectionString: url })
    // A pool's end does not wait for its idle connections, and the server that stops may be faster.
    this.pool.on('error', () => {})
    this.locks = new PostgresAdapter(this.pool, { keyPrefix: 'bank:' })
  }

  /**
   * Books under a lease: in one transaction with the check that it is still the newest.
   *
   * @param {import('goscope-postgres').Lease} lease
   * @param {number} amount
   */
  async book(lease, amount) {
    const client = await this.pool.connect()
    try {
      await client.query('BEGIN')
      await client.query('SELECT go_goscope_check_fencing_token($1, $2, $3)', [lease.key, lease.fencingToken, 'bank:'])
      await client.query('INSERT INTO ledger (amount, worker) VALUES ($1, $2)', [amount, this.name])
      await client.query('COMMIT')
      console.log(`${this.name} has booked ${amount}`)
    } catch (error) {
      await client.query('ROLLBACK')
      const { code, message } = /** @type {import('pg').DatabaseError} */ (error)
      console.log(`${this.name} could not book ${amount}: ${code}, ${message.replace(/\d+$/, '…')}`)
    } finally {
      client.release()
    }
  }
}

async function main() {
  const server = await startPostgres()
  const [ada, bob] = [new Worker('Ada', server.url), new Worker('Bob', server.url)]
  try {
    await ada.locks.connect()
    await ada.pool.query('CREATE TABLE ledger (id SERIAL, amount INTEGER, worker TEXT)')

    // Bob waits until Ada has released the lock. With `await using` that needs no line of its own.
    const adas = await ada.locks.lock('ledger', { ttl: 5_000, owner: 'Ada' })
    await bob.locks.lock('ledger', { ttl: 5_000, wait: 500 }).catch((error) => console.log(`Bob: ${error.message}`))
    const waiting = bob.locks.lock('ledger', { ttl: 1_000, owner: 'Bob' })
    await ada.book(adas, 100)
    await adas.release()

    // Bob takes longer than his lease is long. It is renewed meanwhile.
    const bobs = await waiting
    const before = Date.now()
    while (Date.now() < before + 2_500); // not even the event loop is needed for that
    const holder = await ada.locks.holder('ledger')
    console.log(`after two and a half times its length, the lease is ${holder?.owner}'s`)
    await bob.book(bobs, 200)
    await bobs.release()

    // Ada is away for longer than her lease, which is not renewed. Bob goes on. When she is back, she is too late.
    const stale = await ada.locks.lock('ledger', { ttl: 200, owner: 'Ada', renew: false })
    const lost = new Promise((resolve) => stale.signal.addEventListener('abort', resolve, { once: true }))
    await Promise.all([lost, sleep(250)])
    console.log(`Ada's signal: ${stale.signal.reason.code}`)
    const next = await bob.locks.lock('ledger', { ttl: 5_000, owner: 'Bob' })
    console.log(`Bob's token is greater than Ada's: ${next.fencingToken > stale.fencingToken}`)
    await ada.book(stale, 300)
    await bob.book(next, 400)
    await next.release()

    const { rows } = await ada.pool.query(
      "SELECT string_agg(amount || ' by ' || worker, ', ' ORDER BY id) AS all FROM ledger",
    )
    console.log(`the ledger: ${rows[0].all}`)
  } finally {
    await Promise.all([ada.locks.disconnect(), bob.locks.disconnect()])
    await server.stop()
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
