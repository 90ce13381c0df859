/// <reference lib="esnext.disposable" />

/**
 * Distributed locks, circuit-breaker state, a JSONB cache, checkpoints and idempotency on PostgreSQL.
 *
 * Rules for every method that returns a promise:
 *
 * - It never throws synchronously. The promise of a write resolves only after the server has committed (the release of a
 *   lease does not wait for the disk).
 * - All durations are milliseconds; all times are milliseconds since the epoch. The server's clock alone decides what
 *   has expired.
 * - Calls on one key through one `pg.Pool` take effect in the order in which they were made, awaited or not. `keys`, `stats`
 *   and `load` see all writes that were made before them, and perhaps some that were made after them; they delay no other
 *   call. `clear` and `prune` keep their place among all calls on the table.
 * - Calls are sent together when the code that made them returns to the event loop, or awaits something. A call that is
 *   followed by a long synchronous loop without an `await` between them is sent after the loop.
 * - A bad argument rejects with Node's codes, and nothing is sent: `ERR_INVALID_ARG_TYPE` (wrong type),
 *   `ERR_OUT_OF_RANGE` (a number that is no valid one here) or `ERR_INVALID_ARG_VALUE` (a key, owner or id with
 *   U+0000, an owner with a lone surrogate, a value with a cycle or a BigInt, an unknown state).
 * - An option whose name is a misspelling of a known one (`keyprefix`) is a bad argument, too: `ERR_INVALID_ARG_VALUE`. Other
 *   unknown options are ignored.
 * - A database error has the SQLSTATE as its `code` and pg's other fields, and is an instance of the `DatabaseError`
 *   of the application's `pg` if that can be found. A network error carries Node's `code`: `ECONNREFUSED`,
 *   `ENOTFOUND`, `ETIMEDOUT`, `ECONNRESET`, and so on.
 * - A pool whose configuration cannot be kept (the page "Connecting" has the list) rejects the first call that needs a
 *   connection with `ERR_INVALID_ARG_VALUE`, naming the option.
 * - After the pool has been ended, every call rejects with pg's "Cannot use a pool after calling end on the pool", and after
 *   `close()` of an adapter, that adapter's calls reject with `ERR_ADAPTER_CLOSED`.
 *
 * What returns no promise sends no request before it returns: `isConnected` and `metrics` read what this process knows, the
 * groups of methods (`locks`, `circuits`, `cache`, `checkpoints`) are properties, `breaker` throws at once if an argument
 * is bad, and so does `subscribe`, also if the pool has been ended. Constructors throw for a bad argument, too.
 *
 * A key or id is any string without U+0000, of any length, and so is an owner, without lone surrogates. A number or
 * bigint given to plain JavaScript is taken as its decimal text.
 *
 * @packageDocumentation
 */

import type { Breaker, BreakerOptions } from './lib/types/breaker.js'
import type { Health, HealthOptions } from './lib/types/health.js'
import type { AdapterLifeCycle } from './lib/types/life-cycle.js'
import type { Metrics } from './lib/types/metrics.js'
import type { RunResult, Stored } from './lib/types/stored.js'
import type { ClientOf, LeaseToCheck, QueryClient, TransactionSource } from './lib/types/transactions.js'

export type * from './lib/types/errors.js'
export type * from './lib/types/breaker.js'
export type * from './lib/types/health.js'
export type { AdapterLifeCycle } from './lib/types/life-cycle.js'
export * from './lib/types/metrics.js'
export type { RunResult, Stored } from './lib/types/stored.js'
export * from './lib/types/tracing.js'
export type { ClientOf, LeaseToCheck, QueryClient, TransactionSource } from './lib/types/transactions.js'

/**
 * The part of a `pg.Pool` that this package uses: structural, so that these types do not depend on `@types/pg`.
 *
 * Its `options` are read to open native connections to the same server, and its `end()` is called by `disconnect()`. It
 * is not queried. If the application ends it by itself, the native connections end with it.
 *
 * @category Connecting
 */
export interface PgPool {
  /**
   * The pool's configuration, as `pg` holds it. (Older versions of `@types/pg` do not declare it.) If a pool that is wrapped
   * by hand has none, it is read from a client that its `connect()` lends.
   */
  readonly options?: object
  /** Marks a pool; not read. */
  readonly totalCount: number
  /** Ends the pool. */
  end(): Promise<void>
}

/**
 * The part of a `pg.Client` that this package uses. Its configuration is read, connected or not, and its `end()` is
 * called by `disconnect()`. It is not queried.
 *
 * @category Connecting
 */
export interface PgClient {
  readonly host: string
  readonly port: number
  /** Ends the client. */
  end(): Promise<void>
}

/**
 * How to connect, with the names and defaults of `new pg.Pool`, for use without `pg`. Absent fields come from the PG*
 * environment variables. Times are milliseconds.
 *
 * @category Connecting
 */
export interface PostgresConfig {
  /** `postgres://user:password@host:port/database?option=value`; its parts take precedence over the fields below. */
  connectionString?: string | undefined
  /** A host, a folder of Unix sockets (`/run/postgresql`), or several hosts, separated by commas, to try in order. */
  host?: string | undefined
  /** A port for all hosts, or as a string one for each, separated by commas. */
  port?: number | string | undefined
  user?: string | undefined
  database?: string | undefined
  /** The password, or a function that is called again for each connection. */
  password?: string | (() => string | Promise<string>) | undefined
  /** TLS, as Node's `tls.connect` takes it; `true` verifies fully. There is no fallback to plaintext. */
  ssl?: boolean | object | undefined
  /** Which of several hosts is acceptable; `any` by default. */
  target_session_attrs?: 'any' | 'read-write' | 'read-only' | 'primary' | 'standby' | 'prefer-standby' | undefined
  application_name?: string | undefined
  fallback_application_name?: string | undefined
  /** Command-line options for the server process, such as `-c search_path=app`. */
  options?: string | undefined
  statement_timeout?: false | number | undefined
  lock_timeout?: false | number | undefined
  idle_in_transaction_session_timeout?: false | number | undefined
  /** How long to wait for the answer to a statement; the server may still execute it. */
  query_timeout?: number | undefined
  /** How long to wait for a connection, or for a turn on a busy one. 0, the default, is without limit. */
  connectionTimeoutMillis?: number | undefined
  /** After which time an unused connection is closed; 10,000 by default, 0 for never. */
  idleTimeoutMillis?: number | undefined
  /** The most connections; 10 by default. */
  max?: number | undefined
  /** How many connections, once open, stay open when unused; 0 by default. */
  min?: number | undefined
  /** After how many leases a connection is replaced. */
  maxUses?: number | undefined
  /** After how many seconds a connection is replaced. */
  maxLifetimeSeconds?: number | undefined
  keepAlive?: boolean | undefined
  keepAliveInitialDelayMillis?: number | undefined
  /** Whether SCRAM authentication is bound to the TLS channel if the server offers that; false by default. */
  enableChannelBinding?: boolean | undefined
  /** Called with each new connection before it is used, with its `query(text, values?)`. */
  onConnect?: ((client: ConnectClient) => void | Promise<void>) | undefined
}

/**
 * A new connection, as connect hooks see it: the part of a pg client that they use.
 *
 * @category Connecting
 */
export interface ConnectClient {
  /** The server process of the session; null if a pooler shares it among clients. */
  readonly processID: number | null
  readonly host: string | undefined
  readonly port: number
  readonly user: string | undefined
  readonly database: string | undefined
  /**
   * Runs SQL in the new session. All values in the rows are the server's text.
   *
   * @throws DatabaseError with the server's SQLSTATE
   */
  query(
    query: string | { text: string; values?: unknown[] },
    values?: unknown[],
  ): Promise<{ rows: Record<string, string | null>[]; rowCount: number; command: string | null }>
  escapeLiteral(text: string): string
  escapeIdentifier(name: string): string
}

/**
 * The database with the tables: the application's own `pg.Pool` or `pg.Client`, a pool that it has wrapped, a
 * connection string, a configuration, or nothing for `DATABASE_URL` or else the PG* environment variables. Adapters
 * on one pool or client share its connections; with any other form an adapter makes connections of its own.
 *
 * @category Connecting
 */
export type PostgresSource = PgPool | PgClient | string | PostgresConfig

/**
 * A lock that was taken. Its methods may be called detached from it.
 *
 * @category Locks
 */
export interface LockHandle {
  /**
   * Releases this lock: deletes its row if it still belongs to this owner. If another owner has taken the lock over
   * since, that owner keeps it. Releasing twice is harmless.
   */
  release(): Promise<void>
  /**
   * Extends this lock's lease: moves its end to the server's present plus `ttl`. That may also shorten it.
   *
   * If the server cannot be reached, or cannot do it now, it retries for the rest of the lease.
   *
   * Rejects as {@link LockProvider.extend} does.
   *
   * @param ttl the lease's new length in ms from now; finite and not negative. 0 ends it
   * @returns false if the lease has expired or the lock is no longer this owner's; nothing is changed then
   */
  extend(ttl: number): Promise<boolean>
  /**
   * Whether the lock was still this owner's, and not expired, when the server checked. It may be lost by the time the
   * answer arrives.
   */
  isValid(): Promise<boolean>
}

/**
 * Node's or the DOM's `AbortSignal`, whichever is declared.
 *
 * @category Locks
 */
export type LeaseSignal = typeof globalThis extends { AbortSignal: { prototype: infer Signal } }
  ? Signal
  : { readonly aborted: boolean; readonly reason: unknown }

/**
 * The lease of a lock, as this package returns it: a {@link LockHandle} with additional information. Its methods may
 * be called detached from it. The times that it reports are estimates of this process, on the safe side: the lease is
 * counted from before the request for it was sent.
 *
 * @category Locks
 * @example
 * ```ts
 * await using lease = await adapter.lock('invoices', { ttl: 30_000 })
 * await fetch(url, { signal: lease.signal })
 * ```
 */
