// @ts-check
// What an adapter's metrics() returns, in OpenTelemetry's words for database clients: gauges and counters as observable
// instruments, and the latencies as they are, in goscope-postgres' own buckets.
// https://opentelemetry.io/docs/specs/semconv/database/database-metrics/
'use strict'

const { ValueType } = require('@opentelemetry/api')
const { emptyResource } = require('@opentelemetry/resources')
const { AggregationTemporality, DataPointType } = require('@opentelemetry/sdk-metrics')

/** @typedef {{ metrics(): import('goscope-postgres').Metrics }} Adapter */

/**
 * @param {import('@opentelemetry/api').Meter} meter
 * @param {string} name the pool's
 * @param {Adapter} adapter one of those on the pool
 */
function observePool(meter, name, adapter) {
  const pool = { 'db.client.connection.pool.name': name }
  const connections = meter.createObservableUpDownCounter('db.client.connection.count', { unit: '{connection}' })
  const most = meter.createObservableUpDownCounter('db.client.connection.max', { unit: '{connection}' })
  const pending = meter.createObservableUpDownCounter('db.client.connection.pending_requests', { unit: '{request}' })
  const statements = meter.createObservableCounter('goscope.statements', { unit: '{statement}' })
  const failures = meter.createObservableCounter('goscope.failures', { unit: '{call}' })
  const retries = meter.createObservableCounter('goscope.retries', { unit: '{call}' })
  const observe = (/** @type {import('@opentelemetry/api').BatchObservableResult} */ observer) => {
    // One look for all of them, so that they agree.
    const metrics = adapter.metrics()
    const { open, idle, max } = metrics.pool
    observer.observe(connections, idle, { ...pool, 'db.client.connection.state': 'idle' })
    observer.observe(connections, open - idle, { ...pool, 'db.client.connection.state': 'used' })
    observer.observe(most, max, pool)
    observer.observe(pending, metrics.calls.queued, pool)
    observer.observe(statements, metrics.statements.count, pool)
    for (const [operation, { errors, retries: again }] of Object.entries(metrics.operations)) {
      observer.observe(retries, again, { ...pool, 'db.operation.name': operation })
      for (const [code, count] of Object.entries(errors)) {
        observer.observe(failures, count, { ...pool, 'db.operation.name': operation, 'error.type': code })
      }
    }
  }
  meter.addBatchObservableCallback(observe, [connections, most, pending, statements, failures, retries])
}

/** OpenTelemetry has no observable histogram: what has been counted already comes from a producer of its own. */
class LatencyProducer {
  #adapter
  #started = now()

  /** @param {Adapter} adapter */
  constructor(adapter) {
    this.#adapter = adapter
  }

  /** @returns {Promise<import('@opentelemetry/sdk-metrics').CollectionResult>} */
  async collect() {
    const [startTime, endTime] = [this.#started, now()]
    const dataPoints = Object.entries(this.#adapter.metrics().operations).map(([operation, { latency }]) => ({
      startTime,
      endTime,
      attributes: { 'db.system.name': 'postgresql', 'db.operation.name': operation },
      value: {
        // In seconds.
        buckets: { boundaries: latency.bounds.map((ms) => ms / 1000), counts: [...latency.counts] },
        sum: latency.sum / 1000,
        count: latency.count,
      },
    }))
    const descriptor = {
      name: 'db.client.operation.duration',
      description: 'Duration of database client operations.',
      unit: 's',
      valueType: ValueType.DOUBLE,
    }
    /** @type {import('@opentelemetry/sdk-metrics').HistogramMetricData} */
    const durations = {
      descriptor,
      dataPointType: DataPointType.HISTOGRAM,
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      dataPoints,
    }
    const scopeMetrics = [{ scope: { name: 'goscope-postgres' }, metrics: [durations] }]
    return { resourceMetrics: { resource: emptyResource(), scopeMetrics }, errors: [] }
  }
}

/** @returns {import('@opentelemetry/api').HrTime} */
function now() {
  const ms = Date.now()
  return [Math.floor(ms / 1000), (ms % 1000) * 1e6]
}

module.exports = { LatencyProducer, observePool }
