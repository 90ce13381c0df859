// Compiled as a CommonJS module, and once more under the name shop.mts as an ES module.
import {
  type CacheProvider,
  type LockHandle,
  type LockProvider,
  PostgresAdapter,
  PostgresCacheAdapter,
  PostgresIdempotencyAdapter,
} from 'goscope-postgres'
import { type EmbeddedPostgres, startPostgres } from 'goscope-postgres/embedded'
import { DatabaseError, Pool } from 'pg'

interface User {
  name: string
  tags: string[]
}

async function main() {
  const pool = new Pool({ connectionString: process.env.APP_DATABASE_URL })
  const adapter = new PostgresAdapter(pool, { keyPrefix: `typescript-${process.pid}:` })
  const locks: LockProvider = adapter
  const caches: CacheProvider[] = [adapter, new PostgresCacheAdapter(pool, { tableName: 'typescript_cache' })]
  await adapter.connect()

  const lock: LockHandle | null = await locks.acquire('report', 60_000)
  if (!lock || (await locks.acquire('report', 60_000)) !== null) throw new Error('a lock has one holder')
  await lock.release()

  for (const cache of caches) {
    await cache.set<User>('user', { name: 'Ada', tags: ['a'] })
    const user = await cache.get<User>('user')
    if (user?.tags[0] !== 'a') throw new Error('the cache has lost the user')
  }
  try {
    await adapter.set('user', '\0')
    throw new Error('JSONB has taken U+0000')
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.code !== '22P05') throw error
  }
  const results = new PostgresIdempotencyAdapter(pool)
  const earlier: { value: User; expiresAt?: number } | null = await results.get<User>('never')
  if (earlier !== null) throw new Error('there was no earlier result')
  const start: () => Promise<EmbeddedPostgres> = startPostgres
  if (typeof start !== 'function') throw new Error('there is no embedded server')
  await adapter.disconnect()
  console.log('the shop worked')
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
