// @ts-check
// @configurations first
// What goscope-postgres/prometheus says is read by the parsers of Prometheus' own client, and is what metrics() reports.
'use strict'

const assert = require('node:assert/strict')
const { once } = require('node:events')
const fs = require('node:fs')
const { createServer } = require('node:http')
const path = require('node:path')
const { after, before, test } = require('node:test')
const { prometheusHandler, toPrometheus } = require('goscope-postgres/prometheus')
const { fetched } = require('../../scripts/fetched.js')
const { useDatabase } = require('../support/database.js')
const { OPERATIONS, adaptersOn, connectAll } = require('../support/operations.js')
const { missing, parse } = require('../support/prometheus.js')

/** @typedef {import('goscope-postgres').Metrics} Metrics */
/** @typedef {import('../support/prometheus.js').Family} Family */

const FORMATS = /** @type {const} */ (['openmetrics', 'text'])
const PREFIX = 'goscope_postgres_'
const HOSTILE = 'a "quoted"\\ name\nof two lines, {with="labels"} # EOF'

const database = useDatabase()

/** Of an application that has called everything, and of which some calls have failed. @type {Metrics} */
let metrics

/** @type {ReturnType<typeof adaptersOn>} */
let adapters

before(async () => {
  const pool = (await database).pool()
  adapters = adaptersOn(pool)
  await connectAll(adapters)
  for (const [n, { seed, ready }] of OPERATIONS.entries()) {
    await seed?.(adapters, `key ${n}`)
    await (await ready(adapters, `key ${n}`))().catch(() => {})
  }
  // Two calls share a statement, which fails. So both are run again, alone.
  const [refused, stored] = await Promise.allSettled([adapters.main.set('a', 'b\0c'), adapters.main.set('b', 1)])
  assert.deepEqual([refused.status, stored.status], ['rejected', 'fulfilled'])
  metrics = adapters.main.metrics()
})

/**
 * A family, by its name without the prefix. Parsers leave `_total` away in both formats.
 *
 * @param {Family[]} families
 * @param {string} name
 */
function family(families, name) {
  const found = families.find((each) => each.name === `${PREFIX}${name}`)
  assert.ok(found, `${name} is missing`)
  return found
}

/**
 * @param {Family[]} families
 * @param {string} name
 * @param {Record<string, string>} [labels]
 */
function value(families, name, labels = {}) {
  const { samples } = family(families, name)
  const [found, ...others] = samples.filter((sample) =>
    Object.entries(labels).every(([label, text]) => sample.labels[label] === text),
  )
  assert.deepEqual(others, [], `one sample of ${name}`)
  return found?.value
}

for (const format of FORMATS) {
  test(`${format}: each figure is that of metrics()`, { skip: missing }, () => {
    const families = parse(toPrometheus(metrics, { format, latencyBy: 'operation' }), format)
    const { pool, pipelines, calls, statements, operations } = metrics
    assert.equal(value(families, 'connections', { state: 'idle' }), pool.idle)
    assert.equal(value(families, 'connections', { state: 'used' }), pool.open - pool.idle)
    assert.equal(value(families, 'connections_max'), pool.max)
    assert.equal(value(families, 'connection_waits'), pool.waiting)
    assert.equal(value(families, 'notifications_connected'), metrics.listening)
    assert.equal(value(families, 'pipelines_active'), pipelines.active)
    assert.equal(value(families, 'pipelines_blocked'), pipelines.blocked)
    assert.equal(value(families, 'calls_in_flight'), calls.inFlight)
    assert.equal(value(families, 'calls_queued'), calls.queued)
    assert.equal(value(families, 'batches'), metrics.batches)
    assert.equal(value(families, 'statements'), statements.count)
    assert.equal(value(families, 'statement_calls'), statements.sum)
    assert.equal(value(families, 'errors', { operation: 'cache.set', code: '22P05' }), 1)
    for (const [operation, { calls, errors, latency }] of Object.entries(operations)) {
      assert.equal(value(families, 'calls', { operation }), calls, operation)
      for (const [code, count] of Object.entries(errors)) {
        assert.equal(value(families, 'errors', { operation, code }), count, `${operation} ${code}`)
      }
      const samples = family(families, 'call_duration_seconds').samples.filter(
        ({ labels }) => labels.operation === operation,
      )
      for (const { name, labels, value } of samples) {
        if (name.endsWith('_count')) assert.equal(value, latency.count)
        else if (name.endsWith('_sum')) assert.equal(value, latency.sum / 1000)
        else
          assert.equal(
            value,
            atMost(latency, labels.le === '+Inf' ? Infinity : Number(labels.le) * 1000),
            `${operation} ${labels.le}`,
          )
      }
      assert.equal(samples.length, 8 + 3)
    }
    for (const { help, type, samples } of families) {
      assert.ok(help.endsWith('.') && samples.length > 0)
      assert.ok(['gauge', 'counter', 'histogram'].includes(type))
    }
  })
}

