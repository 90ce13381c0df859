// @ts-check
// An order is charged once, and OpenTelemetry sees it: each call of the adapter as a span, within the application's own,
// and what the pool did as metrics. Here both go to memory, to be printed; a program of yours has other exporters.
//
//     npm install @opentelemetry/api @opentelemetry/sdk-trace-base @opentelemetry/sdk-metrics \
//       @opentelemetry/context-async-hooks
//     node examples/opentelemetry/main.js
'use strict'

const { context } = require('@opentelemetry/api')
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks')
const {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} = require('@opentelemetry/sdk-metrics')
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base')
const { PostgresAdapter } = require('goscope-postgres')
const { startPostgres } = require('goscope-postgres/embedded')
const { LatencyProducer, observePool, traceCalls } = require('goscope-postgres/opentelemetry')

async function main() {
  const server = await startPostgres()
  const adapter = new PostgresAdapter(server.url, { keyPrefix: 'shop:' })

  const spans = new InMemorySpanExporter()
  const tracers = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] })
  context.setGlobalContextManager(new AsyncLocalStorageContextManager())
  const stopTracing = traceCalls({ tracer: tracers.getTracer('goscope-postgres'), keys: true })

  const metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const latencies = new LatencyProducer(adapter, { name: 'shop' })
  const reader = new PeriodicExportingMetricReader({ exporter: metrics, metricProducers: [latencies] })
  const meters = new MeterProvider({ readers: [reader] })
  observePool(adapter, { meter: meters.getMeter('goscope-postgres'), name: 'shop' })

  await adapter.connect()
  await within(tracers.getTracer('shop'), 'charge the order', () => charge(adapter))
  await adapter.disconnect()
  // The numbers are there after the end, too.
  await meters.forceFlush()

  console.log('Spans')
  printSpans(spans.getFinishedSpans())
  console.log('\nMetrics')
  printMetrics(
    metrics
      .getMetrics()
      .at(-1)
      ?.scopeMetrics.flatMap((scope) => scope.metrics) ?? [],
  )

  stopTracing()
  await Promise.all([tracers.shutdown(), meters.shutdown(), server.stop()])
}

/** @param {PostgresAdapter} adapter */
async function charge(adapter) {
  const lock = await adapter.acquire('order 42', 30_000)
  await Promise.all(['ada', 'bob', 'eve'].map((name) => adapter.get(`customer ${name}`)))
  await adapter.set('receipt 42', { total: 1999 })
  // JSONB cannot hold U+0000: a call that fails.
  await adapter.set('note 42', 'a\0b').catch(() => {})
  await lock?.release()
}

/**
 * @param {import('@opentelemetry/api').Tracer} tracer
 * @param {string} name
 * @param {() => Promise<void>} work
 */
function within(tracer, name, work) {
  return tracer.startActiveSpan(name, (span) => work().finally(() => span.end()))
}

/** @param {import('@opentelemetry/sdk-trace-base').ReadableSpan[]} spans */
function printSpans(spans) {
  const print = (/** @type {string | undefined} */ parent, /** @type {string} */ indent) => {
    for (const span of inOrder(spans)) {
      if (span.parentSpanContext?.spanId !== parent) continue
      const { 'server.port': _, 'db.operation.name': __, ...rest } = span.attributes
      const words = Object.entries(rest).map(([attribute, value]) => `${attribute}=${JSON.stringify(value)}`)
      console.log(`${indent}${[span.name, ...words].join(' ')}`)
      print(span.spanContext().spanId, `${indent}  `)
    }
  }
  print(undefined, '  ')
}

/** @param {import('@opentelemetry/sdk-trace-base').ReadableSpan[]} spans */
const inOrder = (spans) => [...spans].sort((a, b) => a.startTime[0] - b.startTime[0] || a.startTime[1] - b.startTime[1])

/** @param {import('@opentelemetry/sdk-metrics').MetricData[]} metrics */
function printMetrics(metrics) {
  for (const { descriptor, dataPoints, dataPointType } of metrics) {
    // How many batches there are is not the same each time.
    if (descriptor.name === 'goscope.batches') continue
    console.log(`  ${descriptor.name}`)
    for (const { attributes, value } of dataPoints) {
      const words = Object.values(attributes).filter((word) => word !== 'shop' && word !== 'postgresql')
      // How long a call takes is not the same each time, how often it was made is.
      const amount = dataPointType === DataPointType.HISTOGRAM ? `${/** @type {any} */ (value).count} times` : value
      console.log(`    ${[...words, amount].join(' ')}`)
    }
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
