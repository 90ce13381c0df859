import {
  type LockProvider,
  PostgresAdapter,
  PostgresCacheAdapter,
  PostgresIdempotencyAdapter,
} from '@go-go-scope/persistence-postgres'
import { Pool } from 'pg'

export async function openStores(connectionString: string) {
  const pool = new Pool({ connectionString })
  const persistence = new PostgresAdapter(pool, { keyPrefix: 'shop:', defaultLockTTL: 30_000 })
  const charges = new PostgresIdempotencyAdapter(pool, { keyPrefix: 'charges:' })
  const prices = new PostgresCacheAdapter(pool, { tableName: 'shop_prices' })
  await Promise.all([persistence.connect(), charges.connect(), prices.initialize()])
  return { persistence, charges, prices }
}

export type Stores = Awaited<ReturnType<typeof openStores>>

export async function withLock<T>(locks: LockProvider, key: string, work: () => Promise<T>): Promise<T | null> {
  const lock = await locks.acquire(key, 30_000)
  if (!lock) return null
  try {
    return await work()
  } finally {
    await lock.release()
  }
}