/**
 * How many values were at most this one, which must be a bound of the histogram.
 *
 * @param {import('goscope-postgres').Histogram} histogram
 * @param {number} ms
 */
function atMost({ bounds, counts, count }, ms) {
  if (ms === Infinity) return count
  const at = bounds.findIndex((bound) => Math.abs(bound - ms) < bound * 1e-9)
  assert.ok(at >= 0, `${ms} ms is a bound that is counted by`)
  return counts.slice(0, at + 1).reduce((sum, each) => sum + each, 0)
}

test('by default, everything that can be called fits into 200 lines', { skip: missing }, () => {
  const text = toPrometheus(metrics)
  const called = Object.keys(metrics.operations).length
  assert.ok(called >= 35, `${called} operations have been called`)
  const lines = text.trimEnd().split('\n')
  assert.ok(lines.length < 200, `${lines.length} lines`)
  assert.equal(lines.at(-1), '# EOF')

  const groups = family(parse(text, 'openmetrics'), 'call_duration_seconds').samples.filter(({ name }) =>
    name.endsWith('_count'),
  )
  /** @type {Record<string, number>} */
  const sums = {}
  for (const [name, { latency }] of Object.entries(metrics.operations)) {
    const group = name.includes('.') ? name.slice(0, name.indexOf('.')) : 'connection'
    sums[group] = (sums[group] ?? 0) + latency.count
  }
  assert.deepEqual(Object.fromEntries(groups.map(({ labels, value }) => [labels.group, value])), sums)
})

test('each bucket that is asked for is the nearest one that is counted by', { skip: missing }, () => {
  const text = toPrometheus(metrics, { buckets: [1, 0.01, 0.0101, 1e9] })
  const { samples } = family(parse(text, 'openmetrics'), 'call_duration_seconds')
  const bounds = new Set(
    samples.filter(({ labels }) => labels.group === 'cache' && labels.le).map(({ labels }) => labels.le),
  )
  assert.deepEqual([...bounds], ['0.01024', '1.048576', '67.108864', '+Inf'])
})

test('a bucket of Infinity is +Inf, which is there once in any case', { skip: missing }, () => {
  for (const [buckets, expected] of /** @type {[number[], string[]][]} */ ([
    [
      [1, Infinity],
      ['1.048576', '+Inf'],
    ],
    [[Infinity], ['+Inf']],
  ])) {
    const { samples } = family(parse(toPrometheus(metrics, { buckets }), 'openmetrics'), 'call_duration_seconds')
    const bounds = samples.filter(({ labels }) => labels.group === 'cache' && labels.le).map(({ labels }) => labels.le)
    assert.deepEqual(bounds, expected)
  }
})

for (const format of FORMATS) {
  test(`${format}: several pools, and labels that need escaping`, { skip: missing }, () => {
    const pools = [
      { metrics, labels: { pool: HOSTILE } },
      { metrics, labels: { pool: 'b' } },
    ]
    const families = parse(toPrometheus(pools, { format, prefix: 'shop_' }), format)
    assert.equal(new Set(families.map(({ name }) => name)).size, families.length, 'each family once')
    const found = families.find(({ name }) => name === 'shop_connections_max')
    assert.deepEqual(
      found?.samples.map(({ labels }) => labels),
      [{ pool: HOSTILE }, { pool: 'b' }],
    )
  })
}

