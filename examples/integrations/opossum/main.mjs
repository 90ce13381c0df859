// Two processes' breakers around one service.

import { once } from 'node:events'
import { PostgresAdapter } from 'goscope-postgres'
import { sharedBreaker } from './shared-breaker.mjs'

let isUp = false
const service = async () => {
  if (!isUp) throw new Error('the service is down')
  return 'ok'
}
const options = { key: 'payments', maxFailures: 3, resetTimeout: 1_000 }
const adapters = [1, 2].map(() => new PostgresAdapter(process.env.DATABASE_URL, { keyPrefix: 'example:' }))
const [one, other] = adapters.map((adapter) => sharedBreaker(service, adapter, options))
await Promise.all(adapters.map((adapter) => adapter.connect()))

// As the socket on which a server listens: subscriptions do not keep a process alive.
const alive = setInterval(() => {}, 1_000)

const both = (/** @type {string} */ event) => Promise.all([one, other].map((breaker) => once(breaker, event)))
const fire = (breaker) => breaker.fire().catch((error) => error.code ?? error.message)

const opened = both('open')
console.log(await fire(one), '-', await fire(other), '-', await fire(one))
const waited = both('halfOpen')
await opened
console.log('the other, too:', await fire(other))

await waited
isUp = true
const closed = both('close')
const results = await Promise.all([fire(one), fire(other)])
console.log('one of them tries:', results.sort().join(', '))
await closed
console.log(await fire(one), await fire(other))

clearInterval(alive)
for (const breaker of [one, other]) breaker.shutdown()
await Promise.all(adapters.map((adapter) => adapter.close()))
