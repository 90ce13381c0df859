// @ts-check
// A shop calls a payment service from three processes, here three pools. When the service fails, one of them opens the
// circuit breaker, and all are notified; when its time has come, one of them tries, and all are notified that it works again.
'use strict'

const { once } = require('node:events')
const { setTimeout: sleep } = require('node:timers/promises')
const { PostgresAdapter } = require('goscope-postgres')
const { startPostgres } = require('goscope-postgres/embedded')

const RESET_TIMEOUT = 3_000

/** The service, for as long as it is down. */
let isDown = true
const pay = async () => {
  if (isDown) throw new Error('503 Service Unavailable')
}

/** One process of the shop. */
class Till extends EventTarget {
  state = 'closed'
  failureCount = 0

  /** @param {string} url */
  constructor(url) {
    super()
    this.circuits = new PostgresAdapter(url)
    this.circuits.subscribe('payments', ({ state, failureCount }) => {
      this.state = state
      this.failureCount = failureCount
      this.dispatchEvent(new Event(state))
    })
  }

  async charge() {
    // No question to the server where the state is known.
    if (this.state !== 'closed' && !(await this.circuits.tryProbe('payments', RESET_TIMEOUT))) return 'not tried'
    try {
      await pay()
      await this.circuits.recordSuccess('payments')
      return 'paid'
    } catch {
      await this.circuits.recordFailure('payments', 3)
      return 'failed'
    }
  }
}

async function main() {
  const server = await startPostgres()
  const tills = [1, 2, 3].map(() => new Till(server.url))
  const all = (/** @type {string} */ state) => Promise.all(tills.map((till) => once(till, state)))
  const charge = () => Promise.all(tills.map((till) => till.charge()))
  // In the place of the web server that a till would be: subscriptions alone do not keep a process alive.
  const work = setInterval(() => {}, 1_000)
  try {
    for (const till of tills) await till.circuits.connect()

    const opened = all('open')
    console.log('the service is down; each till tries:', (await charge()).join(', '))
    await opened
    console.log('all have heard that it is open, after failures:', tills.map((till) => till.failureCount).join(', '))
    console.log('so each till waits:', (await charge()).join(', '))

    await sleep(RESET_TIMEOUT + 500)
    isDown = false
    const closed = all('closed')
    console.log('its time has come; one may try:', (await charge()).sort().join(', '))
    await closed
    console.log('all have heard that it is closed:', (await charge()).join(', '))
  } finally {
    clearInterval(work)
    for (const till of tills) await till.circuits.disconnect()
    await server.stop()
  }
}

main()