test('metrics of a pool that has done nothing', { skip: missing }, async () => {
  const unused = adaptersOn((await database).pool()).main.metrics()
  for (const format of FORMATS) {
    const families = parse(toPrometheus(unused, { format }), format)
    assert.equal(value(families, 'connections', { state: 'idle' }), 0)
    assert.equal(
      families.find(({ name }) => name === `${PREFIX}calls`),
      undefined,
    )
  }
})

test('what is wrong is refused by name', () => {
  const wrong = /** @type {[unknown, unknown, object][]} */ ([
    [undefined, {}, { code: 'ERR_INVALID_ARG_TYPE', message: /"metrics"/ }],
    [adapters.main, {}, { code: 'ERR_INVALID_ARG_TYPE', message: /"metrics"/ }],
    [{ pool: {}, operations: {} }, {}, { code: 'ERR_INVALID_ARG_TYPE', message: /"metrics"/ }],
    [{ ...metrics, pool: { open: 1 } }, {}, { code: 'ERR_INVALID_ARG_TYPE', message: /"metrics"/ }],
    [{ ...metrics, operations: null }, {}, { code: 'ERR_INVALID_ARG_TYPE', message: /"metrics"/ }],
    [[{ metrics, labels: { a: undefined } }], {}, { code: 'ERR_INVALID_ARG_TYPE', message: /labels\.a/ }],
    [[{ metrics, labels: { a: {} } }], {}, { code: 'ERR_INVALID_ARG_TYPE', message: /labels\.a/ }],
    [[{ labels: {} }], {}, { code: 'ERR_INVALID_ARG_TYPE', message: /"metrics\[0\]\.metrics"/ }],
    [[{ metrics, labels: { 'a-b': 'c' } }], {}, { code: 'ERR_INVALID_ARG_VALUE', message: /'a-b'/ }],
    [[{ metrics }, { metrics }], {}, { code: 'ERR_INVALID_ARG_VALUE', message: /metrics\[1\]\.labels.*metrics\[0\]/ }],
    [[{ metrics, labels: { a: '' } }, { metrics }], {}, { code: 'ERR_INVALID_ARG_VALUE', message: /must differ/ }],
    [
      [
        { metrics, labels: { a: '1', b: '2' } },
        { metrics, labels: { a: '1', b: '3' } },
        { metrics, labels: { b: '2', a: '1' } },
      ],
      {},
      { code: 'ERR_INVALID_ARG_VALUE', message: /metrics\[2\]\.labels.*metrics\[0\]/ },
    ],
    [[{ metrics, labels: { le: '1' } }], {}, { code: 'ERR_INVALID_ARG_VALUE', message: /'le'/ }],
    [metrics, { prefix: 'shop-' }, { code: 'ERR_INVALID_ARG_VALUE', message: /prefix/ }],
    [metrics, { buckets: 8 }, { code: 'ERR_INVALID_ARG_TYPE', message: /buckets/ }],
    [metrics, { buckets: [0] }, { code: 'ERR_OUT_OF_RANGE', message: /buckets\[0\].*greater than 0/ }],
    [metrics, { buckets: [1, '2'] }, { code: 'ERR_INVALID_ARG_TYPE', message: /buckets\[1\]/ }],
    [metrics, { latencyBy: 'key' }, { code: 'ERR_INVALID_ARG_VALUE', message: /latencyBy/ }],
    [metrics, { format: 'json' }, { code: 'ERR_INVALID_ARG_VALUE', message: /format/ }],
    [metrics, { bucket: [1] }, { code: 'ERR_INVALID_ARG_VALUE', message: /buckets/ }],
  ])
  for (const [given, options, error] of wrong) {
    assert.throws(() => toPrometheus(/** @type {any} */ (given), /** @type {any} */ (options)), error)
  }
  assert.throws(() => prometheusHandler(/** @type {any} */ (metrics)), { code: 'ERR_INVALID_ARG_TYPE' })
  assert.throws(() => prometheusHandler([{ adapter: adapters.main }, { adapter: adapters.main }]), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /adapters\[1\]\.labels.*adapters\[0\]/,
  })
  assert.throws(() => prometheusHandler(adapters.main, /** @type {any} */ ({ prefix: '', buckets: [Number.NaN] })), {
    code: 'ERR_OUT_OF_RANGE',
  })
})

