// @ts-check
// Answers Prometheus over HTTP, for `node:http` and for frameworks that pass its requests on.
'use strict'

const args = require('../arguments.js')
const { metricsSource } = require('../metrics-source.js')
const { CONTENT_TYPES, asLabels, assertDistinct, expositionOf, settings } = require('./exposition.js')
const { formatFor } = require('./negotiation.js')

/**
 * @typedef {{ source: import('../metrics-source.js').MetricsSource, labels: import('./families.js').Labels }} LabelledSource
 */

/**
 * A request handler; see prometheus.d.ts.
 *
 * @param {unknown} source
 * @param {unknown} [options]
 */
function prometheusHandler(source, options) {
  const sources = sourcesOf(source)
  // What is wrong with the options is said at once, and not to Prometheus.
  const { format: _, ...given } = settings(options)

  return (
    /** @type {import('node:http').IncomingMessage} */ request,
    /** @type {import('node:http').ServerResponse} */ response,
  ) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end()
      return
    }
    const format = formatFor(request.headers.accept)
    const all = sources.map(({ source, labels }) => ({ metrics: source.metrics(), labels }))
    const text = Buffer.from(expositionOf(all, { ...given, format }))
    response.writeHead(200, { 'content-type': CONTENT_TYPES[format], 'content-length': text.length })
    response.end(request.method === 'HEAD' ? undefined : text)
  }
}

/**
 * @param {unknown} given
 * @returns {LabelledSource[]}
 */
function sourcesOf(given) {
  if (!Array.isArray(given)) return [{ source: metricsSource('adapter', given), labels: {} }]
  const sources = given.map((each, at) => {
    const { adapter, labels } = args.object(`adapters[${at}]`, each)
    return {
      source: metricsSource(`adapters[${at}].adapter`, adapter),
      labels: asLabels(`adapters[${at}].labels`, labels),
    }
  })
  assertDistinct('adapters', sources)
  return sources
}

module.exports = { prometheusHandler }
