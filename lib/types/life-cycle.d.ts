// What all adapters have in common.

import type { Health, HealthOptions } from './health.js'

/**
 * The end of an adapter, in two ways, and a check whether its server answers.
 *
 * @category Adapters
 */
export interface AdapterLifeCycle {
  /**
   * Ends this adapter, and nothing that was given to it: a `pg.Pool` stays open, and so do other adapters on it. The
   * last adapter of a pool that is closed closes the native connections.
   *
   * It waits for this adapter's calls under way, and for work of `run` and `getOrSet` that has begun, as `disconnect`
   * does. `lock()` calls that wait are refused, and subscriptions and renewals end. Release a lease that you hold
   * before closing. Later calls reject with `ERR_ADAPTER_CLOSED`. Closing twice is harmless. Within work that it
   * would wait for, it resolves at once; also if it would wait through other work that closes this adapter. A lock
   * that was granted meanwhile is released before it resolves.
   *
   * @example
   * ```ts
   * await using cache = new PostgresCacheAdapter(pool) // closed at the end of the block; the pool is not
   * ```
   */
  close(): Promise<void>
  /** {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
  /**
   * Ends the `pg.Pool` that was given, and with it all adapters built on it, after their calls and work under way.
   * Calling it twice is harmless. See `PostgresAdapter.disconnect`.
   */
  disconnect(): Promise<void>
  /**
   * Sends a query to the server, and resolves when the server has answered. For health checks: it needs no table and
   * no right, and makes nothing. `connectionTimeoutMillis` and `query_timeout` limit how long it waits.
   *
   * @throws Error with `code` `ECONNREFUSED`, `ENOTFOUND`, ... if the server cannot be reached
   */
  ping(): Promise<void>
  /**
   * Whether this adapter can serve calls now, for the checks of hosts. It does not reject for a server that is away: it reports
   * that. Calls that overlap share one ping.
   *
   * @throws TypeError `ERR_INVALID_ARG_TYPE` or RangeError `ERR_OUT_OF_RANGE` if an option is wrong
   * @example
   * ```ts
   * app.get('/ready', async (_, response) => {
   *   const { ready, error } = await adapter.health()
   *   response.status(ready ? 200 : 503).json({ ready, error: error?.message })
   * })
   * ```
   */
  health(options?: HealthOptions): Promise<Health>
}
