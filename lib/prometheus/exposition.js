// @ts-check
// The text of metrics, in either of two formats that Prometheus reads:
//
// | format        | content type                                                  | differences                                      |
// | ------------- | ------------------------------------------------------------- | ------------------------------------------------ |
// | `openmetrics` | `application/openmetrics-text; version=1.0.0; charset=utf-8`  | units; a counter's family has no `_total`; `# EOF` |
// | `text`        | `text/plain; version=0.0.4; charset=utf-8`                    | may be appended to the text of another registry  |
//
// https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
'use strict'

const args = require('../arguments.js')
const { optionsOf } = require('../options.js')
const { FAMILIES } = require('./families.js')

const PREFIX = 'goscope_postgres_'

/**
 * In seconds. Each is one of the bounds that are counted by, so no count is an estimate: powers of two of a microsecond, from
 * 1 ms to 17 s.
 */
const BUCKETS = Array.from({ length: 8 }, (_, power) => (1024 * 4 ** power) / 1e6)

const CONTENT_TYPES = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  text: 'text/plain; version=0.0.4; charset=utf-8',
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/
/** The labels that samples have of their own. */
const OWN_LABELS = ['state', 'operation', 'group', 'code', 'le']

/**
 * @typedef {keyof typeof CONTENT_TYPES} Format
 * @typedef {import('./families.js').Labels} Labels
 * @typedef {{ metrics: import('../../index.js').Metrics, labels: Labels }} Labelled
 * @typedef {{ prefix: string, buckets: number[], latencyBy: import('./families.js').LatencyBy, format: Format }} Options
 */

/**
 * The text of the metrics of one pool, or of several; see prometheus.d.ts.
 *
 * @param {unknown} metrics
 * @param {unknown} [options]
 * @returns {string}
 */
function toPrometheus(metrics, options) {
  return expositionOf(labelled(metrics), settings(options))
}

/**
 * @param {unknown} options
 * @returns {Options}
 */
function settings(options) {
  const {
    prefix = PREFIX,
    buckets = BUCKETS,
    latencyBy = 'group',
    format = 'openmetrics',
  } = optionsOf(options, 'toPrometheus')
  if (typeof prefix !== 'string' || !NAME.test(`${prefix}x`)) {
    throw args.invalid('options.prefix', 'must begin a name of a metric: letters, digits, _ and :', prefix)
  }
  if (!Array.isArray(buckets)) throw args.wrongType('options.buckets', 'an array of numbers', buckets)
  for (const [at, bucket] of buckets.entries()) {
    if (!(args.number(`options.buckets[${at}]`, bucket) > 0)) {
      throw args.outOfRange(`options.buckets[${at}]`, 'greater than 0', bucket)
    }
  }
  return {
    prefix,
    // Each histogram ends with a bucket for all, so this one is there already. Other libraries take it as well.
    buckets: buckets.filter((bucket) => bucket !== Infinity),
    latencyBy: /** @type {any} */ (args.oneOf('options.latencyBy', latencyBy, ['group', 'operation'])),
    format: /** @type {any} */ (args.oneOf('options.format', format, Object.keys(CONTENT_TYPES))),
  }
}

/**
 * @param {unknown} given
 * @returns {Labelled[]}
 */
function labelled(given) {
  if (!Array.isArray(given)) return [{ metrics: asMetrics('metrics', given), labels: {} }]
  const all = given.map((each, at) => {
    const { metrics, labels } = args.object(`metrics[${at}]`, each)
    return { metrics: asMetrics(`metrics[${at}].metrics`, metrics), labels: asLabels(`metrics[${at}].labels`, labels) }
  })
  assertDistinct('metrics', all)
  return all
}

/** The numbers that samples are taken from, by the parts of what `metrics()` returns. */
const NUMBERS = {
  pool: ['open', 'idle', 'waiting', 'max'],
  pipelines: ['active', 'blocked'],
  calls: ['inFlight', 'queued'],
  statements: ['count', 'sum'],
}

/** @param {string} name @param {unknown} given */
function asMetrics(name, given) {
  const metrics = args.object(name, given)
  const has = Object.entries(NUMBERS).every(([part, numbers]) =>
    numbers.every((number) => typeof metrics[part]?.[number] === 'number'),
  )
  if (!has || typeof metrics.operations !== 'object' || metrics.operations === null) {
    throw args.wrongType(name, 'what metrics() returns', given)
  }
  return /** @type {any} */ (metrics)
}

/**
 * @param {string} name
 * @param {unknown} given
 * @returns {Labels}
 */
