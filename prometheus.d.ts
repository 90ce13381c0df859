import type { Metrics } from './lib/types/metrics.js'

/**
 * Options of {@link prometheusHandler}.
 *
 * @category Observability
 */
export interface PrometheusHandlerOptions {
  /** The beginning of each metric's name. Default `'goscope_postgres_'`. */
  prefix?: string | undefined
  /**
   * Upper bounds of latencies, in seconds. Each is moved to the nearest bound that is counted by, so that no count is
   * an estimate. Each is greater than 0. `Infinity` adds nothing: the bucket `+Inf` is always there. By default eight, from 0.001024 to 16.777216, each four times the one before.
   */
  buckets?: readonly number[] | undefined
  /**
   * Whether latencies are added up by group of operations (`locks`, `cache`, …) or reported for each operation. By default
   * `'group'`: with eight buckets, each histogram takes eleven lines.
   */
  latencyBy?: 'group' | 'operation' | undefined
}

/**
 * Options of {@link toPrometheus}.
 *
 * @category Observability
 */
export interface PrometheusOptions extends PrometheusHandlerOptions {
  /**
   * `'openmetrics'`, the default: OpenMetrics 1.0. `'text'`: Prometheus' text format 0.0.4, which may be appended to the text
   * of another registry.
   */
  format?: 'openmetrics' | 'text' | undefined
}

/**
 * The text of what `metrics()` returns, for Prometheus. Only operations that have been called are in it.
 *
 * @category Observability
 * @param metrics of one pool; of several pools an array, with the labels that tell them apart
 * @throws TypeError `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` or RangeError `ERR_OUT_OF_RANGE` if an argument is wrong
 * @example
 * ```ts
 * import { toPrometheus } from 'goscope-postgres/prometheus'
 *
 * // Beside the application's own metrics, in prom-client's registry.
 * response.end((await register.metrics()) + toPrometheus(adapter.metrics(), { format: 'text' }))
 * ```
 */
export declare function toPrometheus(
  metrics:
    | Metrics
    | readonly { readonly metrics: Metrics; readonly labels?: Readonly<Record<string, string>> | undefined }[],
  options?: PrometheusOptions,
): string

/**
 * The part of a request that {@link prometheusHandler} reads: one of `node:http`, or of a framework built on it.
 *
 * @category Observability
 */
export interface MetricsRequest {
  readonly method?: string | undefined
  readonly headers: { readonly accept?: string | undefined }
}

/**
 * The part of a response that {@link prometheusHandler} uses.
 *
 * @category Observability
 */
export interface MetricsResponse {
  writeHead(status: number, headers: Record<string, string | number>): unknown
  end(content?: Uint8Array): unknown
}

/**
 * A request handler that answers Prometheus, in the format that it asks for: OpenMetrics if its `Accept` header names that and
 * does not prefer text, by the qualities (`q`); otherwise text. It answers `GET` and `HEAD`, and refuses other
 * methods with 405. It does not look at the path.
 *
 * @category Observability
 * @param adapter one of those on a pool; for several pools an array, with the labels that tell them apart
 * @throws TypeError `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` or RangeError `ERR_OUT_OF_RANGE` if an argument is wrong
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { prometheusHandler } from 'goscope-postgres/prometheus'
 *
 * createServer(prometheusHandler(adapter)).listen(9464)
 * ```
 */
export declare function prometheusHandler(
  adapter:
    | { metrics(): Metrics }
    | readonly {
        readonly adapter: { metrics(): Metrics }
        readonly labels?: Readonly<Record<string, string>> | undefined
      }[],
  options?: PrometheusHandlerOptions,
): (request: MetricsRequest, response: MetricsResponse) => void
