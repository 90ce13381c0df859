// Charges a list of orders; killed or failed, it goes on where it was.
import { charge, type Order } from './billing.js'
import { openStores, type Stores, withLock } from './stores.js'

const ORDERS: Order[] = [
  { id: 'o1', product: 'tea' },
  { id: 'o2', product: 'coffee' },
  { id: 'o3', product: 'tea' },
  { id: 'o4', product: 'tea' },
]

async function chargeAll(stores: Stores) {
  const { persistence } = stores
  const latest = await persistence.loadLatest<{ done: number }>('orders')
  const from = latest?.data.done ?? 0
  console.log(`from ${from}`)
  for (const [index, order] of ORDERS.entries()) {
    if (index < from) continue
    console.log(`${order.id} ${await charge(stores, order)}`)
    await persistence.save({
      id: `orders-${index + 1}`,
      taskId: 'orders',
      sequence: index + 1,
      timestamp: Date.now(),
      progress: ((index + 1) / ORDERS.length) * 100,
      data: { done: index + 1 },
    })
  }
  await persistence.cleanup('orders', 1)
  return 'all charged'
}

const url = process.env.APP_DATABASE_URL
if (!url) throw new Error('APP_DATABASE_URL is not set')
const stores = await openStores(url)
try {
  if (process.argv.includes('--repaired'))
    await stores.persistence.setState('payments', { state: 'closed', failureCount: 0 })
  console.log((await withLock(stores.persistence, 'orders', () => chargeAll(stores))) ?? 'another process is at it')
  const { hits, misses } = await stores.prices.stats()
  console.log(`prices: ${hits} hits, ${misses} misses`)
} catch (error) {
  console.log(`stopped: ${error instanceof Error ? error.message : error}`)
} finally {
  await stores.persistence.disconnect()
}