export interface Lease extends LockHandle {
  /** As {@link LockHandle.extend}; a `ttl` that is left out is the adapter's `defaultLockTTL`. */
  extend(ttl?: number): Promise<boolean>
  /** The lock's name, as it was given. */
  readonly key: string
  /** Who holds the lease: the owner that was given, or the UUIDv4 that was drawn. */
  readonly owner: string
  /**
   * The earliest end of the lease, in ms since the epoch by this process's clock. It follows {@link extend}, and the
   * renewals of {@link PostgresAdapter.lock}.
   */
  readonly expiresAt: number
  /**
   * A number that is greater than that of every earlier holder of this lock, no matter how their leases ended. Pass
   * it to the resource that the lock protects, and let that refuse a smaller number than it has seen. It has no other
   * meaning; there are gaps, and they are large. `go_goscope_check_fencing_token(key, token, key_prefix)` checks it
   * within a transaction of the application's own. If the owner takes the lock again, the lease has a new token;
   * {@link extend} keeps it.
   *
   * Until that transaction ends, no adapter of this package takes the lock over. The pg-based adapter, in a mixed fleet,
   * does not wait for it.
   *
   * @throws Error `ERR_FENCING_UNAVAILABLE` if the table has no tokens, or the role may not draw them
   * @example
   * ```ts
   * await client.query('BEGIN')
   * await client.query('SELECT go_goscope_check_fencing_token($1, $2, $3)', ['invoices', lease.fencingToken, 'shop:'])
   * await client.query('UPDATE invoices …')
   * await client.query('COMMIT')
   * ```
   */
  readonly fencingToken: bigint
  /**
   * Aborts, with an Error whose `code` is `ERR_LEASE_LOST`, when the lease is lost. That is known from
   * {@link extend}, {@link isValid} or a renewal, or must be assumed because the lease's time is over. Releasing it
   * aborts nothing. The signal does not keep the process alive.
   */
  readonly signal: LeaseSignal
  /**
   * {@link release}, for `await using`. If that fails, the work before it is still done, so this does not reject,
   * unless {@link LockOptions.onReleaseError} says so. The lock is then released in the background as soon as the
   * server can be reached, unless its owner's name was given; else its lease runs out.
   */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Options of {@link PostgresAdapter.lock}.
 *
 * @category Locks
 */
export interface LockOptions {
  /** The lease's length in ms; positive and finite. Default: the adapter's `defaultLockTTL`. */
  ttl?: number | undefined
  /**
   * How long to wait for a busy lock, in ms; 0 tries once. Default `Infinity`.
   *
   * With 0, a caller does not overtake others in this process that wait for the lock.
   */
  wait?: number | undefined
  /** Ends the wait. It has no effect on a lease that was granted. */
  signal?: LeaseSignal | undefined
  /** Whether to extend the lease, every third of its `ttl`, until it is released. Default `true`. */
  renew?: boolean | undefined
  /**
   * The holder; a UUIDv4 is drawn where it is absent. Give each holder an owner of its own: if a wait is given up while
   * a request is at the server, the lock is released if this owner then holds it.
   */
  owner?: string | undefined
  /** Whether a release that fails at the end of `await using` is thrown there. Default `'ignore'`. */
  onReleaseError?: 'ignore' | 'throw' | undefined
}

/**
 * Options of {@link PostgresAdapter.acquire}.
 *
 * @category Locks
 */
export interface AcquireOptions {
  /**
   * Whether an owner that holds the lock takes it again, which replaces its expiry and its fencing token. With `false`, it gets null
   * as any other owner does, until its lease has ended. Default `true`, as in the pg-based adapter.
   */
  reentrant?: boolean | undefined
}

/**
 * The lease of a semaphore's permit.
 *
 * @category Locks
 */
export interface PermitLease extends Lease {
  /** Which of the permits it is, from 1. No other holder has the same one. */
  readonly permit: number
}

/**
 * A semaphore, as {@link PostgresAdapter.semaphore} gives it: it lets so many callers of all processes do something at once. Its
 * methods may be called detached from it.
 *
 * @category Locks
 */
export interface Semaphore {
  readonly key: string
  /** How many permits it has for callers through this object. */
  readonly permits: number
  /**
   * Takes a permit as soon as one is free, and renews its lease until it is released. Options, waiting, renewal and failures are
   * those of {@link PostgresAdapter.lock}. An owner that holds a permit already gets that one again.
   *
   * @throws Error `ERR_LOCK_WAIT_TIMEOUT` if no permit became free within `wait`; its `holder` is the owner of the lease that ends
   * first, or null
   * @throws as {@link PostgresAdapter.lock} does
   */
  acquire(options?: LockOptions): Promise<PermitLease>
  /** The holders of its permits and the ends of their leases, by permit. It may have changed by the time the answer arrives. */
  holders(): Promise<LockHolder[]>
}

/**
 * The holder of a lock.
 *
 * @category Locks
 */
export interface LockHolder {
  owner: string
  /** When the lease ends unless it is extended, in ms since the epoch by the server's clock. */
  expiresAt: number
}

/**
 * A circuit breaker's state as it is stored.
 *
 * @category Circuit breakers
 */
export interface CircuitBreakerPersistedState {
  /** `'closed'` lets calls through, `'open'` does not, `'half-open'` tries. */
  state: 'closed' | 'open' | 'half-open'
  /** Failures since the last success; an integer from 0 to 2147483647. */
  failureCount: number
  /** In ms since the epoch; absent if there was none since the last success. */
  lastFailureTime?: number
  /** In ms since the epoch; absent if there was none. */
  lastSuccessTime?: number
}

/**
 * A circuit breaker's state as it is stored: a time may be a `Date`.
 *
 * @category Circuit breakers
 */
export type CircuitBreakerStateToStore = Omit<CircuitBreakerPersistedState, 'lastFailureTime' | 'lastSuccessTime'> & {
  lastFailureTime?: number | Date | undefined
  lastSuccessTime?: number | Date | undefined
}

/**
 * A task's saved progress. `T` is the type of its data.
 *
 * @category Checkpoints
 */
export interface Checkpoint<T = unknown> {
  /** Identifies the checkpoint; saving another under the same id replaces it. */
  id: string
  /** The task that the checkpoint belongs to. */
  taskId: string
  /** The checkpoint's place within its task; a safe integer. The highest is the latest. */
  sequence: number
  /** In ms since the epoch, as the caller gives it; a safe integer. Decides between equal sequences. */
  timestamp: number
  /** A finite number, of a scale that the task chooses. */
  progress: number
  /** Any value that JSON can hold. */
  data: T
  /** In ms; a safe integer. Absent stays absent, 0 stays 0. */
  estimatedTimeRemaining?: number
}

/**
 * Options of {@link PostgresAdapter}.
 *
 * @category Adapters
 */
export interface PersistenceAdapterOptions {
  /**
   * The text before every stored key or id, those of locks and checkpoints included. It is data and never a pattern:
   * `_`, `%` and `\` mean themselves. Default `''`.
   *
   * No prefix may begin with another: with `a` and `a:`, the checkpoint `:1` of the one is the checkpoint `1` of the other.
   * So end each prefix with a separator, and use that nowhere else in a prefix: `a:` and `ab:`.
   */
  keyPrefix?: string | undefined
  /** The TTL in ms of a lock call without one (`undefined` or `null`); positive and finite. No default. */
  defaultLockTTL?: number | undefined
  /**
   * `false` to create neither tables nor indexes. A method whose table is missing then rejects with SQLSTATE 42P01.
   * Default `true`.
   */
  createTables?: boolean | undefined
  /** What a crash of the server may destroy of the cache, and of nothing else. Default `'full'`. */
  cacheDurability?: CacheDurability | undefined
}

/**
 * What a crash of the server may destroy of a cache, in exchange for faster writes. Only whole entries are lost, as
 * if they had not been written; no entry is ever half written.
 *
 * - `'full'`: nothing for which a promise has resolved.
 * - `'async'`: the last moments before the crash, about three times the server's `wal_writer_delay` (200 ms), since
 *   the writes do not wait for the disk (`synchronous_commit = off` for them alone). All sessions see the writes at
 *   once, and a crash of the application loses none. `clear` and `prune` still wait for the disk.
 * - `'unlogged'`: all of it. The table is made `UNLOGGED`: writes leave no trace in the server's log, a crash empties
 *   the table, and replicas do not have it, so that after a failover it is empty, too. A table that exists already is
 *   used as it is. If it is logged, a warning (`GOSCOPE_CACHE_IS_LOGGED`) reports this once, and how to change it.
 *
 * @category Cache
 */
export type CacheDurability = 'full' | 'async' | 'unlogged'

/**
 * Options of {@link PostgresCacheAdapter}.
 *
 * @category Adapters
 */
export interface PostgresCacheAdapterOptions {
  /**
   * The table, as `name` or `schema.name`; each part is quoted and taken literally, never as SQL. An existing table
   * of the same name in lower case is used if no other exists. Name a table in the same way everywhere: `cache` and
   * `public.cache` are two names, each with its own order of calls and single flight. Default `'cache'`.
   */
  tableName?: string | undefined
  /**
   * The text before each key; data and never a pattern. Default `''`.
   *
   * No prefix may begin with another: with `a` and `a:` in one table, `clear()` of the first removes the entries of both,
   * and its `keys()` and `stats()` see them. So end each prefix with a separator, and use that nowhere else in a prefix:
   * `a:` and `ab:`.
   */
  keyPrefix?: string | undefined
  /** `false` to create neither the table nor its index. Default `true`. */
  createTables?: boolean | undefined
  /** What a crash of the server may destroy of the table. Default `'full'`. */
  durability?: CacheDurability | undefined
}

/**
 * Options of {@link PostgresIdempotencyAdapter}.
 *
 * @category Adapters
 */
export interface PostgresIdempotencyAdapterOptions {
  /**
   * The text before each key; data and never a pattern. Default `''`.
   *
   * No prefix may begin with another: with `a` and `a:`, the key `:1` of the one is the key `1` of the other. So end each
   * prefix with a separator, and use that nowhere else in a prefix: `a:` and `ab:`.
   */
  keyPrefix?: string | undefined
  /** `false` to create neither the table nor its index. Default `true`. */
  createTables?: boolean | undefined
}

/**
 * The statistics of a {@link PostgresCacheAdapter}.
 *
 * @category Cache
 */
export interface CacheStats {
  /** `get` calls of this instance that found a live entry. */
  hits: number
  /** `get` calls of this instance that found none. */
  misses: number
  /** Live entries under this instance's prefix, as the server counts them now. */
  size: number
  /** `hits / (hits + misses)`; 0 before the first `get`. */
  hitRatio: number
}

/**
 * Leases on names, held by one owner at a time.
 *
 * @category Locks
 */
export interface LockProvider {
  /**
   * Takes a lock if it is absent, expired, or already this owner's, and holds it until the server's present plus `ttl`.
   * One statement, one round trip; it never waits for the lock to become free, and a poll of a busy lock writes nothing.
   *
   * Taking a lock again under the same owner replaces its expiry, so give each holder an owner of its own.
   *
   * @param key the lock's name
   * @param ttl the lease's length in ms; finite and not negative. 0 is a lease that has run out already
   * @param owner the holder; a UUIDv4 is drawn where it is absent
   * @returns a handle, or null if another owner holds the lock
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `ttl` is not a number and there is no `defaultLockTTL`
   * @throws RangeError `ERR_OUT_OF_RANGE` if `ttl` is negative or not finite
   * @example
   * ```ts
   * const lock = await adapter.acquire('invoices', 30_000)
   * if (lock) {
   *   try {
   *     // at most 30 s of work, or extend the lease
   *   } finally {
   *     await lock.release()
   *   }
   * }
   * ```
   */
  acquire(key: string, ttl: number, owner?: string): Promise<LockHandle | null>
  /**
   * Extends a lock's lease: moves the end of a lease that `owner` still holds to the server's present plus `ttl`. That may
   * also shorten it.
   *
   * If the server cannot be reached, or cannot do it now, it retries for three tenths of `ttl`, at most 30 s. (Only
   * the {@link LockHandle} knows the remaining time of the lease.)
   *
   * @param ttl the lease's new length in ms from now; finite and not negative. 0 ends it
   * @returns false if the lock is not held by `owner` or has expired; nothing is changed then
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `ttl` or `owner` is of the wrong type
   * @throws RangeError `ERR_OUT_OF_RANGE` if `ttl` is negative or not finite
   */
  extend(key: string, ttl: number, owner: string): Promise<boolean>
  /** Frees a lock, no matter which owner holds it. A lock that is not held is left alone. */
  forceRelease(key: string): Promise<void>
}

/**
 * Circuit-breaker state that all processes share.
 *
 * @category Circuit breakers
 */
export interface CircuitBreakerStateProvider {
  /** Reads a circuit breaker's state, or null if none was ever stored. */
  getState(key: string): Promise<CircuitBreakerPersistedState | null>
  /**
   * Stores a circuit breaker's complete state; times keep their milliseconds, and absent fields are stored as absent.
   *
   * @throws TypeError `ERR_INVALID_ARG_VALUE` if `state.state` is none of the three
   * @throws RangeError `ERR_OUT_OF_RANGE` if `state.failureCount` is no integer from 0 to 2147483647, or a time is out
   * of PostgreSQL's or JavaScript's range
   */
  setState(key: string, state: CircuitBreakerPersistedState): Promise<void>
  /**
   * Counts a circuit breaker's failure, in one atomic statement: N concurrent calls return N distinct counts. The breaker opens when
   * the count reaches `maxFailures`; below that it keeps its state. `lastFailureTime` becomes the server's present.
   *
   * @param maxFailures a number from 0; `Infinity` never opens
   * @returns the failures since the last success, this one included
   * @throws RangeError `ERR_OUT_OF_RANGE` if `maxFailures` is negative or NaN
   * @example
   * ```ts
   * const failures = await adapter.recordFailure('payments', 5)
   * const isOpen = failures >= 5
   * ```
   */
  recordFailure(key: string, maxFailures: number): Promise<number>
  /**
   * Records a circuit breaker's success: closes it and sets its count to 0. `lastSuccessTime` becomes the server's present,
   * `lastFailureTime` is removed.
   */
  recordSuccess(key: string): Promise<void>
  /**
   * Calls `callback` with the circuit breaker's complete state each time that its `state` has changed, no matter what changed
   * it: this process or another, this package, the pg-based adapter, or SQL by hand.
   *
   * @returns a function that ends the subscription; calling it twice is harmless
   */
  subscribe?(key: string, callback: (state: CircuitBreakerPersistedState) => void): () => void
}

/**
 * Values under keys, with an optional expiry.
 *
 * @category Cache
 */
export interface CacheProvider {
  /**
   * Reads a cached value, or null if the key is missing or expired. A stored null looks the same; {@link has}
   * distinguishes them.
   *
   * The type argument is not checked against the value.
   *
   * @example
   * ```ts
   * const user = await adapter.get<{ name: string }>('user:1')
   * ```
   */
  get<T>(key: string): Promise<T | null>
  /**
   * Stores a value in the cache, as JSONB, in place of an existing one. It comes back as `JSON.parse(JSON.stringify(value))` would
   * give it, except that objects have their keys in JSONB's order.
   *
   * @param ttl in ms; absent, 0 or `Infinity`: the entry does not expire
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `value` is undefined, a function or a symbol, or `ttl` is no number
   * @throws TypeError `ERR_INVALID_ARG_VALUE` if `JSON.stringify` throws (a cycle, a BigInt); its error is the `cause`
   * @throws RangeError `ERR_OUT_OF_RANGE` if `ttl` is negative or NaN
   * @throws DatabaseError with SQLSTATE 22P05 if a string in `value` contains U+0000, 22P02 if it contains a lone
   * surrogate: JSONB can hold neither
   * @example
   * ```ts
   * await adapter.set('user:1', { name: 'Ada' }, 60_000)
   * ```
   */
  set<T>(key: string, value: T, ttl?: number): Promise<void>
  /** Removes a cache entry, if there is one. */
  delete(key: string): Promise<void>
  /** Whether there is a cache entry that has not expired, even if its value is null. */
  has(key: string): Promise<boolean>
  /** Removes every cache entry under the prefix; the class documents what that means without a prefix. */
  clear(): Promise<void>
  /**
   * The cache's keys that have not expired, as they were given to {@link set}, in the order of their bytes.
   *
   * @param pattern which keys; the class documents its wildcards. Absent or empty: all
   */
  keys(pattern?: string): Promise<string[]>
}

/**
 * The argument of work that one process at a time does.
 *
 * @category Idempotency
 */
export interface WorkContext {
  /**
   * Aborts when the claim on the work is lost, or must be assumed lost; its `reason` has the `code` `ERR_LEASE_LOST`.
   */
  readonly signal: LeaseSignal
}

/**
 * The argument of work in a transaction; see {@link RunOptions.transaction}.
 *
 * @category Transactions
 */
export interface TransactionContext<Client> extends WorkContext {
  /** The transaction is open on it. Make the work's own changes through it. */
  readonly client: Client
}

/**
 * How long a caller waits for another that does the same work. Neither option ends the caller's own work once it has
 * begun.
 *
 * @category Idempotency
 */
export interface WorkLimit {
  /**
   * How long to wait for other callers, in ms, from the beginning of the wait; 0 does not wait. Default `Infinity`.
   * Set it if two pieces of work may request each other's keys: without it, they wait without end.
   */
  wait?: number | undefined
  /** Ends the wait. */
  signal?: LeaseSignal | undefined
}

/**
 * A cached value, and when it expires.
 *
 * @category Cache
 */
export interface CacheEntry<T> {
  value: T
  /** In ms since the epoch by the server's clock; absent if the entry does not expire. */
  expiresAt?: number
}

/**
 * Options of {@link CacheOperations.getOrSet}.
 *
 * @category Cache
 */
export interface GetOrSetOptions extends WorkLimit {
  /** How long the value is fresh, in ms; absent, 0 or `Infinity`: without end. */
  ttl?: number | undefined
  /** How much longer it may be returned while it is computed again, in ms; finite. Default 0. */
  staleTtl?: number | undefined
  /** How long a process that crashes while it computes keeps others waiting, in ms; positive and finite. Default 10,000. */
  claimTtl?: number | undefined
  /**
   * What to do if the database cannot be reached, or the connection is lost during the call: `'throw'` (the default)
   * rejects, `'compute'` returns the result of `compute`, which is then not stored. Callers of one process share a
   * computation; several processes compute once each. `connectionTimeoutMillis` and `query_timeout` limit the wait
   * for a server that does not answer.
   */
  onError?: 'throw' | 'compute' | undefined
}

/**
 * Which keys {@link CacheOperations.keys} returns.
 *
 * @category Cache
 */
export interface KeysOptions {
  /** The text that the keys begin with: data and never a pattern. Default `''`. */
  prefix?: string | undefined
  /** The most keys; an integer, 1 or more. Default: all. */
  limit?: number | undefined
  /** The last key of the page before: only keys that come after it. It need not exist any more. */
  after?: string | undefined
}

/**
 * Options of {@link CacheOperations.iterateKeys}.
 *
 * @category Cache
 */
export interface IterateKeysOptions {
  /** The text that the keys begin with: data and never a pattern. Default `''`. */
  prefix?: string | undefined
  /** How many keys are read at once; an integer, 1 or more. Default 1,000. */
  pageSize?: number | undefined
}

/**
 * Options of {@link CacheOperations.clear}.
 *
 * @category Cache
 */
export interface ClearOptions {
  /**
   * The text that the keys begin with: data and never a pattern. With `''`, every entry of this adapter;
   * absent, as `clear()`.
   */
  prefix?: string | undefined
}

/**
 * The operations of both caches: those of go-go-scope's {@link CacheProvider}, and further ones.
 *
 * @category Cache
 */
export interface CacheOperations extends CacheProvider {
  /**
   * Reads a cached value together with its expiry, or null if the key is missing or expired. So a stored null, which is
   * `{ value: null }`, differs from a miss. A {@link PostgresCacheAdapter} counts a hit or a miss.
   *
   * The type argument is not checked against the value.
   *
   * @returns `expiresAt` in ms since the epoch by the server's clock; absent if the entry does not expire
   * @example
   * ```ts
   * const entry = await adapter.getEntry<{ name: string }>('user:1')
   * if (entry) console.log(entry.value.name, 'until', entry.expiresAt)
   * ```
   */
  getEntry<T>(key: string): Promise<CacheEntry<T> | null>
  /**
   * The cache's keys that begin with a prefix and have not expired, page by page.
   *
   * The order is that of the table's primary key, so that a page of a large cache takes a few milliseconds: the database's
   * collation, in which capitals and punctuation may stand anywhere. Keys that are stored as digests, because they are longer
   * than the index allows, come after all others, in an order of their own. A page reads the index from `after` until it is
   * full: it has to pass over keys of other prefixes on the way, which takes time if the table has many.
   *
   * Keys that are added or deleted between two pages are seen or not; each other key is seen once.
   *
   * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` if an option is wrong or misspelt
   * @throws RangeError `ERR_OUT_OF_RANGE` if `limit` is no integer of 1 or more
   * @example
   * ```ts
   * const first = await adapter.keys({ prefix: 'user:', limit: 100 })
   * const second = await adapter.keys({ prefix: 'user:', limit: 100, after: first.at(-1) })
   * ```
   */
  keys(options: KeysOptions): Promise<string[]>
  /** As {@link CacheProvider.keys}. */
  keys(pattern?: string): Promise<string[]>
  /**
   * All of the cache's keys that begin with a prefix, in the order of {@link keys}. One page of them is held in memory at a
   * time, and the next one is read when that has been consumed. Metrics and traces count each page as `cache.keys`.
   *
   * @throws as {@link keys} does: at once for a bad option, and where a page is read for all else
   * @example
   * ```ts
   * for await (const key of adapter.iterateKeys({ prefix: 'user:' })) console.log(key)
   * ```
   */
  iterateKeys(options?: IterateKeysOptions): AsyncIterableIterator<string>
  /**
   * Removes the cache entries whose keys begin with a prefix. It deletes at most 5,000 in a statement, one after the other, each a
   * transaction of its own, so that it holds no row for long. An entry that is added under the prefix meanwhile, by any
   * process, may survive or not. If the call rejects, a part of the entries is gone.
   *
   * Unlike `clear()`, it leaves the entries of other `keyPrefix`es alone in any case.
   *
   * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` if an option is wrong or misspelt
   * @example
   * ```ts
   * await adapter.clear({ prefix: 'user:' })
   * ```
   */
  clear(options: ClearOptions): Promise<void>
  /** As {@link CacheProvider.clear}. */
  clear(): Promise<void>
  /**
   * Sets the expiry of a cache entry, in one atomic statement, and leaves its value alone. An entry that has expired by the
   * server's clock when the statement has got its row stays expired.
   *
   * If the connection is lost during the call, the call rejects, and it is unknown whether the expiry was set.
   *
   * @param ttl in ms from now; absent, 0 or `Infinity`: the entry does not expire any more
   * @returns whether there was an entry; if not, nothing was changed
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `ttl` is no number
   * @throws RangeError `ERR_OUT_OF_RANGE` if `ttl` is negative or NaN
   * @example
   * ```ts
   * const isLoggedIn = await adapter.touch(`session:${id}`, 30 * 60_000) // half an hour from the last request
   * ```
   */
  touch(key: string, ttl?: number): Promise<boolean>
  /**
   * Reads the cached values of many keys in their order, null for each that is missing or expired. They are read in few
   * statements, of up to 256 keys each, side by side; so they are no snapshot. A {@link PostgresCacheAdapter} counts
   * each key as a hit or a miss.
   *
   * The type argument is not checked against the values.
   *
   * @param keys any iterable object; a key may occur more than once
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `keys` is no iterable object, or one of them no string
   * @example
   * ```ts
   * const [ada, bob] = await adapter.getMany<{ name: string }>(['user:1', 'user:2'])
   * ```
   */
  getMany<T>(keys: Iterable<string>): Promise<(T | null)[]>
  /**
   * Stores many cache entries, as {@link CacheProvider.set} would store each, in as few statements as possible. Of two
   * entries under one key the later stays.
   *
   * They are not one transaction. A wrong argument rejects before anything is sent, but an entry that the server
   * refuses rejects when all others have been stored.
   *
   * @param entries of key, value and, if it differs from `ttl`, the entry's own TTL; a `Map` is accepted
   * @param ttl in ms, of the entries that have none of their own; absent, 0 or `Infinity`: they do not expire
   * @throws TypeError as {@link CacheProvider.set}; the message says which entry: `entries[3][1]`
   * @throws RangeError `ERR_OUT_OF_RANGE` if a TTL is negative or NaN
   * @example
   * ```ts
   * await adapter.setMany([['user:1', { name: 'Ada' }], ['user:2', { name: 'Bob' }, 5_000]], 60_000)
   * ```
   */
  setMany(
    entries: Iterable<readonly [key: string, value: unknown, ttl?: number | undefined]>,
    ttl?: number,
  ): Promise<void>
  /**
   * Removes the cache entries under these keys, and reports for each whether there was one. Each is removed in an atomic step:
   * of N concurrent callers of any processes, one gets true. They are not one transaction.
   *
   * If the connection is lost during the call, the call rejects, and it is unknown which entries were removed.
   *
   * @param keys any iterable object; a key may occur more than once
   * @returns in the order of the keys, whether an entry that had not expired was removed; of a repeated key, for the first
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `keys` is no iterable object, or one of them no string
   * @example
   * ```ts
   * const [wasAda, wasBob] = await adapter.deleteMany(['user:1', 'user:2'])
   * ```
   */
  deleteMany(keys: Iterable<string>): Promise<boolean[]>
  /**
   * Removes a cache entry and returns its value, in one atomic statement: of N concurrent callers of any processes, exactly
   * one gets the value, and the others get null. Null also if the key is missing or expired. A stored null looks the same;
   * {@link deleteMany} distinguishes them. A {@link PostgresCacheAdapter} counts a hit or a miss.
   *
   * If the connection is lost during the call, the call rejects and is not sent again: the entry may be gone, and its value
   * with it.
   *
   * The type argument is not checked against the value.
   *
   * @example
   * ```ts
   * const login = await adapter.take<{ user: string }>(`login-token:${token}`) // valid once
   * ```
   */
  take<T>(key: string): Promise<T | null>
  /**
   * The cached value under a key. If there is none, the result of `compute`, which is then stored.
   *
   * One caller of all processes computes. The others wait for its value and receive it as soon as it is there; those
   * of one instance share one computation. A process that crashes while it computes keeps the others waiting for
   * `claimTtl`. The claim is a lock in `go_goscope_locks`. It is renewed for as long as `compute` takes, whatever the
   * event loop does.
   *
   * With a `staleTtl`, an entry is stored for `ttl + staleTtl`, and is stale when less than `staleTtl` is left of
   * that. A stale value is returned at once, while one caller computes it again in the background. If that fails,
   * later calls try again, and the failure is not reported while the stale value stands.
   *
   * The value is stored only if nothing was written or deleted under the key since the computation began, by any
   * process, this package, the pg-based adapter or SQL: `set`, `delete`, `clear` and all other writes stand. So an
   * application that writes its data first, and then deletes or sets the entry, never finds an older value in the
   * cache afterwards. The caller that ran `compute` still gets the computed value; those that waited for it look
   * again. In two other cases the value is not stored either: another process has begun to compute after the claim
   * was lost, or a stale entry expires and is swept away before it is computed again. The next caller then computes.
   * While an entry is computed, a row with an expiry in the past (1,000 years ago) stands in its place.
   *
   * The caller that computes also gets the value as the cache returns it: `JSON.parse(JSON.stringify(value))`, and
   * that is its type: see {@link Stored}. A `compute` that requests its own key is refused at once, however deep the
   * call is.
   *
   * @param compute returns the value, or a promise of it; not undefined. Its `signal` aborts when the claim is lost,
   * so that another process may compute as well
   * @throws whatever `compute` throws, in every call of this process that waited for it; nothing is stored, and other
   * processes try in turn
   * @throws Error `ERR_WORK_WAITS_FOR_ITSELF` within the `compute` of the same key
   * @throws Error `ERR_WORK_WAIT_TIMEOUT` if another caller's value was not there within `wait`
   * @throws the reason of `signal`, if that aborts while another caller computes
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `compute` is no function, or its value cannot be JSON
   * @throws RangeError `ERR_OUT_OF_RANGE` if a time is negative, NaN, or, but for `ttl`, not finite
   * @example
   * ```ts
   * const rates = await adapter.getOrSet('rates', async ({ signal }) => (await fetch(url, { signal })).json(), {
   *   ttl: 60_000,
   *   staleTtl: 600_000,
   * })
   * ```
   */
  getOrSet<T>(
    key: string,
    compute: (context: WorkContext) => T | Promise<T>,
    options?: GetOrSetOptions,
  ): Promise<Stored<T>>
  /**
   * Adds to a number in the cache, in one atomic statement: N concurrent calls of any processes give N sums, each of which
   * includes those before it. An entry that is absent or expired counts as 0.
   *
   * Sums are decimal and exact, as they are stored: 0.1 and 0.2 make 0.3. A sum with more digits than a JavaScript
   * number is returned as the nearest one. If the connection is lost during the call, the call rejects and is not
   * sent again. Then it is unknown whether it was counted.
   *
   * @param by the number to add; finite, 1 by default
   * @param ttl in ms, for an entry that starts with this call; an existing entry keeps its expiry
   * @returns the sum
   * @throws TypeError `ERR_CACHE_NOT_A_NUMBER` if the entry holds something else, or the sum would be beyond
   * `Number.MAX_VALUE`; the entry is left as it is
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `by` or `ttl` is no number
   * @throws RangeError `ERR_OUT_OF_RANGE` if `by` is not finite, or `ttl` negative or NaN
   * @example
   * ```ts
   * const requests = await adapter.increment(`requests:${user}`, 1, 60_000) // the first of a minute starts the minute
   * if (requests > 100) throw new Error('too many requests')
   * ```
   */
  increment(key: string, by?: number, ttl?: number): Promise<number>
  /**
   * As {@link increment}, and returns the end of the entry with the sum: when a window of a rate limit ends. Calls on one key
   * that wait for each other are added up in one statement, as those of {@link increment} are.
   *
   * @param by the number to add; finite, 1 by default
   * @param ttl in ms, for an entry that starts with this call; an existing entry keeps its expiry
   * @returns the sum, and `expiresAt` in ms since the epoch by the server's clock; absent if the entry does not expire
   *
   * Rejects as {@link increment} does.
   *
   * @example
   * ```ts
   * const { value, expiresAt } = await adapter.incrementEntry(`requests:${user}`, 1, 60_000)
   * if (value > 100) response.setHeader('Retry-After', new Date(expiresAt ?? 0).toUTCString())
   * ```
   */
  incrementEntry(key: string, by?: number, ttl?: number): Promise<CacheEntry<number>>
  /**
   * Stores a value in the cache if the entry's present value is the expected one, in one atomic statement: of N concurrent calls that
   * expect the same, one succeeds. Values are compared as JSONB: `1` equals `1.0`, and the order of an object's keys
   * does not matter.
   *
   * If the connection is lost during the call, the call rejects, and it is unknown whether the value was stored.
   *
   * @param expected the value that must be there; `undefined`: there must be none, or an expired one
   * @param ttl in ms, of the new value; absent, 0 or `Infinity`: it does not expire
   * @returns whether the value was stored
   * @throws TypeError as {@link CacheProvider.set}, also for `expected`
   * @example
   * ```ts
   * const isFirst = await adapter.compareAndSet('leader', undefined, 'me', 30_000)
   * const isMoved = await adapter.compareAndSet('order:42', { state: 'paid' }, { state: 'sent' })
   * ```
   */
  compareAndSet(key: string, expected: unknown, value: unknown, ttl?: number): Promise<boolean>
}

/**
 * Checkpoints of long tasks.
 *
 * @category Checkpoints
 */
export interface CheckpointProvider {
  /**
   * Stores a task's checkpoint; if its id exists already, every field is replaced.
   *
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if a field is of the wrong type, or `data` cannot be JSON
   * @throws TypeError `ERR_INVALID_ARG_VALUE` if `JSON.stringify` of `data` throws
   * @throws RangeError `ERR_OUT_OF_RANGE` if `sequence`, `timestamp` or `estimatedTimeRemaining` is no safe integer, or
   * `progress` is not finite
   * @throws DatabaseError with SQLSTATE 22P05 or 22P02, as {@link CacheProvider.set}
   * @example
   * ```ts
   * await adapter.save({
   *   id: 'import-42-3', taskId: 'import-42', sequence: 3, timestamp: Date.now(), progress: 30, data: { row: 3000 },
   * })
   * const latest = await adapter.loadLatest<{ row: number }>('import-42')
   * ```
   */
  save<T>(checkpoint: Checkpoint<T>): Promise<void>
  /** Reads the checkpoint with this id, or undefined. */
  load<T>(id: string): Promise<Checkpoint<T> | undefined>
  /**
   * Reads the task's checkpoint with the highest sequence, of those the highest timestamp, and of those the greatest id;
   * undefined if it has none. It is the last of {@link list}, and the one that `cleanup(taskId, 1)` keeps.
   */
  loadLatest<T>(taskId: string): Promise<Checkpoint<T> | undefined>
  /** Reads all checkpoints of a task, by ascending sequence. */
  list(taskId: string): Promise<Checkpoint<unknown>[]>
  /**
   * Deletes all but the newest checkpoints of a task.
   *
   * @param keepCount how many to keep; 0 deletes all
   * @throws RangeError `ERR_OUT_OF_RANGE` if `keepCount` is negative or no safe integer
   */
  cleanup(taskId: string, keepCount: number): Promise<void>
  /** Deletes all checkpoints of a task. */
  deleteAll(taskId: string): Promise<void>
}

/**
 * Which checkpoints {@link CheckpointOperations.list} returns, and in which order.
 *
 * @category Checkpoints
 */
export interface ListOptions {
  /** The most checkpoints, counted in the order of the list; an integer, 1 or more. Default: all. */
  limit?: number | undefined
  /** Only checkpoints with a sequence smaller than this; a safe integer. Default: all. */
  before?: number | undefined
  /** `'desc'`: the newest first. Default `'asc'`. */
  order?: 'asc' | 'desc' | undefined
}

/**
 * Which tasks {@link CheckpointOperations.listTasks} returns.
 *
 * @category Checkpoints
 */
export interface ListTasksOptions {
  /** The text that the tasks' ids begin with: data and never a pattern. Default `''`. */
  prefix?: string | undefined
  /** The most tasks; an integer, 1 or more. Default: all. */
  limit?: number | undefined
  /** The last task of the page before: only tasks that come after it. It need not exist any more. */
  after?: string | undefined
}

/**
 * Options of {@link CheckpointOperations.iterateTasks}.
 *
 * @category Checkpoints
 */
export interface IterateTasksOptions {
  /** The text that the tasks' ids begin with: data and never a pattern. Default `''`. */
  prefix?: string | undefined
  /** How many tasks are read at once; an integer, 1 or more. Default 1,000. */
  pageSize?: number | undefined
}

/**
 * The operations of checkpoints: those of go-go-scope's {@link CheckpointProvider}, and further ones.
 *
 * @category Checkpoints
 */
export interface CheckpointOperations extends CheckpointProvider {
  /**
   * Stores many checkpoints, which share statements, up to 256 in each. Each is stored as {@link save} stores it, and by itself: if
   * the server refuses one, or if the connection breaks, the others may be stored or not. Call it again then: a checkpoint that is
   * stored already is replaced by itself. Of two with the same id, the later one is stored last. A bad checkpoint rejects before
   * anything is sent.
   *
   * In a transaction ({@link PostgresAdapter.within}) all of them are stored, or none.
   *
   * @throws as {@link save} does, with the failure of the first checkpoint that failed; a field is named `checkpoints[1].id`
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `checkpoints` cannot be iterated over
   * @example
   * ```ts
   * await adapter.saveMany(steps.map((step, sequence) => ({
   *   id: `import-42-${sequence}`, taskId: 'import-42', sequence, timestamp: Date.now(), progress: step.progress, data: step,
   * })))
   * ```
   */
  saveMany(checkpoints: Iterable<Checkpoint>): Promise<void>
  /**
   * Reads a part of a task's checkpoints, by sequence, of equal sequences by timestamp, and of equal timestamps by id. The
   * server reads no more of them than it returns, and those of equal sequence with the last one.
   *
   * To read page by page, pass the last sequence of a page as `before` with `order: 'desc'`. Of checkpoints of one task with the
   * same sequence, those that a page has no room for are then passed over.
   *
   * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` if an option is wrong or misspelt
   * @throws RangeError `ERR_OUT_OF_RANGE` if `limit` is no integer of 1 or more, or `before` no safe integer
   * @example
   * ```ts
   * const newest = await adapter.list('import-42', { limit: 10, order: 'desc' })
   * const earlier = await adapter.list('import-42', { limit: 10, order: 'desc', before: newest.at(-1)?.sequence })
   * ```
   */
  list(taskId: string, options: ListOptions): Promise<Checkpoint<unknown>[]>
  /** As {@link CheckpointProvider.list}. */
  list(taskId: string): Promise<Checkpoint<unknown>[]>
  /**
   * The ids of the tasks that have checkpoints, page by page: in the order of the table's index, as the pages of
   * {@link CacheOperations.keys}. Ids that are stored as digests come last. A page reads the index entries of all checkpoints of its
   * tasks, so it takes longer if the tasks have many.
   *
   * It sees all saves that were made before it. Tasks that come or go between two pages are seen or not; each other task is seen once.
   *
   * An adapter without a `keyPrefix` sees the tasks of all prefixes, under the ids that are stored.
   *
   * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` if an option is wrong or misspelt
   * @throws RangeError `ERR_OUT_OF_RANGE` if `limit` is no integer of 1 or more
   * @example
   * ```ts
   * const first = await adapter.listTasks({ prefix: 'import-', limit: 100 })
   * const second = await adapter.listTasks({ prefix: 'import-', limit: 100, after: first.at(-1) })
   * ```
   */
  listTasks(options?: ListTasksOptions): Promise<string[]>
  /**
   * The ids of all tasks with a prefix, in the order of {@link listTasks}. One page of them is held in memory at a time. Metrics and
   * traces count each page as `checkpoints.listTasks`.
   *
   * @throws as {@link listTasks} does: at once for a bad option, and where a page is read for all else
   * @example
   * ```ts
   * for await (const taskId of adapter.iterateTasks({ prefix: 'import-' })) await adapter.cleanup(taskId, 10)
   * ```
   */
  iterateTasks(options?: IterateTasksOptions): AsyncIterableIterator<string>
}

/**
 * Results, remembered under the key of the work that gave them.
 *
 * `get` and `set` only read and write. If several callers `get` nothing at the same time, do the work and `set` its
 * result, each of them does the work: a charge is made twice. With {@link PostgresIdempotencyAdapter.run}, one of
 * them does it.
 *
 * @category Idempotency
 */
export interface IdempotencyProvider {
  /**
   * Reads the result that was stored under an idempotency key, or null if there was none or it has expired. Null does not mean that no
   * other caller is doing the work: see {@link PostgresIdempotencyAdapter.run}. `expiresAt` is in ms since the epoch,
   * and absent if the entry does not expire.
   *
   * The type argument is not checked against the value.
   */
  get<T>(key: string): Promise<{ value: T; expiresAt?: number } | null>
  /**
   * Stores a result under an idempotency key, in place of an existing one: of several callers, the last one's stays. It does not prevent
   * others from doing the work.
   *
   * A failed Result tuple of go-go-scope, `[Error, undefined]`, is not stored, since it would be read back from JSON
   * as `[{}, null]`, a success. An older entry under the key is removed, so that the failed work is retried.
   *
   * @param ttl in ms; absent, 0 or `Infinity`: the entry does not expire
   *
   * Rejects as {@link CacheProvider.set} does.
   */
  set<T>(key: string, value: T, ttl?: number): Promise<void>
  /** Removes the result under an idempotency key, if there is one. */
  delete(key: string): Promise<void>
}

/**
 * Options of {@link PostgresIdempotencyAdapter.run}.
 *
 * @category Idempotency
 */
export interface RunOptions extends WorkLimit {
  /** How long the result is remembered, in ms; absent, 0 or `Infinity`: without end. */
  ttl?: number | undefined
  /**
   * How long a process that crashes during the work keeps others waiting, in ms; positive and finite. It is renewed
   * for as long as the work takes, so it may be shorter than the work. Default 30,000.
   */
  claimTtl?: number | undefined
  /**
   * Identifies the request, for example a hash of its body: a key that is used again with another fingerprint is
   * refused. A string without U+0000 or lone surrogates.
   */
  fingerprint?: string | undefined
  /**
   * Runs the work in a transaction of the application's own, in which the result is stored as well: its changes and the
   * result are committed together, or neither. A `Pool` of `pg`, or a function that runs its argument in a transaction and
   * passes it a client.
   */
  transaction?: TransactionSource | undefined
}

/**
 * The life cycle that a persistence adapter of go-go-scope may have.
 *
 * @category Adapters
 */
export interface PersistenceAdapter {
  /** Makes the missing parts of the adapter's tables. */
  connect?(): Promise<void>
  /** Closes the adapter's connections. */
  disconnect?(): Promise<void>
  /** Whether the adapter is connected. */
  isConnected?(): boolean
}

/**
 * {@link PostgresAdapter.lock}: a function that has the methods of a lock provider.
 *
 * @category Locks
 */
export interface LockMethod extends LockProvider {
  (key: string, options?: LockOptions): Promise<Lease>
  /** As {@link PostgresAdapter.acquire}. */
  acquire(key: string, ttl: number, owner?: string, options?: AcquireOptions): Promise<LockHandle | null>
  /** As {@link PostgresAdapter.release}. */
  release(key: string, owner: string): Promise<boolean>
}

/**
 * {@link PostgresAdapter.locks}: the adapter's methods for locks.
 *
 * @category Locks
 */
export interface AdapterLocks
  extends Pick<PostgresAdapter, 'acquire' | 'extend' | 'release' | 'forceRelease' | 'holder' | 'semaphore'> {
  /** As {@link PostgresAdapter.lock}. */
  lock(key: string, options?: LockOptions): Promise<Lease>
}

/**
 * {@link PostgresAdapter.circuits}: the adapter's methods for circuit breakers.
 *
 * @category Circuit breakers
 */
export interface AdapterCircuits
  extends Pick<
    PostgresAdapter,
    'getState' | 'setState' | 'recordFailure' | 'recordSuccess' | 'tryProbe' | 'subscribe' | 'breaker'
  > {}

/**
 * {@link PostgresAdapter.cache}: the adapter's methods for its cache.
 *
 * @category Cache
 */
export interface AdapterCache extends CacheOperations {}

/**
 * {@link PostgresAdapter.checkpoints}: the adapter's methods for checkpoints.
 *
 * @category Checkpoints
 */
export interface AdapterCheckpoints extends CheckpointOperations {}

/**
 * Locks, circuit breakers, a cache and checkpoints, in the tables `go_goscope_locks`, `go_goscope_circuit`,
 * `go_goscope_cache` and `go_goscope_checkpoints`.
 *
 * @category Adapters
 * @example
 * ```ts
 * import { Pool } from 'pg'
 * import { PostgresAdapter } from 'goscope-postgres'
 *
 * const adapter = new PostgresAdapter(new Pool({ connectionString: process.env.DATABASE_URL }), { keyPrefix: 'shop:' })
 * await adapter.connect()
 * const lock = await adapter.acquire('nightly-report', 60_000)
 * await lock?.release()
 * await adapter.disconnect()
 * ```
 */
export declare class PostgresAdapter
  implements
    LockProvider,
    CircuitBreakerStateProvider,
    CacheProvider,
    CacheOperations,
    CheckpointProvider,
    CheckpointOperations,
    PersistenceAdapter,
    AdapterLifeCycle
{
  /**
   * Opens no connection yet. All adapters built on one pool share one native pool of at most the pool's `max`
   * connections. These are in addition to the connections that the pool itself opens for the application's own
   * queries.
   *
   * @param pool a `Pool` or `Client` of `pg`, a connection string or a configuration; if absent, the environment says
   * how to connect
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `pool` is no pool or an option is of the wrong type
   * @throws TypeError `ERR_INVALID_ARG_VALUE` if `keyPrefix` contains U+0000
   * @throws RangeError `ERR_OUT_OF_RANGE` if `defaultLockTTL` is not positive and finite
   */
  constructor(pool?: PostgresSource | null, options?: PersistenceAdapterOptions)

  /**
   * Makes what is missing of the four tables and their indexes, and nothing else. Needs no DDL rights where they exist,
   * and any number of processes may call it at once. A method used before it makes its own table on first need.
   *
   * @category Life cycle
   * @throws DatabaseError with SQLSTATE 42501 if a table is missing and the role may not create it
   * @throws Error with `code` `ECONNREFUSED`, `ENOTFOUND`, ... if the server cannot be reached
   */
  connect(): Promise<void>
  /**
   * Waits for calls and work under way, closes the native connections, and ends the `pg.Pool` that was given, for all
   * adapters built on it. Calling it twice is harmless. The application's own `pool.end()` waits for the same, but
   * ends the pool's own clients at once.
   *
   * - New calls are refused at once. It waits for calls under way.
   * - It waits for work of {@link PostgresIdempotencyAdapter.run} and {@link CacheOperations.getOrSet} that has
   *   begun, however long that takes, and also for a refresh in the background: the result is stored, and the claim
   *   released. Calls that the work itself makes are accepted until then. Work that has not begun, because another
   *   process is doing it, is refused. To bound the wait, make the work end (by a signal of your own), or end the
   *   process: the claim then lasts for `claimTtl`.
   * - A {@link lock} that waits is refused. A lock is released if its wait was given up, or if it was granted while
   *   the pool is being ended (by {@link acquire}, too, unless its owner was named). Claims are released, too. It
   *   waits for these releases, for up to 5 s. A process that has nothing else to do does not exit before that,
   *   either. Release a lease that you hold before.
   * - If it is called within the work of `run` or `getOrSet`, it resolves at once, and the pool ends when that work
   *   is over. The same holds within work on another pool, if work here waits for the end of that one.
   *
   * @category Life cycle
   */
  disconnect(): Promise<void>
  /**
   * True from a successful {@link connect} to {@link close}, {@link disconnect} or the pool's end. Sends no request.
   *
   * @category Life cycle
   */
  isConnected(): boolean

  // As documented at AdapterLifeCycle

  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
  ping(): Promise<void>
  health(options?: HealthOptions): Promise<Health>

  // The same methods by subject, under the names that they have in metrics and traces

  /**
   * The methods for locks: `adapter.locks.acquire` is `adapter.acquire`. They may be called detached from it. A method that
   * was replaced on the adapter is replaced here, too.
   *
   * @category Groups
   * @example
   * ```ts
   * await using lease = await adapter.locks.lock('invoices', { ttl: 30_000 })
   * const rates = await adapter.cache.get('rates')
   * ```
   */
  readonly locks: AdapterLocks
  /**
   * The methods for circuit breakers: `adapter.circuits.getState` is `adapter.getState`. See {@link locks}.
   *
   * @category Groups
   */
  readonly circuits: AdapterCircuits
  /**
   * The methods for the cache: `adapter.cache.get` is `adapter.get`. See {@link locks}.
   *
   * @category Groups
   */
  readonly cache: AdapterCache
  /**
   * The methods for checkpoints: `adapter.checkpoints.save` is `adapter.save`. See {@link locks}.
   *
   * @category Groups
   */
  readonly checkpoints: AdapterCheckpoints

  // Locks, as documented at LockProvider; a `ttl` that is left out is the `defaultLockTTL`

  /**
   * Takes a lock if it is absent or expired, as {@link LockProvider.acquire}, or already this owner's, unless `reentrant` is false.
   *
   * With `reentrant: false`, a call whose answer is lost finds out whether it has taken the lock itself, as any call does: it returns
   * a lease then, and null if the owner has held the lock before. Of several such calls under one owner, one gets the lock. An
   * owner's call without the option, and one through the pg-based adapter, takes the lock again nevertheless.
   *
   * @category Locks
   * @throws Error `ERR_REENTRANCY_UNAVAILABLE` if `reentrant` is false, an owner is given, and the table has no column for that, which
   * `connect()` adds
   * @example
   * ```ts
   * const lease = await adapter.acquire('invoices', 30_000, 'worker-7', { reentrant: false })
   * ```
   */
  acquire(key: string, ttl?: number, owner?: string, options?: AcquireOptions): Promise<Lease | null>
  extend(key: string, ttl: number | undefined, owner: string): Promise<boolean>
  forceRelease(key: string): Promise<void>

  // Locks, beyond what is documented

  /**
   * Releases a lock if it is this owner's, for a caller that has no handle: in another process, or after a restart. A handle's own
   * `release()` needs no answer and does not wait for the disk; this one does.
   *
   * It is not retried if its outcome is unknown: it rejects then, and may have released the lock.
   *
   * @category Locks
   * @returns whether the owner held the lock until now; false if the lease had expired, or another owner has the lock, which
   * keeps it
   * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` if `key` or `owner` is no text that can be stored
   * @example
   * ```ts
   * const wasHeld = await adapter.release('invoices', 'worker-7')
   * ```
   */
  release(key: string, owner: string): Promise<boolean>
  /**
   * Takes a lock as soon as it is free, and renews its lease until it is released.
   *
   * Waiters of one process that use one pool acquire the lock first-in, first-out. The release wakes the waiters of
   * all processes at once. If PostgreSQL's notifications cannot be received, for example through a pooler in
   * transaction mode, the lock is checked every quarter of a second. Waiting keeps the process alive; holding does
   * not.
   *
   * Renewal needs no event loop: a blocked event loop loses no lease. Renewal continues until the lease is released,
   * found to be lost, or the pool is ended, even if the handle is garbage. The rest of the lease then runs out after
   * at most `ttl`. A renewal extends this lease and no other: if the same owner acquires the lock again, in this
   * process or another, the earlier lease is lost at its next renewal, and its signal aborts.
   *
   * If the first try fails, the call rejects, as {@link acquire} does; later tries retry failures that pass within
   * 30 s.
   *
   * It is also the lock provider that go-go-scope takes: `new Lock(signal, { provider: s.persistence?.lock, key })`.
   *
   * @category Locks
   * @throws Error `ERR_LOCK_WAIT_TIMEOUT` if the lock did not become free within `wait`; its `holder` is the owner
   * that held it, or null
   * @throws the reason of `signal`, if it aborts before the lock is granted
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if there is no `ttl` and no `defaultLockTTL`, or an option is of the wrong type
   * @throws RangeError `ERR_OUT_OF_RANGE` if `ttl` is not positive and finite, or `wait` is negative or NaN
   * @example
   * ```ts
   * await using lease = await adapter.lock('nightly-report', { ttl: 30_000, wait: 60_000 })
   * for (const part of parts) {
   *   lease.signal.throwIfAborted()
   *   await work(part)
   * }
   * ```
   */
  readonly lock: LockMethod
  /**
   * The holder of a lock and the end of its lease, or null if the lock is not held. It may have changed by the time
   * the answer arrives.
   *
   * @category Locks
   * @example
   * ```ts
   * const holder = await adapter.holder('nightly-report')
   * if (holder) console.log(`${holder.owner} until ${new Date(holder.expiresAt).toISOString()}`)
   * ```
   */
  holder(key: string): Promise<LockHolder | null>
  /**
   * A semaphore: at most `permits` callers hold it at once, each with a lease of its own. It sends nothing itself.
   *
   * A semaphore is no row of its own: each caller says how many permits there are. A caller gets one of the permits 1 to `permits`, so
   * callers that say a smaller number wait until one of those is free, and there are never more holders than the largest number.
   *
   * A fencing token is greater than that of every earlier holder of the same permit. Holders of other permits may be live with
   * smaller tokens.
   *
   * @category Locks
   * @param key any string without U+0000 and without lone surrogates. A lock of the same key is another matter
   * @param permits an integer from 1 to 1,000
   * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` if an argument is wrong; at once, as this returns no promise
   * @throws RangeError `ERR_OUT_OF_RANGE` if `permits` is no integer from 1 to 1,000; at once
   * @example
   * ```ts
   * const uploads = adapter.semaphore('uploads', 5)
   * await using lease = await uploads.acquire({ ttl: 30_000 })
   * ```
   */
  semaphore(key: string, permits: number): Semaphore

  // Circuit breakers, as documented at CircuitBreakerStateProvider

  getState(key: string): Promise<CircuitBreakerPersistedState | null>
  /**
   * Stores a circuit breaker's complete state, as {@link CircuitBreakerStateProvider.setState}; a `Date` is stored as its time.
   *
   * @category Circuit breakers
   */
  setState(key: string, state: CircuitBreakerStateToStore): Promise<void>
  /**
   * Counts a circuit breaker's failure, as {@link CircuitBreakerStateProvider.recordFailure}; without `maxFailures` it only counts.
   *
   * @category Circuit breakers
   */
  recordFailure(key: string, maxFailures?: number): Promise<number>
  recordSuccess(key: string): Promise<void>

  /**
   * Calls `callback` with the circuit breaker's complete state, in the form of {@link getState}, each time that its `state`
   * has changed, no matter what changed it: this process or another, this package, the pg-based adapter, or SQL by
   * hand. A change of the count alone is no change. A breaker whose row is deleted is
   * `{ state: 'closed', failureCount: 0 }`.
   *
   * It is not called with the state at the time of subscribing. After that, changes are reported in their order,
   * never the same state twice in a row. If changes follow each other faster than they can be read, only the last of
   * them is reported.
   *
   * The server sends notifications of changes (`LISTEN`), over one connection for all subscriptions on a pool, in
   * addition to its `max`. While that connection is lost, or is impossible because a transaction pooler is in between
   * or the table has no trigger for it, the state is read once a second.
   *
   * A subscription does not keep the process alive. {@link disconnect} ends it. If `callback` throws or rejects, that
   * is an unhandled rejection, and the other callbacks are still called.
   *
   * @category Circuit breakers
   * @returns a function that ends the subscription: `callback` is not called any more. Calling it twice is harmless
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `key` is no string or `callback` no function; at once, as this returns no
   * promise
   * @throws Error if the pool has been ended
   * @example
   * ```ts
   * const unsubscribe = adapter.subscribe('payments', ({ state }) => {
   *   if (state === 'open') worker.pause()
   *   else worker.resume()
   * })
   * ```
   */
  subscribe(key: string, callback: (state: CircuitBreakerPersistedState) => void): () => void
  /**
   * Whether the caller may try a circuit breaker that is not closed; of the callers of all processes, exactly one may at a
   * time.
   *
   * An `'open'` breaker becomes `'half-open'` when `resetTimeout` has passed since its last failure (if none is
   * stored, since it was written). The caller that gets true then tries, and reports by {@link recordSuccess}, which
   * closes it, or {@link recordFailure}, which opens it again. If no report comes within `resetTimeout`, the next
   * caller may try. All times are the server's. A call that returns false writes nothing.
   *
   * If the connection is lost before the answer, the call rejects, and the request is not repeated: the caller may
   * have been let through, and a second answer would be false. Treat this as false; after `resetTimeout` the next
   * caller may try.
   *
   * @category Circuit breakers
   * @param resetTimeout in ms; positive and finite
   * @returns false also for a breaker that is closed or was never stored: there is nothing to try
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `resetTimeout` is no number
   * @throws RangeError `ERR_OUT_OF_RANGE` if `resetTimeout` is not positive and finite
   * @example
   * ```ts
   * const circuit = await adapter.getState('payments')
   * if (!circuit || circuit.state === 'closed' || (await adapter.tryProbe('payments', 30_000))) {
   *   try {
   *     await pay()
   *     await adapter.recordSuccess('payments')
   *   } catch (error) {
   *     await adapter.recordFailure('payments', 5)
   *     throw error
   *   }
   * }
   * ```
   */
  tryProbe(key: string, resetTimeout: number): Promise<boolean>
  /**
   * A circuit breaker that guards calls to a service. All breakers with one key, in all processes, share one state.
   *
   * Calling this again is cheap: the breakers of one key in one adapter share what this process knows. That is one
   * subscription, which ends when they have not been used for ten minutes and have no listeners.
   *
   * @category Circuit breakers
   * @throws TypeError `ERR_INVALID_ARG_TYPE` or RangeError `ERR_OUT_OF_RANGE` if an argument is wrong; at once, as this returns no
   * promise
   * @example
   * ```ts
   * const payments = adapter.breaker('payments', { maxFailures: 5, resetTimeout: 30_000, timeout: 2_000 })
   * const receipt = await payments.run(({ signal }) => fetch(url, { signal }))
   * ```
   */
  breaker(key: string, options: BreakerOptions): Breaker

  // Cache, as documented at CacheProvider

  get<T>(key: string): Promise<T | null>
  set<T>(key: string, value: T, ttl?: number): Promise<void>
  delete(key: string): Promise<void>
  has(key: string): Promise<boolean>
  /**
   * Removes every cache entry under the `keyPrefix`; without one, the cached values of every prefix.
   *
   * @category Cache
   */
  clear(): Promise<void>
  clear(options: ClearOptions): Promise<void>
  /**
   * The cache's keys that have not expired, as they were given to {@link set}, in the order of their bytes. Without a
   * `keyPrefix`, those that were stored without one.
   *
   * @category Cache
   * @param pattern of SQL's `LIKE`: `%` is any text, `_` any one character, `\` escapes. Absent or empty: all keys
   * @example
   * ```ts
   * await adapter.keys('user:%')
   * ```
   */
  keys(pattern?: string): Promise<string[]>
  keys(options: KeysOptions): Promise<string[]>

  // The cache's other operations, as documented at CacheOperations

  iterateKeys(options?: IterateKeysOptions): AsyncIterableIterator<string>
  getEntry<T>(key: string): Promise<CacheEntry<T> | null>
  touch(key: string, ttl?: number): Promise<boolean>
  getMany<T>(keys: Iterable<string>): Promise<(T | null)[]>
  setMany(
    entries: Iterable<readonly [key: string, value: unknown, ttl?: number | undefined]>,
    ttl?: number,
  ): Promise<void>
  deleteMany(keys: Iterable<string>): Promise<boolean[]>
  take<T>(key: string): Promise<T | null>
  getOrSet<T>(
    key: string,
    compute: (context: WorkContext) => T | Promise<T>,
    options?: GetOrSetOptions,
  ): Promise<Stored<T>>
  increment(key: string, by?: number, ttl?: number): Promise<number>
  incrementEntry(key: string, by?: number, ttl?: number): Promise<CacheEntry<number>>
  compareAndSet(key: string, expected: unknown, value: unknown, ttl?: number): Promise<boolean>

  // Checkpoints, as documented at CheckpointProvider

  save<T>(checkpoint: Checkpoint<T>): Promise<void>
  load<T>(id: string): Promise<Checkpoint<T> | undefined>
  loadLatest<T>(taskId: string): Promise<Checkpoint<T> | undefined>
  list(taskId: string): Promise<Checkpoint<unknown>[]>
  list(taskId: string, options: ListOptions): Promise<Checkpoint<unknown>[]>
  cleanup(taskId: string, keepCount: number): Promise<void>
  deleteAll(taskId: string): Promise<void>

  // Checkpoints, as documented at CheckpointOperations

  saveMany(checkpoints: Iterable<Checkpoint>): Promise<void>
  listTasks(options?: ListTasksOptions): Promise<string[]>
  iterateTasks(options?: IterateTasksOptions): AsyncIterableIterator<string>

  // Monitoring

  // Transactions

  /**
   * The adapter's methods for circuit breakers, cache and checkpoints, on a connection of the application: inside the transaction that
   * is open there, and undone with it. Without a transaction, each call is one of its own. See the page "Transactions".
   *
   * - Arguments, results, keys, values and time are the same. A call sees what the transaction has written.
   * - Calls run on the client one after the other, in the order in which they were made. Await each before you commit.
   * - Nothing is retried, and nothing else is done: no expired rows are removed. An error is the driver's own, the
   *   same object, and ends your transaction as any error of SQL does.
   * - The rows that a call has written stay locked until the transaction ends: other processes' calls on the same keys wait
   *   for that. So keep such transactions short.
   * - The tables must exist, or be made by the pool's role: the first call of an adapter that is not connected makes them
   *   through the pool, and not in your transaction.
   *
   * @category Transactions
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `client` has no method `query`; at once, as this returns no promise
   * @throws TypeError `ERR_INVALID_ARG_VALUE` if `client` is a pool: its queries would run on any connection; at once
   * @example
   * ```ts
   * const client = await pool.connect()
   * await client.query('BEGIN')
   * await client.query('INSERT INTO orders …')
   * await adapter.within(client).save({ id, taskId, sequence, timestamp: Date.now(), progress, data })
   * await client.query('COMMIT') // both, or neither
   * ```
   */
  within(client: QueryClient): PostgresAdapterWithin

  /**
   * The present state of the native pool, and its counters since it was made, for all adapters on the same `pg.Pool`.
   * Cheap enough to call each second (0.1 ms), and it sends no request. It works after the pool's end, too.
   *
   * @category Observability
   * @example
   * ```ts
   * const { pool, operations } = adapter.metrics()
   * console.log(pool.open, 'connections,', operations['locks.acquire']?.calls ?? 0, 'calls')
   * ```
   */
  metrics(): Metrics
}

/**
 * A {@link PostgresAdapter} within a transaction: the methods that read and write rows, and the check of a lease. Locks cannot
 * be taken here, since other processes would see them only when the transaction commits: such a call rejects with
 * `ERR_WITHIN_TRANSACTION`, and so does every other call that needs more than this one connection.
 *
 * @category Transactions
 */
export interface PostgresAdapterWithin
  extends Omit<CircuitBreakerStateProvider, 'subscribe' | 'setState' | 'recordFailure'>,
    Omit<CacheOperations, 'getOrSet'>,
    CheckpointOperations,
    Pick<PostgresAdapter, 'setState' | 'recordFailure' | 'tryProbe' | 'metrics'> {
  /**
   * Makes the transaction fail unless a lease is still held: a check of its fencing token. Until the transaction ends, no
   * other process takes the lock over, even if the lease runs out. So what the transaction writes is written under the lock.
   * Release the lease after the commit: before that, its release waits for the transaction.
   *
   * @throws DatabaseError with SQLSTATE GF001 if the lease has run out, was released, or another holder has taken the lock;
   * the driver's own error
   * @throws Error `ERR_FENCING_UNAVAILABLE` if the database has no tokens, or no function to check them
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `lease` has no key or no token
   * @example
   * ```ts
   * await using lease = await adapter.lock('invoices', { ttl: 30_000 })
   * await client.query('BEGIN')
   * await adapter.within(client).assertHeld(lease)
   * await client.query('UPDATE invoices …')
   * await client.query('COMMIT')
   * ```
   */
  assertHeld(lease: LeaseToCheck): Promise<void>
}

/**
 * The same as `new PostgresAdapter(pool, options)`, for the form in go-go-scope's documentation.
 *
 * @category Adapters
 */
export declare function createPostgresAdapter(
  pool?: PostgresSource | null,
  options?: PersistenceAdapterOptions,
): PostgresAdapter

/**
 * A cache in a table of its own, which counts its hits and misses.
 *
 * `keys`, `clear`, `stats` and `prune` are limited to the `keyPrefix`; without one, they see the whole table.
 *
 * @category Adapters
 * @example
 * ```ts
 * import { Pool } from 'pg'
 * import { PostgresCacheAdapter } from 'goscope-postgres'
 *
 * const cache = new PostgresCacheAdapter(new Pool(), { tableName: 'sessions', keyPrefix: 'web:' })
 * await cache.initialize()
 * await cache.set('user:1', { name: 'Ada' }, 60_000)
 * await cache.keys('user:*') // ['user:1']
 * ```
 */
export declare class PostgresCacheAdapter implements CacheProvider, CacheOperations, AdapterLifeCycle {
  /**
   * Opens no connection yet, and shares those of all adapters built on the same pool.
   *
   * @param pool a `Pool` of `pg`, a connection string or a configuration; if absent, the environment says how to
   * connect
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `pool` is no pool or an option is of the wrong type
   * @throws TypeError `ERR_INVALID_ARG_VALUE` if `tableName` is not `name` or `schema.name`, each of 1 to 63 bytes, or
   * `keyPrefix` contains U+0000
   */
  constructor(pool?: PostgresSource | null, options?: PostgresCacheAdapterOptions)

