// Compiled, never run: an ES module gets the same types.

import { type LockHandle, PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } from 'goscope-postgres'
import { type EmbeddedPostgres, startPostgres } from 'goscope-postgres/embedded'
import pg from 'pg'

// @ts-expect-error there is no default export
import nothing from 'goscope-postgres'

await using server: EmbeddedPostgres = await startPostgres()
const pool = new pg.Pool({ connectionString: server.url })
const adapter: PostgresAdapter = new PostgresAdapter(pool)
export const lock: LockHandle | null = await adapter.acquire('key', 1000)
export const others = [new PostgresCacheAdapter(pool), new PostgresIdempotencyAdapter(pool), nothing]
