// @ts-check
// OpenTelemetry has no observable histogram: latencies, which are counted already, come from a MetricProducer, in the buckets
// that they are counted by.
'use strict'

// @ts-ignore: the application installs it
const { ValueType } = require('@opentelemetry/api')
const args = require('../arguments.js')
const { wallClock } = require('../clock.js')
const { metricsSource } = require('../metrics-source.js')
const { optionsOf } = require('../options.js')

const NAME = 'goscope-postgres'

/** The numbers of `DataPointType.HISTOGRAM` and `AggregationTemporality.CUMULATIVE` in `@opentelemetry/sdk-metrics`. */
const HISTOGRAM = 0
const CUMULATIVE = 1

/** A reader has a resource of its own, and does not look at a producer's. */
const NO_RESOURCE = Object.freeze({ attributes: {} })

class LatencyProducer {
  #source
  #pool
  #started = now()

  /**
   * @param {unknown} adapter
   * @param {unknown} [options]
   */
  constructor(adapter, options) {
    this.#source = metricsSource('adapter', adapter)
    const { name = NAME } = optionsOf(options, 'LatencyProducer')
    this.#pool = args.text('options.name', name)
  }

  async collect() {
    const [startTime, endTime] = [this.#started, now()]
    const dataPoints = Object.entries(this.#source.metrics().operations).map(([operation, { latency }]) => ({
      startTime,
      endTime,
      attributes: {
        'db.system.name': 'postgresql',
        'db.operation.name': operation,
        'db.client.connection.pool.name': this.#pool,
      },
      value: {
        // In seconds.
        buckets: { boundaries: latency.bounds.map((ms) => ms / 1000), counts: [...latency.counts] },
        sum: latency.sum / 1000,
        count: latency.count,
      },
    }))
    const descriptor = {
      name: 'db.client.operation.duration',
      description: 'Time from a call to its answer.',
      unit: 's',
      type: 'HISTOGRAM',
      valueType: ValueType.DOUBLE,
      advice: {},
    }
    const durations = { descriptor, dataPointType: HISTOGRAM, aggregationTemporality: CUMULATIVE, dataPoints }
    const scopeMetrics = [{ scope: { name: NAME }, metrics: dataPoints.length > 0 ? [durations] : [] }]
    return { resourceMetrics: { resource: NO_RESOURCE, scopeMetrics }, errors: [] }
  }
}

/** @returns {[seconds: number, nanoseconds: number]} since the epoch */
function now() {
  const ms = wallClock()
  return [Math.floor(ms / 1000), (ms % 1000) * 1e6]
}

module.exports = { LatencyProducer }