  /**
   * Makes the table and its index where they are missing; see {@link PostgresAdapter.connect}.
   *
   * @category Life cycle
   */
  initialize(): Promise<void>

  // As documented at AdapterLifeCycle

  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
  disconnect(): Promise<void>
  ping(): Promise<void>
  health(options?: HealthOptions): Promise<Health>

  // As documented at CacheProvider

  get<T>(key: string): Promise<T | null>
  set<T>(key: string, value: T, ttl?: number): Promise<void>
  delete(key: string): Promise<void>
  has(key: string): Promise<boolean>
  /**
   * Removes every cache entry under the `keyPrefix`; without one, the whole table's.
   *
   * @category Cache
   */
  clear(): Promise<void>
  clear(options: ClearOptions): Promise<void>
  /**
   * The cache's keys that have not expired, as they were given to {@link set}, in the order of their bytes.
   *
   * @category Cache
   * @param pattern `*` is any text, every other character means itself. Absent or empty: all keys
   */
  keys(pattern?: string): Promise<string[]>
  keys(options: KeysOptions): Promise<string[]>

  // As documented at CacheOperations

  iterateKeys(options?: IterateKeysOptions): AsyncIterableIterator<string>
  getEntry<T>(key: string): Promise<CacheEntry<T> | null>
  touch(key: string, ttl?: number): Promise<boolean>
  getMany<T>(keys: Iterable<string>): Promise<(T | null)[]>
  setMany(
    entries: Iterable<readonly [key: string, value: unknown, ttl?: number | undefined]>,
    ttl?: number,
  ): Promise<void>
  deleteMany(keys: Iterable<string>): Promise<boolean[]>
  take<T>(key: string): Promise<T | null>
  getOrSet<T>(
    key: string,
    compute: (context: WorkContext) => T | Promise<T>,
    options?: GetOrSetOptions,
  ): Promise<Stored<T>>
  increment(key: string, by?: number, ttl?: number): Promise<number>
  incrementEntry(key: string, by?: number, ttl?: number): Promise<CacheEntry<number>>
  compareAndSet(key: string, expected: unknown, value: unknown, ttl?: number): Promise<boolean>

