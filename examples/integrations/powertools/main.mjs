// Two instances of a Lambda function are invoked with the same order.

import { IdempotencyConfig, makeIdempotent } from '@aws-lambda-powertools/idempotency'
import { PostgresCacheAdapter } from 'goscope-postgres'
import { PostgresPersistenceLayer } from './persistence.mjs'

let charged = 0
let refuse = () => {}
const isRefused = new Promise((resolve) => (refuse = resolve))

const charge = async ({ id }) => {
  charged++
  // It takes as long as the other invocation needs to come.
  await isRefused
  return { id, receipt: `receipt ${charged}` }
}

function makeInstance() {
  const cache = new PostgresCacheAdapter(process.env.DATABASE_URL, { tableName: 'invocations' })
  const config = new IdempotencyConfig({ eventKeyJmesPath: 'id' })
  const persistenceStore = new PostgresPersistenceLayer(cache)
  const handler = makeIdempotent(charge, { persistenceStore, config })
  const context = { getRemainingTimeInMillis: () => 60_000 }
  return { cache, invoke: (order) => handler(order, context) }
}
const [one, other] = [makeInstance(), makeInstance()]

const order = { id: 42 }
const invocations = [one.invoke(order), other.invoke(order)]
for (const invocation of invocations) invocation.catch(refuse)
const [first, second] = await Promise.allSettled(invocations)
const [done, refused] = first.status === 'fulfilled' ? [first, second] : [second, first]
console.log(done.value, refused.reason?.name)
console.log(await other.invoke(order), await one.invoke(order))
console.log('charged:', charged)
await Promise.all([one.cache.close(), other.cache.close()])
