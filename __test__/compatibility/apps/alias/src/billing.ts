import type { Stores } from './stores.js'

export interface Order {
  id: string
  product: string
}

const MAX_FAILURES = 3
const PRICES: Record<string, number> = { tea: 450, coffee: 700 }

/** The payment service, which is down as long as its environment says so. */
async function pay(order: Order, cents: number) {
  if (process.env.PAYMENTS_DOWN && order.id === 'o3') throw new Error('the payment service is down')
  return { order: order.id, cents }
}

async function priceOf({ prices }: Stores, product: string): Promise<number> {
  const known = await prices.get<number>(product)
  if (known !== null) return known
  const price = PRICES[product] ?? 0
  await prices.set(product, price, 60_000)
  return price
}

/** Charges an order, once, however often it is asked to. */
export async function charge(stores: Stores, order: Order): Promise<'charged' | 'charged before'> {
  const { charges, persistence } = stores
  if (await charges.get(order.id)) return 'charged before'
  const cents = await priceOf(stores, order.product)
  for (;;) {
    const breaker = await persistence.getState('payments')
    if (breaker?.state === 'open') throw new Error(`payments are off after ${breaker.failureCount} failures`)
    try {
      await charges.set(order.id, await pay(order, cents), 24 * 60 * 60 * 1000)
      await persistence.recordSuccess('payments')
      return 'charged'
    } catch {
      await persistence.recordFailure('payments', MAX_FAILURES)
    }
  }
}