  /**
   * The cache's statistics: this instance's hits and misses, and the number of live entries under its prefix.
   *
   * @category Cache
   */
  stats(): Promise<CacheStats>
  /**
   * Removes all expired cache entries under the prefix. It need not be called: each write removes a few of them.
   *
   * @category Cache
   * @returns how many were removed
   */
  prune(): Promise<number>

  /**
   * The cache on a connection of the application, inside the transaction that is open there; see
   * {@link PostgresAdapter.within}. Its hits and misses are counted for themselves.
   *
   * @category Transactions
   */
  within(client: QueryClient): PostgresCacheAdapterWithin

  /**
   * The state and the counters of the native pool; see {@link PostgresAdapter.metrics}.
   *
   * @category Observability
   */
  metrics(): Metrics
}

/**
 * A {@link PostgresCacheAdapter} within a transaction.
 *
 * @category Transactions
 */
export interface PostgresCacheAdapterWithin
  extends Omit<CacheOperations, 'getOrSet'>,
    Pick<PostgresCacheAdapter, 'stats' | 'prune' | 'metrics'> {}

/**
 * Work that is done once per idempotency key, and its results, in the table `go_goscope_idempotency`.
 *
 * @category Adapters
 * @example
 * ```ts
 * import { Pool } from 'pg'
 * import { PostgresIdempotencyAdapter } from 'goscope-postgres'
 *
 * const results = new PostgresIdempotencyAdapter(new Pool())
 * await results.connect()
 * // Of all callers, in all processes, one charges; the others have its receipt.
 * const receipt = await results.run('order:42', async () => ({ charged: 1999 }), { ttl: 24 * 60 * 60 * 1000 })
 * ```
 */
export declare class PostgresIdempotencyAdapter implements IdempotencyProvider, AdapterLifeCycle {
  /**
   * Opens no connection yet, and shares those of all adapters built on the same pool.
   *
   * @param pool a `Pool` of `pg`, a connection string or a configuration; if absent, the environment says how to
   * connect
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `pool` is no pool or an option is of the wrong type
   * @throws TypeError `ERR_INVALID_ARG_VALUE` if `keyPrefix` contains U+0000
   */
  constructor(pool?: PostgresSource | null, options?: PostgresIdempotencyAdapterOptions)

