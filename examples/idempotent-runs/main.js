// @ts-check
// Orders arrive more than once, at three processes: each is charged once, though one of them is killed at work, and a key
// that comes again for another amount is refused.
'use strict'

const { fork } = require('node:child_process')
const { on, once } = require('node:events')
const http = require('node:http')
const { setTimeout: sleep } = require('node:timers/promises')
const { PostgresIdempotencyAdapter } = require('goscope-postgres')
const { startPostgres } = require('goscope-postgres/embedded')

/** The payment service, which knows nothing of idempotency: every request is a charge. */
class PaymentService {
  charges = 0
  declines = false

  async start() {
    this.server = http.createServer(async (_, response) => {
      const number = ++this.charges
      await sleep(300)
      response.writeHead(this.declines ? 402 : 200).end(`receipt ${number}`)
    })
    this.server.listen(0, '127.0.0.1')
    await once(this.server, 'listening')
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.server.address())
    return `http://127.0.0.1:${port}/`
  }
}

/**
 * @param {string} service
 * @param {AbortSignal} signal
 */
async function charge(service, signal) {
  const response = await fetch(service, { method: 'POST', signal })
  if (!response.ok) throw new Error(`declined (${response.status})`)
  return await response.text()
}

/**
 * One process of the shop: charges the order that it is given.
 *
 * @param {string} url
 * @param {string} service
 * @param {boolean} hangs whether it gets stuck on its way to the payment service
 */
function shop(url, service, hangs) {
  const results = new PostgresIdempotencyAdapter(url)
  process.on('message', async (/** @type {{ order: string, amount: number }} */ { order, amount }) => {
    const work = async (/** @type {{ signal: AbortSignal }} */ { signal }) => {
      process.send?.('charging')
      if (hangs) await new Promise(() => {})
      return await charge(service, signal)
    }
    try {
      // The claim of a process that crashes lasts for a second: that is how long the others wait.
      const options = { ttl: 86_400_000, claimTtl: 1_000, fingerprint: `EUR ${amount}` }
      process.send?.(await results.run(order, work, options))
    } catch (error) {
      process.send?.(/** @type {any} */ (error).code ?? /** @type {any} */ (error).message)
    }
  })
}

class Shop {
  /**
   * @param {string} url
   * @param {string} service
   * @param {string[]} more
   */
  constructor(url, service, ...more) {
    this.process = fork(__filename, [url, service, ...more])
  }

  /**
   * @param {string} order
   * @param {number} amount
   * @returns {Promise<string>}
   */
  async order(order, amount) {
    this.process.send({ order, amount })
    for await (const [said] of /** @type {any} */ (events(this.process))) if (said !== 'charging') return said
    return 'killed'
  }

  /** Kills it as soon as it charges. */
  async killAtWork() {
    for await (const [said] of /** @type {any} */ (events(this.process))) if (said === 'charging') break
    this.process.kill('SIGKILL')
  }

  stop() {
    this.process.kill()
  }
}

/** @param {import('node:child_process').ChildProcess} process */
async function* events(process) {
  const ended = new AbortController()
  process.once('exit', () => ended.abort())
  try {
    yield* on(process, 'message', { signal: ended.signal })
  } catch (error) {
    if (!ended.signal.aborted) throw error
  }
}

async function main() {
  const server = await startPostgres()
  const service = new PaymentService()
  const address = await service.start()
  const results = new PostgresIdempotencyAdapter(server.url)
  await results.connect()
  const shops = [1, 2, 3].map(() => new Shop(server.url, address))
  try {
    const receipts = await Promise.all(shops.map((each) => each.order('order 1', 20)))
    console.log('three processes have the same order:', receipts.join(', '))
    console.log('charges:', service.charges)

    console.log('the same key for another amount:', await shops[0].order('order 1', 30))

    const killed = new Shop(server.url, address, 'hangs')
    const end = killed.killAtWork()
    killed.process.send({ order: 'order 2', amount: 5 })
    await end
    const second = await Promise.all(shops.map((each) => each.order('order 2', 5)))
    console.log('one was killed before it could charge; another did:', second.join(', '))
    console.log('charges:', service.charges)

    service.declines = true
    console.log('a failure is reported,', await shops[0].order('order 3', 7))
    service.declines = false
    console.log('and not remembered:', await shops[1].order('order 3', 7))
  } finally {
    for (const each of shops) each.stop()
    service.server?.close()
    await server.stop()
  }
}

const [url, service, hangs] = process.argv.slice(2)
if (url) shop(url, service, hangs !== undefined)
else main()
