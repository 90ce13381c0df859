// @ts-check
// @configurations first
// goscope-postgres/opentelemetry reports calls as OpenTelemetry requires.
'use strict'

const assert = require('node:assert/strict')
const { after, test } = require('node:test')
const { SpanKind, SpanStatusCode, context, metrics: globalMetrics, trace } = require('@opentelemetry/api')
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
const { LatencyProducer, observePool, traceCalls } = require('goscope-postgres/opentelemetry')
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
  const stop = traceCalls({ tracer, keys: true })
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
  assert.equal(span?.attributes['db.response.status_code'], '22P05')
  assert.equal(span?.status.code, SpanStatusCode.ERROR)
  assert.match(String(span?.status.message), /\\u0000|unsupported Unicode/)
})

test('whatever an application throws, its call has the error status, with a type', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  const thrown = [undefined, null, 'text', {}, new DOMException('It took too long', 'TimeoutError'), new TypeError('x')]
  /** @type {unknown[]} */
  const uncaught = []
  const note = (/** @type {unknown} */ error) => uncaught.push(error)
  process.on('uncaughtException', note)
  const spans = await spansOf(async () => {
    for (const [n, error] of thrown.entries()) {
      const work = () => Promise.reject(error)
      await assert.rejects(adapter.getOrSet(`throws ${n}`, work, { ttl: 1_000 }), (rejection) => rejection === error)
    }
  })
  // Node throws what a subscriber throws in a later tick.
  await new Promise((resume) => setImmediate(resume))
  process.off('uncaughtException', note)
  assert.deepEqual(uncaught, [])
  assert.deepEqual(
    spans
      .filter(({ name }) => name === 'cache.getOrSet')
      .map(({ status, attributes }) => [status.code, attributes['error.type']]),
    ['_OTHER', '_OTHER', '_OTHER', '_OTHER', 'TimeoutError', 'TypeError'].map((type) => [SpanStatusCode.ERROR, type]),
  )
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
  const stop = observePool(adapter, { meter: meters.getMeter('test'), name: 'mine' })

  await Promise.all(Array.from({ length: 20 }, (_, n) => adapter.get(`k${n}`)))
  await adapter.set('a', '\0').catch(() => {})
  await until('the pool is idle', () => adapter.metrics().pipelines.active === 0)
  await meters.forceFlush()
  stop()
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

test('without options, the global providers are used, and keys are not recorded', async () => {
  const spans = new InMemorySpanExporter()
  const tracers = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] })
  trace.setGlobalTracerProvider(tracers)
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const meters = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter })] })
  globalMetrics.setGlobalMeterProvider(meters)
  after(() => Promise.all([tracers.shutdown(), meters.shutdown(), trace.disable(), globalMetrics.disable()]))
  const adapter = new PostgresAdapter((await database).pool())
  const stops = [traceCalls(), observePool(adapter)]

  await adapter.get('secret@example.org')
  const [span] = spans.getFinishedSpans()
  assert.equal(span?.name, 'cache.get')
  assert.equal(span?.instrumentationScope.name, 'goscope-postgres')
  assert.doesNotMatch(JSON.stringify(span?.attributes), /secret/)

  const counts = async () => {
    exporter.reset()
    await meters.forceFlush()
    const all = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
    return all.find(({ descriptor }) => descriptor.name === 'goscope.statements')?.dataPoints ?? []
  }
  assert.deepEqual(
    (await counts()).map(({ attributes, value }) => [attributes['db.client.connection.pool.name'], value]),
    [['goscope-postgres', 1]],
  )
  for (const stop of stops) stop()
  await adapter.get('another')
  assert.equal(spans.getFinishedSpans().length, 1, 'no more spans')
  assert.deepEqual(
    (await counts()).map(({ value }) => value),
    [1],
    'no newer figures',
  )
})

test("the producer's numbers are those of the SDK", async () => {
  const adapter = new PostgresAdapter((await database).pool())
  await adapter.get('a')
  const [found] = (await new LatencyProducer(adapter).collect()).resourceMetrics.scopeMetrics
  assert.equal(found.metrics[0].dataPointType, DataPointType.HISTOGRAM)
  assert.equal(found.metrics[0].aggregationTemporality, AggregationTemporality.CUMULATIVE)
})

test('what is wrong is refused by name', async () => {
  const adapter = new PostgresAdapter((await database).pool())
  const wrong = /** @type {[() => unknown, object][]} */ ([
    [() => traceCalls(/** @type {any} */ ({ tracer: {} })), { code: 'ERR_INVALID_ARG_TYPE', message: /tracer/ }],
    [() => traceCalls(/** @type {any} */ ({ key: true })), { code: 'ERR_INVALID_ARG_VALUE', message: /keys/ }],
    [() => observePool(/** @type {any} */ (undefined)), { code: 'ERR_INVALID_ARG_TYPE', message: /adapter/ }],
    [
      () => observePool(adapter, /** @type {any} */ ({ meter: {} })),
      { code: 'ERR_INVALID_ARG_TYPE', message: /meter/ },
    ],
    [() => new LatencyProducer(/** @type {any} */ ({})), { code: 'ERR_INVALID_ARG_TYPE', message: /adapter/ }],
  ])
  for (const [call, error] of wrong) assert.throws(call, error)
})