  /**
   * Makes the table and its index where they are missing; see {@link PostgresAdapter.connect}.
   *
   * @category Life cycle
   */
  connect(): Promise<void>

  // As documented at AdapterLifeCycle

  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
  disconnect(): Promise<void>
  ping(): Promise<void>
  health(options?: HealthOptions): Promise<Health>

  // As documented at IdempotencyProvider

  get<T>(key: string): Promise<{ value: T; expiresAt?: number } | null>
  set<T>(key: string, value: T, ttl?: number): Promise<void>
  delete(key: string): Promise<void>

  /**
   * The results on a connection of the application, inside the transaction that is open there; see
   * {@link PostgresAdapter.within}. To run work and store its result in one transaction, use {@link run}.
   *
   * @category Transactions
   */
  within(client: QueryClient): PostgresIdempotencyAdapterWithin

  /**
   * The state and the counters of the native pool; see {@link PostgresAdapter.metrics}.
   *
   * @category Observability
   */
  metrics(): Metrics

  /**
   * Runs work once, in a transaction of the application: as the other form of {@link run}, which has the details.
   *
   * @category Transactions
   * @example
   * ```ts
   * const order = await results.run(`order:${request.id}`, async ({ client }) => {
   *   const { rows } = await client.query('INSERT INTO orders (item) VALUES ($1) RETURNING id', [request.item])
   *   return rows[0]
   * }, { transaction: pool })
   * ```
   */
  run<T, Source extends TransactionSource>(
    key: string,
    work: (context: TransactionContext<ClientOf<Source>>) => T | Promise<T>,
    options: RunOptions & { transaction: Source },
  ): Promise<RunResult<T>>
  /**
   * Runs work under a key once, and remembers its result: of all calls with this key, in any process, one runs
   * `work`. The others wait for its result and receive it as soon as it is stored. Later calls receive it for as long
   * as it is remembered, and so does {@link get}; a result that {@link set} has stored counts, too.
   *
   * A failure is not remembered: it rejects the call that ran the work, and the next waiting call, or the next new
   * call, runs it again. A failed Result of go-go-scope, `[Error, undefined]`, is not remembered either, and is
   * returned to that caller as it is. A remembered result is returned as JSON would read it back, also to the caller
   * that ran the work; `undefined` as null.
   *
   * **What it cannot promise.** A process may crash after `work` has had its effect, and before its result is stored.
   * Then nothing is left behind, and when `claimTtl` is over another process runs the work again. The same happens if
   * a process is frozen for longer than that, or cut off from the server: its `signal` aborts, and of two results all
   * callers get the one that is stored first. If a second run must not happen at all, let the effect itself carry the
   * key, as the payment providers' own idempotency keys do.
   *
   * **With `transaction`** the effects in your database happen exactly once. The work runs in a transaction, and makes its
   * changes through `client`; its result is stored in the same transaction, and one `COMMIT` makes both visible. If two
   * processes do the work, the second one finds the key taken when it stores its result: it rolls back, and its caller gets
   * the first one's result. A crash leaves neither changes nor result. Work that throws, and a failed Result, roll back. If
   * the answer to the `COMMIT` is lost, the call returns the stored result if it finds it, and otherwise rejects; call it
   * again then. What the work does outside of the database may still happen twice.
   *
   * A `work` that calls `run` with its own key is refused at once, however deep the call is. (This is detected for
   * adapters on one `pg.Pool`; through another pool, only `wait` and `signal` end it.) The end of the pool waits for
   * work that has begun; see {@link PostgresAdapter.disconnect}.
   *
   * The claim is a lock in `go_goscope_locks`, renewed whatever the event loop does. Storing the result is retried
   * through failures that pass within `claimTtl`.
   *
   * @category Idempotency
   * @param work returns the result, or a promise of it
   * @throws whatever `work` throws
   * @throws Error `ERR_IDEMPOTENCY_FINGERPRINT_MISMATCH` if the key has a result with another fingerprint; if the
   * work is under way, this is known when it is done
   * @throws Error `ERR_FINGERPRINT_UNAVAILABLE` if a fingerprint is given and the table has no column for it, or the role
   * may not use it; `work` has not run
   * @throws Error `ERR_TRANSACTION_ROLLED_BACK` with `transaction`, if the server has answered the `COMMIT` with a rollback, or a
   * function in `transaction` has resolved and the result is not there
   * @throws Error `ERR_TRANSACTION_ENDED` with `transaction`, if the work has ended the transaction by itself
   * @throws Error `ERR_IDEMPOTENCY_RESULT_GONE` with `transaction`, if another process's result was in the way of this
   * one's, and has expired or was deleted since; the work was rolled back
   * @throws Error `ERR_WORK_WAITS_FOR_ITSELF` within the `work` of the same key; with `transaction`, also within the work of runs
   * that hold all clients of the pool
   * @throws Error `ERR_WORK_WAIT_TIMEOUT` if another caller's work was not done within `wait`
   * @throws the reason of `signal`, if that aborts while another caller works
   * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` if an argument is wrong, or the result cannot be
   * JSON: the work has then run, and nothing is remembered
   * @throws RangeError `ERR_OUT_OF_RANGE` if `ttl` is negative or NaN, or `claimTtl` not positive and finite
   * @example
   * ```ts
   * const receipt = await results.run(`charge:${order.id}`, async ({ signal }) => await charge(order, { signal }), {
   *   ttl: 24 * 60 * 60 * 1000,
   *   fingerprint: `${order.currency}:${order.amount}`,
   * })
   * ```
   */
  run<T>(key: string, work: (context: WorkContext) => T | Promise<T>, options?: RunOptions): Promise<RunResult<T>>
}

/**
 * A {@link PostgresIdempotencyAdapter} within a transaction.
 *
 * @category Transactions
 */
export interface PostgresIdempotencyAdapterWithin
  extends IdempotencyProvider,
    Pick<PostgresIdempotencyAdapter, 'metrics'> {}

/**
 * The loaded native addon, for bug reports and for checks that a deployment is complete.
 *
 * @category Observability
 */
export interface BuildInfo {
  /** Its version, which is this package's. */
  readonly version: string
  /** The platform that it was built for, as Rust names it: `x86_64-unknown-linux-gnu`. */
  readonly target: string
  /** Optional parts that are compiled in, such as those that only tests need. A published addon has none. */
  readonly features: readonly string[]
}

/**
 * What this package's native addon is: its version, platform and optional parts.
 *
 * @category Observability
 */
export declare const buildInfo: BuildInfo
