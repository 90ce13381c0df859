// What `metrics()` reports.

/** How often what size was seen, as exporters of metrics take it: OpenTelemetry's explicit buckets, or Prometheus' `le`. */
export interface Histogram {
  /** Upper bounds, ascending, each part of its own bucket. They never change. */
  readonly bounds: readonly number[]
  /**
   * One number for each bucket: `counts[i]` values were above `bounds[i - 1]` and at most `bounds[i]`. The last, for which
   * there is no bound, were above them all.
   */
  readonly counts: readonly number[]
  /** All values together. */
  readonly sum: number
  /** How many values there were: the sum of `counts`. */
  readonly count: number
}

/** What is counted of one operation. */
export interface OperationMetrics {
  /** Calls that were answered, with success or not; `latency.count` again. */
  readonly calls: number
  /**
   * Calls that failed, by the error's `code`. `_OTHER` has those without one, and those with further codes after 32
   * different ones.
   */
  readonly errors: Readonly<Record<string, number>>
  /** How often calls were tried once more: after a fault, or alone after the statement that they shared had failed. */
  readonly retries: number
  /**
   * In ms, from the call to its answer, waits for its turn and for a connection included, and the wait for the event loop
   * not. Calls that are made in one go count from the first of them. From 0.016 ms to 67 s; no bound is more than a
   * quarter above the one before.
   */
  readonly latency: Histogram
}

/**
 * What `metrics()` tells of a native pool, for all adapters built on one `pg.Pool`. What is counted is counted since the
 * first of them was made, and only goes up.
 */
export interface Metrics {
  /** Native connections that carry calls. */
  readonly pool: {
    /** How many are open. */
    readonly open: number
    /** How many of those are idle. */
    readonly idle: number
    /** How often a connection is waited for: to be free, or to be opened. */
    readonly waiting: number
    /** How many there can be. */
    readonly max: number
  }
  /** The connection for notices: 1 while one is open and heard, else 0. It is not among those of the pool. */
  readonly listening: number
  readonly lanes: {
    /** Connections that carry rounds of statements, one after the other. */
    readonly running: number
    /** How many of those wait for longer than 10 ms, as for a row lock of another transaction, or before another try. */
    readonly heldUp: number
  }
  readonly calls: {
    /** Made, and not answered. */
    readonly inFlight: number
    /** How many of those have not been sent yet: they wait for their turn or for a connection. */
    readonly queued: number
  }
  /** How often a lane has taken what was ready. */
  readonly rounds: number
  /**
   * Calls by statement: `count` statements were sent, which carried `sum` calls. Calls that were tried again are in it
   * each time.
   */
  readonly batches: Histogram
  /**
   * By name, as in {@link operations}; those that have been called. A call that never went out is in none: one with a bad
   * argument, one on a pool that has been ended.
   */
  readonly operations: Readonly<Record<string, OperationMetrics>>
}

/**
 * A quantile of a histogram, by going evenly through the bucket in which it lies.
 *
 * @param q from 0 to 1: 0.5 is the median, 0.99 the 99th percentile
 * @returns in the histogram's unit; NaN where nothing has been counted, the last bound for what is above it
 * @throws RangeError `ERR_OUT_OF_RANGE` if `q` is not from 0 to 1
 * @example
 * ```ts
 * const { operations } = adapter.metrics()
 * console.log('99 % of acquires took at most', quantile(operations['locks.acquire'].latency, 0.99), 'ms')
 * ```
 */
export declare function quantile(histogram: Histogram, q: number): number
