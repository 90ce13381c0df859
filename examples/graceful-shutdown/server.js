// @ts-check
// A server that ends at SIGTERM without losing a request, or leaving a lock behind.
'use strict'

const { createServer } = require('node:http')
const { setTimeout: sleep } = require('node:timers/promises')
const { PostgresAdapter } = require('goscope-postgres')

/** How long the load balancer goes on sending requests after the first check that has failed. */
const DRAIN_MS = Number(process.env.DRAIN_MS ?? 5_000)
/** Hosts kill a process some time after SIGTERM: Kubernetes after 30 s. */
const DEADLINE_MS = 25_000

const adapter = new PostgresAdapter(process.env.DATABASE_URL)
/** By default every interface: the host's checks reach a container by its address, and not by that of loopback. */
const HOST = process.env.HOST
let isEnding = false

const server = createServer(async (request, response) => {
  try {
    if (request.url === '/live') return answer(200, 'live')
    if (request.url === '/ready') return answer(...(await readiness()))
    return answer(200, await book(request.url ?? ''))
  } catch (error) {
    return answer(500, String(error))
  }

  /** @param {number} status @param {string} text */
  function answer(status, text) {
    response.writeHead(status, isEnding ? { connection: 'close' } : {}).end(text)
  }
})

/** @returns {Promise<[status: number, text: string]>} */
async function readiness() {
  if (isEnding) return [503, 'ending']
  const { ready, error } = await adapter.health()
  return ready ? [200, 'ready'] : [503, error?.message ?? 'not ready']
}

/** Work under a lock, such as booking a seat. @param {string} seat */
async function book(seat) {
  const lease = await adapter.lock(seat, { ttl: 30_000 })
  try {
    await sleep(20)
    return String(await adapter.increment(`booked:${seat}`))
  } finally {
    await lease.release()
  }
}

process.once('SIGTERM', async () => {
  setTimeout(() => process.exit(1), DEADLINE_MS).unref()
  // 1. The readiness check fails from now on. Requests are still answered until the load balancer has noticed.
  isEnding = true
  await sleep(DRAIN_MS)
  // 2. No new connections. This waits for the requests under way.
  await new Promise((resolve) => {
    server.close(resolve)
    server.closeIdleConnections()
  })
  // 3. The application's own loops and consumers end here, before what they use.
  // 4. The adapters: calls and work under way end, subscriptions and waits are refused, the connections are closed.
  await adapter.disconnect()
  // 5. Nothing keeps the process alive any more. process.exit() would cut off what is still being written.
})

adapter.connect().then(() =>
  server.listen(Number(process.env.PORT ?? 3000), HOST, () => {
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
    console.log(`listening on ${port}`)
  }),
)
