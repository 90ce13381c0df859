// @ts-check
// @configurations first
// The parts of examples/opentelemetry report calls as OpenTelemetry requires.
'use strict'

const assert = require('node:assert/strict')
const { after, test } = require('node:test')
const { SpanKind, SpanStatusCode, context } = require('@opentelemetry/api')
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks')
const {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} = require('@opentelemetry/sdk-metrics')
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base')
const { PostgresAdapter } = require('goscope-postgres')
const { LatencyProducer, observePool } = require('../../examples/opentelemetry/pool-metrics.js')
const { traceCalls } = require('../../examples/opentelemetry/spans.js')
const { useDatabase } = require('../support/database.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()

const exporter = new InMemorySpanExporter()
const tracers = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
const tracer = tracers.getTracer('test')
context.setGlobalContextManager(new AsyncLocalStorageContextManager())
after(() => context.disable())

/** The spans of some work. */
async function spansOf(/** @type {() => Promise<unknown>} */ work) {
  exporter.reset()
  const stop = traceCalls(tracer)
  await work().finally(stop)
  return exporter.getFinishedSpans()
}

test('a call is a client span, with the attributes for databases', async () => {
  const { url, name } = await database
  const adapter = new PostgresAdapter(url)
  const [span, ...others] = await spansOf(() => adapter.set('a', 'secret'))
  await adapter.disconnect()
  assert.equal(others.length, 0, 'nothing is traced after the end of the tracing')
  assert.equal(span?.name, 'cache.set')
  assert.equal(span?.kind, SpanKind.CLIENT)
  assert.equal(span?.status.code, SpanStatusCode.UNSET)
  assert.deepEqual(span?.attributes, {
    'db.system.name': 'postgresql',
    'db.operation.name': 'cache.set',
    'db.namespace': name,
    'server.address': new URL(url).hostname,
    'server.port': Number(new URL(url).port),
    'goscope.key': 'a',
  })
})

test('the span that is active at the call is its parent, also for concurrent calls', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  const names = ['a', 'b', 'c', 'd']
  const spans = await spansOf(() =>
    Promise.all(
      names.map((name) =>
        tracer.startActiveSpan(name, async (parent) => {
          for (let n = 0; n < 5; n++) await adapter.get(name)
          parent.end()
        }),
      ),
    ),
  )
  const parents = new Map(spans.map((span) => [span.spanContext().spanId, span.name]))
  const calls = spans.filter(({ name }) => name === 'cache.get')
  assert.equal(calls.length, 20)
  for (const { parentSpanContext, attributes } of calls) {
    assert.equal(parents.get(parentSpanContext?.spanId ?? ''), attributes['goscope.key'])
  }
})

test('a failed call has the error status, with its code', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  const [span] = await spansOf(() => adapter.set('a', '\0').catch(() => {}))
  assert.equal(span?.attributes['error.type'], '22P05')
  assert.equal(span?.status.code, SpanStatusCode.ERROR)
  assert.match(String(span?.status.message), /\\u0000|unsupported Unicode/)
})

test('a span takes as long as its call', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  await adapter.set('held', 1)
  const holder = await (await database).hold(`SELECT FROM go_goscope_cache WHERE key = 'cache:held' FOR UPDATE`)
  let held = 0
  const start = performance.now()
  const spans = await spansOf(async () => {
    const call = adapter.set('held', 2)
    await (await database).untilWaiting()
    const waiting = performance.now()
    await new Promise((resume) => setTimeout(resume, 100))
    held = performance.now() - waiting
    await holder.commit()
    await call
  })
  const all = performance.now() - start
  const [seconds, nanos] = spans[0]?.duration ?? [0, 0]
  const took = seconds * 1e3 + nanos / 1e6
  assert.ok(took >= held - 1 && took <= all + 1, `${took} ms, held for ${held} of ${all} ms`)
})

test('the metrics agree with those of the adapter', async () => {
  const adapter = new PostgresAdapter((await database).pool({ max: 5 }))
  const metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const metricProducers = [new LatencyProducer(adapter)]
  const reader = new PeriodicExportingMetricReader({ exporter: metrics, metricProducers })
  const meters = new MeterProvider({ readers: [reader] })
  observePool(meters.getMeter('test'), 'mine', adapter)

  await Promise.all(Array.from({ length: 20 }, (_, n) => adapter.get(`k${n}`)))
  await adapter.set('a', '\0').catch(() => {})
  await until('the pool is idle', () => adapter.metrics().pipelines.active === 0)
  await meters.forceFlush()
  await meters.shutdown()
  const reported = adapter.metrics()
  const exported =
    metrics
      .getMetrics()
      .at(-1)
      ?.scopeMetrics.flatMap((scope) => scope.metrics) ?? []
  /** @type {(name: string) => any[]} */
  const points = (name) => exported.find(({ descriptor }) => descriptor.name === name)?.dataPoints ?? []
  const values = (/** @type {string} */ name) => points(name).map(({ value }) => value)

  assert.deepEqual(values('db.client.connection.count'), [reported.pool.idle, reported.pool.open - reported.pool.idle])
  assert.deepEqual(values('db.client.connection.max'), [5])
  assert.deepEqual(values('goscope.statements'), [reported.statements.count])
  assert.deepEqual(points('goscope.failures')[0]?.attributes, {
    'db.client.connection.pool.name': 'mine',
    'db.operation.name': 'cache.set',
    'error.type': '22P05',
  })
  const durations = points('db.client.operation.duration')
  assert.deepEqual(
    durations.map(({ attributes, value }) => [attributes['db.operation.name'], value.count]),
    [
      ['cache.get', 20],
      ['cache.set', 1],
    ],
  )
  for (const { value } of durations) {
    assert.equal(value.buckets.counts.length, value.buckets.boundaries.length + 1)
    assert.equal(
      value.buckets.counts.reduce((/** @type {number} */ sum, /** @type {number} */ count) => sum + count, 0),
      value.count,
    )
  }
  const gets = Number(reported.operations['cache.get']?.latency.sum)
  assert.ok(Math.abs(durations[0].value.sum - gets / 1000) < 1e-9, 'in seconds')
})
