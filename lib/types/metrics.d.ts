// What `metrics()` reports.

/**
 * A distribution of values, in the form that exporters of metrics take: OpenTelemetry's explicit buckets, or
 * Prometheus' `le`.
 *
 * @category Observability
 */
export interface Histogram {
  /** Upper bounds, ascending, each part of its own bucket. They never change. */
  readonly bounds: readonly number[]
  /**
   * One number for each bucket: `counts[i]` values were above `bounds[i - 1]` and at most `bounds[i]`. The last
   * bucket has no bound: its values were above all bounds.
   */
  readonly counts: readonly number[]
  /** The sum of all values. */
  readonly sum: number
  /** How many values there were: the sum of `counts`. */
  readonly count: number
}

/**
 * The metrics of one operation.
 *
 * @category Observability
 */
export interface OperationMetrics {
  /** Calls that were answered, with success or not; equal to `latency.count`. */
  readonly calls: number
  /**
   * Calls that failed, by the error's `code`. `_OTHER` has those without one, and those with further codes after 32
   * different ones.
   */
  readonly errors: Readonly<Record<string, number>>
  /**
   * How often calls were retried: after a transient failure, or alone after the statement that they shared had
   * failed. Of a call about many keys each part counts that is retried, so there may be more retries than calls.
   */
  readonly retries: number
  /**
   * In ms, from the call to its answer. It includes waits for the call's turn and for a connection, but not the wait
   * for the event loop. Calls that are made together count from the first of them. From 0.016 ms to 67 s; no bound is
   * more than a quarter above the one before.
   */
  readonly latency: Histogram
}

/**
 * What `metrics()` reports for a native pool, for all adapters built on one `pg.Pool`. Counters count since the first
 * of these adapters was made, and only increase.
 *
 * @category Observability
 */
export interface Metrics {
  /** Native connections that carry calls. */
  readonly pool: {
    /** How many are open. */
    readonly open: number
    /** How many of those are idle. */
    readonly idle: number
    /** How many waits for a connection there are now: for one to be free, or to be opened. */
    readonly waiting: number
    /** The maximum number of connections. */
    readonly max: number
  }
  /**
   * The connection for notifications: 1 while one is open and receives them, else 0. It is not counted in the pool.
   */
  readonly listening: number
  readonly pipelines: {
    /** Connections that execute batches of statements, one after the other. */
    readonly active: number
    /**
     * How many of those wait for longer than 10 ms, for example for a row lock of another transaction, or before a
     * retry.
     */
    readonly blocked: number
  }
  readonly calls: {
    /** Made, and not answered. Right after an answer, its call may still count. */
    readonly inFlight: number
    /** How many of those have not been sent yet: they wait for their turn or for a connection. */
    readonly queued: number
  }
  /** How often a pipeline has taken the calls that were ready. */
  readonly batches: number
  /**
   * Calls by statement: `count` statements were sent, which carried `sum` calls. A call that was retried is counted
   * each time.
   */
  readonly statements: Histogram
  /**
   * By name, as in {@link operations}; only those that have been called. A call that was never sent is in none: one
   * with a bad argument, or one on a pool that has been ended.
   */
  readonly operations: Readonly<Record<string, OperationMetrics>>
}

/**
 * A quantile of a histogram, by linear interpolation in its bucket.
 *
 * @category Observability
 * @param q from 0 to 1: 0.5 is the median, 0.99 the 99th percentile
 * @returns in the histogram's unit; NaN if nothing has been counted, the last bound for a quantile above it
 * @throws RangeError `ERR_OUT_OF_RANGE` if `q` is not from 0 to 1
 * @example
 * ```ts
 * const { operations } = adapter.metrics()
 * console.log('99 % of acquires took at most', quantile(operations['locks.acquire'].latency, 0.99), 'ms')
 * ```
 */
export declare function quantile(histogram: Histogram, q: number): number
