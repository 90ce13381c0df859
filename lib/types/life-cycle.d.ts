// What all adapters have in common.

/** The end of an adapter, in two ways, and the question whether its server answers. */
export interface AdapterLifeCycle {
  /**
   * Ends this adapter, and nothing that was given to it: a `pg.Pool` stays open, and so do other adapters on it. The last
   * adapter of a pool that is closed closes the native connections.
   *
   * It waits for this adapter's calls under way, and for work of `run` and `getOrSet` that has begun, as `disconnect` does:
   * `lock()`s that wait are refused, subscriptions and renewals end, and a lease that is held is yours to release before. Later
   * calls reject with `ERR_ADAPTER_CLOSED`. Twice is fine. Within work that it would wait for, it resolves at once; also if it
   * would wait by way of work that closes this adapter. A lock that was granted meanwhile is given back before it resolves.
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
   * Ends the `pg.Pool` that was given, and with it all adapters built on it, after what they have under way. Twice is fine. See
   * `PostgresAdapter.disconnect`.
   */
  disconnect(): Promise<void>
  /**
   * Asks the server, and resolves when it has answered. For health checks: it needs no table and no right, and makes nothing.
   * How long it waits is up to `connectionTimeoutMillis` and `query_timeout`.
   *
   * @throws Error with `code` `ECONNREFUSED`, `ENOTFOUND`, ... if the server cannot be reached
   */
  ping(): Promise<void>
}
