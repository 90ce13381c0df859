// @ts-check
// A span for each call, out of goscope-postgres' tracing channels, in OpenTelemetry's words for databases.
// https://opentelemetry.io/docs/specs/semconv/database/database-spans/
'use strict'

const { tracingChannel } = require('node:diagnostics_channel')
const { SpanKind, SpanStatusCode } = require('@opentelemetry/api')
const { operations } = require('goscope-postgres')

/**
 * The span that is active where a call is made is the parent of the call's.
 *
 * @param {import('@opentelemetry/api').Tracer} tracer
 * @returns {() => void} stops it
 */
function traceCalls(tracer) {
  // All events of a call come with one and the same object.
  /** @type {WeakMap<object, import('@opentelemetry/api').Span>} */
  const spans = new WeakMap()

  /** @type {any} */
  const subscribers = {
    start(/** @type {import('goscope-postgres').TraceContext} */ call) {
      const attributes = {
        'db.system.name': 'postgresql',
        'db.operation.name': call.operation,
        'db.namespace': call.database,
        'server.address': call.host,
        'server.port': call.port,
        'goscope.key': call.key,
      }
      spans.set(call, tracer.startSpan(call.operation, { kind: SpanKind.CLIENT, attributes }))
    },
    error(/** @type {import('goscope-postgres').TraceContext} */ call) {
      const { code, name, message } = /** @type {NodeJS.ErrnoException} */ (call.error)
      spans.get(call)?.setAttribute('error.type', code ?? name)
      spans.get(call)?.setStatus({ code: SpanStatusCode.ERROR, message })
    },
    asyncEnd(/** @type {object} */ call) {
      spans.get(call)?.end()
    },
  }

  const channels = operations.map((operation) => tracingChannel(`goscope-postgres:${operation}`))
  for (const channel of channels) channel.subscribe(subscribers)
  return () => {
    for (const channel of channels) channel.unsubscribe(subscribers)
  }
}

module.exports = { traceCalls }