function asLabels(name, given) {
  if (given == null) return {}
  const labels = Object.entries(args.object(name, given))
  for (const [label] of labels) {
    if (!LABEL.test(label)) throw args.invalid(name, `has '${label}', which is no name of a label`, given)
    if (OWN_LABELS.includes(label))
      throw args.invalid(name, `has '${label}', a label that samples have of their own`, given)
  }
  return Object.fromEntries(labels.map(([label, value]) => [label, labelText(`${name}.${label}`, value)]))
}

/** @param {string} name @param {unknown} value */
function labelText(name, value) {
  if (!['string', 'number', 'bigint', 'boolean'].includes(typeof value)) {
    throw args.wrongType(name, 'of type string', value)
  }
  return String(value)
}

/**
 * Samples of one name with the same labels are one series: Prometheus refuses them, with all others of that answer.
 *
 * @param {string} name
 * @param {{ labels: Labels }[]} all
 */
function assertDistinct(name, all) {
  /** @type {Map<string, number>} */
  const places = new Map()
  for (const [at, { labels }] of all.entries()) {
    // A label without a text is as good as none.
    const texts = Object.entries(labels).filter(([, text]) => text !== '')
    const identity = JSON.stringify(texts.sort(([one], [other]) => (one < other ? -1 : 1)))
    const before = places.get(identity)
    if (before !== undefined) {
      throw args.invalid(`${name}[${at}].labels`, `must differ from those of ${name}[${before}]`, labels)
    }
    places.set(identity, at)
  }
}

/**
 * @param {Labelled[]} all
 * @param {Options} options
 */
function expositionOf(all, { prefix, buckets, latencyBy, format }) {
  const isOpen = format === 'openmetrics'
  /** @type {string[]} */
  const lines = []
  for (const [short, family] of Object.entries(FAMILIES)) {
    const unit = family.type === 'histogram' ? family.unit : undefined
    const name = `${prefix}${short}${unit ? `_${unit}` : ''}`
    const sample = family.type === 'counter' ? `${name}_total` : name
    // A counter's family is named with its suffix in the one format, and without it in the other.
    const declared = isOpen ? name : sample
    const samples = all.flatMap(({ metrics, labels }) =>
      family.type === 'histogram'
        ? family.histograms(metrics, latencyBy).flatMap((each) => bucketed(name, labels, each, buckets))
        : family.values(metrics).map(([own, value]) => line(sample, { ...labels, ...own }, value)),
    )
    if (samples.length === 0) continue
    lines.push(`# TYPE ${declared} ${family.type}`)
    if (unit && isOpen) lines.push(`# UNIT ${declared} ${unit}`)
    lines.push(`# HELP ${declared} ${family.help}`, ...samples)
  }
  if (isOpen) lines.push('# EOF')
  return `${lines.join('\n')}\n`
}

/**
 * Of a histogram in ms. Each bucket ends at the bound that is counted by and is nearest to the wanted one.
 *
 * @param {string} name
 * @param {Labels} labels
 * @param {import('./families.js').Distribution} distribution
 * @param {number[]} wanted in seconds
 */
function bucketed(name, labels, [own, { bounds, counts, sum, count }], wanted) {
  const ends = [...new Set(wanted.map((seconds) => nearest(bounds, seconds * 1000)))].sort((a, b) => a - b)
  let [at, below] = [0, 0]
  const buckets = ends.map((end) => {
    for (; at <= end; at++) below += counts[at] ?? 0
    return line(`${name}_bucket`, { ...labels, ...own, le: floating((bounds[end] ?? 0) / 1000) }, below)
  })
  return [
    ...buckets,
    line(`${name}_bucket`, { ...labels, ...own, le: '+Inf' }, count),
    line(`${name}_sum`, { ...labels, ...own }, sum / 1000),
    line(`${name}_count`, { ...labels, ...own }, count),
  ]
}

/**
 * @param {readonly number[]} bounds ascending
 * @param {number} wanted
 */
function nearest(bounds, wanted) {
  let found = 0
  for (const [at, bound] of bounds.entries()) {
    if (Math.abs(bound - wanted) < Math.abs((bounds[found] ?? 0) - wanted)) found = at
  }
  return found
}

/** @param {number} value as OpenMetrics wants bounds: with a point */
const floating = (value) => (Number.isInteger(value) ? `${value}.0` : String(value))

/**
 * @param {string} name
 * @param {Labels} labels
 * @param {number} value
 */
function line(name, labels, value) {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`)
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}`
}

/** @param {string} text */
const escaped = (text) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

module.exports = { CONTENT_TYPES, asLabels, assertDistinct, expositionOf, settings, toPrometheus }