test('the handler answers in the format that is asked for, and refuses what is no read', {
  skip: missing,
}, async () => {
  const server = createServer(prometheusHandler([{ adapter: adapters.main, labels: { pool: 'main' } }])).listen(
    0,
    '127.0.0.1',
  )
  after(() => server.close())
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  /** @param {RequestInit} [init] */
  const ask = (init) => fetch(`http://127.0.0.1:${port}/metrics`, init)

  // As Prometheus 2.43 and later ask.
  const accept =
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'
  const open = await ask({ headers: { accept } })
  assert.equal(open.headers.get('content-type'), 'application/openmetrics-text; version=1.0.0; charset=utf-8')
  assert.equal(value(parse(await open.text(), 'openmetrics'), 'connections_max', { pool: 'main' }), 10)

  for (const [wanted, type] of /** @type {[string, string][]} */ ([
    ['application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.9', 'text/plain'],
    ['application/openmetrics-text; q=0', 'text/plain'],
    ['application/openmetrics-text;q=0, */*', 'text/plain'],
    ['application/openmetrics-textual', 'text/plain'],
    ['*/*', 'text/plain'],
    ['text/*;q=0.2, */*;q=0.9, application/openmetrics-text;q=0.5', 'application/openmetrics-text'],
    ['Application/OpenMetrics-Text; Version=1.0.0; Q=0.5, */*;q=0.1', 'application/openmetrics-text'],
  ])) {
    const answer = await ask({ headers: { accept: wanted } })
    assert.equal(answer.headers.get('content-type')?.split(';')[0], type, wanted)
  }

  const plain = await ask()
  assert.equal(plain.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  assert.equal(value(parse(await plain.text(), 'text'), 'connections_max', { pool: 'main' }), 10)

  const head = await ask({ method: 'HEAD' })
  assert.equal(head.status, 200)
  assert.equal(await head.text(), '')
  const post = await ask({ method: 'POST' })
  assert.equal(post.status, 405)
  assert.equal(post.headers.get('allow'), 'GET, HEAD')
})

test('the dashboard and the alert rules parse, and name only metrics and labels that there are', {
  skip: missing,
}, () => {
  const known = new Map(
    FORMATS.flatMap((format) =>
      parse(toPrometheus(metrics, { format }), format).flatMap(({ samples }) =>
        samples.map(({ name, labels }) => /** @type {const} */ ([name, Object.keys(labels)])),
      ),
    ),
  )
  const { parser } = require(fetched('@prometheus-io/lezer-promql@0.315.0'))
  const yaml = require(fetched('yaml@2.9.1'))
  const folder = path.join(__dirname, '../../examples/prometheus')
  const dashboard = JSON.parse(fs.readFileSync(path.join(folder, 'dashboard.json'), 'utf8'))
  const rules = yaml.parse(fs.readFileSync(path.join(folder, 'alerts.yml'), 'utf8'))
  const expressions = [
    ...dashboard.panels.flatMap((/** @type {any} */ { targets }) => targets.map((/** @type {any} */ { expr }) => expr)),
    ...rules.groups.flatMap((/** @type {any} */ group) => group.rules.map((/** @type {any} */ { expr }) => expr)),
  ]
  assert.ok(expressions.length >= 20)
  const used = new Set()
  for (const written of expressions) {
    // Grafana puts durations and values in place of its variables.
    const expression = written.replaceAll('$__rate_interval', '1m')
    parser.parse(expression).iterate({
      enter(/** @type {any} */ { name, from, to, type }) {
        const text = expression.slice(from, to)
        assert.ok(!type.isError, `${expression}: at ${from}`)
        if (name === 'VectorSelector') {
          const metric = /^\w+/.exec(text)?.[0] ?? ''
          assert.ok(known.has(metric), `${metric} in ${expression}`)
          used.add(metric)
        }
        if (name === 'LabelName') {
          const labels = ['job', 'instance', ...[...known.values()].flat()]
          assert.ok(labels.includes(text), `${text} in ${expression}`)
        }
      },
    })
  }
  const unused = [...known.keys()].filter((name) => !used.has(name) && !/_(sum|count)$/.test(name))
  assert.deepEqual(unused, [], 'the dashboard shows all of them')
})
