// biome-ignore-all lint/suspicious/noExplicitAny: what an OpenTelemetry API takes and returns, in any of its versions
import type { Metrics } from './lib/types/metrics.js'

/**
 * The part of OpenTelemetry's `Tracer` that {@link traceCalls} uses.
 *
 * @category Observability
 */
export interface SpanTracer {
  startSpan(name: string, options?: any): any
}

/**
 * The part of OpenTelemetry's `Meter` that {@link observePool} uses.
 *
 * @category Observability
 */
export interface PoolMeter {
  createObservableCounter(name: string, options?: any): any
  createObservableUpDownCounter(name: string, options?: any): any
  addBatchObservableCallback(callback: any, observables: any): void
  removeBatchObservableCallback(callback: any, observables: any): void
}

/**
 * Options of {@link traceCalls}.
 *
 * @category Observability
 */
export interface TraceCallsOptions {
  /** Default: `trace.getTracer('goscope-postgres')` of `@opentelemetry/api`. */
  tracer?: SpanTracer | undefined
  /** Whether spans have the key of the call, as `goscope.key`. Keys may be personal data. Default `false`. */
  keys?: boolean | undefined
}

/**
 * Options of {@link LatencyProducer}.
 *
 * @category Observability
 */
export interface LatencyProducerOptions {
  /** The pool's name in the metrics: `db.client.connection.pool.name`. Default `'goscope-postgres'`. */
  name?: string | undefined
}

/**
 * Options of {@link observePool}.
 *
 * @category Observability
 */
export interface ObservePoolOptions extends LatencyProducerOptions {
  /** Default: `metrics.getMeter('goscope-postgres')` of `@opentelemetry/api`. */
  meter?: PoolMeter | undefined
}

/**
 * Makes a span of each call in this process, of all adapters, by OpenTelemetry's semantic conventions for databases. The span
 * that is active where the call is made is its parent.
 *
 * @category Observability
 * @returns stops it
 * @throws TypeError `ERR_INVALID_ARG_TYPE` if an option is wrong
 */
export declare function traceCalls(options?: TraceCallsOptions): () => void

/**
 * Reports the metrics of an adapter's pool as observable instruments: `db.client.connection.*` and `goscope.*`.
 *
 * @category Observability
 * @returns stops it
 * @throws TypeError `ERR_INVALID_ARG_TYPE` if an argument is wrong
 */
export declare function observePool(adapter: { metrics(): Metrics }, options?: ObservePoolOptions): () => void

/**
 * A `MetricProducer` of the histogram `db.client.operation.duration`, in seconds, by operation: for the option
 * `metricProducers` of a metric reader.
 *
 * @category Observability
 * @example
 * ```ts
 * const metricProducers = [new LatencyProducer(adapter)]
 * const reader = new PeriodicExportingMetricReader({ exporter, metricProducers })
 * ```
 */
export declare class LatencyProducer {
  /** @throws TypeError `ERR_INVALID_ARG_TYPE` if an argument is wrong */
  constructor(adapter: { metrics(): Metrics }, options?: LatencyProducerOptions)
  /** Called by a metric reader. */
  collect(options?: any): Promise<any>
}
