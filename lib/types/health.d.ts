// What `health()` reports.

import type { Metrics } from './metrics.js'

/**
 * Options of {@link AdapterLifeCycle.health}.
 *
 * @category Observability
 */
export interface HealthOptions {
  /** How long the server may take to answer, in ms; positive and finite. Default 800: Kubernetes gives a check one second. */
  timeout?: number | undefined
}

/**
 * Whether an adapter can serve calls now.
 *
 * @category Observability
 */
export interface Health extends Pick<Metrics, 'pool' | 'pipelines' | 'calls' | 'listening'> {
  /** Whether the server has answered in time, and the adapter has not been closed. */
  readonly ready: boolean
  /**
   * Why not; null if it is ready. Its `code` is that of the failed connection, `ETIMEDOUT` if there was no answer in time, or
   * `ERR_ADAPTER_CLOSED`.
   */
  readonly error: Error | null
  /** How long the answer took, in ms, with the wait for a connection; null if there was none. */
  readonly latency: number | null
}
