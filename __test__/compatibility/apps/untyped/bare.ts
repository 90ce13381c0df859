// Compiled where there are neither Node's types nor pg's.
import { type LockHandle, type PgPool, PostgresAdapter } from 'goscope-postgres'
import { startPostgres } from 'goscope-postgres/embedded'

declare const pool: PgPool

export const lock: Promise<LockHandle | null> = new PostgresAdapter(pool).acquire('key', 1000)
export const url: Promise<string> = startPostgres().then((server) => server.url)
export const lockByDefault: Promise<LockHandle | null> = new PostgresAdapter(pool, { defaultLockTTL: 1000 }).acquire(
  'key',
)
// @ts-expect-error a lock has a name
export const wrong = new PostgresAdapter(pool).acquire()
