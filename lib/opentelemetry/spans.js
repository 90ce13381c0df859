// @ts-check
// A span for each call, from the tracing channels, by the semantic conventions for database spans:
// https://opentelemetry.io/docs/specs/semconv/database/database-spans/
'use strict'

const { tracingChannel } = require('node:diagnostics_channel')
// @ts-ignore: the application installs it
const { SpanKind, SpanStatusCode, trace } = require('@opentelemetry/api')
const args = require('../arguments.js')
const { buildInfo } = require('../build-info.js')
const { operations } = require('../operations.js')
const { optionsOf } = require('../options.js')

const NAME = 'goscope-postgres'

/** A SQLSTATE, as the server's errors have it for their code. */
const SQLSTATE = /^[0-9A-Z]{5}$/

/**
 * @typedef {import('../types/tracing.js').TraceContext} Call
 * @typedef {{ setAttribute: Function, setStatus: Function, end: Function }} Span
 */

/**
 * Makes a span of each call from now on; see opentelemetry.d.ts.
 *
 * @param {unknown} [options]
 * @returns {() => void} stops it
 */
function traceCalls(options) {
  const given = optionsOf(options, 'traceCalls')
  const tracer = given.tracer ?? trace.getTracer(NAME, buildInfo.version)
  if (typeof tracer.startSpan !== 'function') throw args.wrongType('options.tracer', 'a Tracer', tracer)
  const hasKeys = args.optionalBoolean('options.keys', given.keys) ?? false
  // All events of a call have one and the same object.
  /** @type {WeakMap<object, Span>} */
  const spans = new WeakMap()

  /** @type {any} */
  const subscribers = {
    start(/** @type {Call} */ call) {
      // The span that is active where the call is made becomes its parent.
      const span = tracer.startSpan(call.operation, { kind: SpanKind.CLIENT, attributes: attributesOf(call, hasKeys) })
      spans.set(call, span)
    },
    error(/** @type {Call} */ call) {
      const { type, message } = describe(call.error)
      const span = spans.get(call)
      span?.setAttribute('error.type', type)
      if (SQLSTATE.test(type)) span?.setAttribute('db.response.status_code', type)
      span?.setStatus({ code: SpanStatusCode.ERROR, message })
    },
    asyncEnd(/** @type {Call} */ call) {
      spans.get(call)?.end()
    },
  }

  const channels = operations.map((operation) => tracingChannel(`${NAME}:${operation}`))
  for (const channel of channels) channel.subscribe(subscribers)
  return () => {
    for (const channel of channels) channel.unsubscribe(subscribers)
  }
}

/**
 * An application's own work, as that of `getOrSet`, may throw anything. An error in a subscriber would end the process.
 *
 * @param {any} error
 * @returns {{ type: string, message?: string }} `_OTHER` is what the conventions have for an error without a name
 */
function describe(error) {
  if (error === null || typeof error !== 'object') return { type: '_OTHER' }
  const { code, name, message } = error
  // The code of a DOMException is a number, which says less than its name.
  const type = [code, name].find((each) => typeof each === 'string' && each !== '') ?? '_OTHER'
  return { type, ...(typeof message === 'string' && { message }) }
}

/**
 * @param {Call} call
 * @param {boolean} hasKeys
 */
function attributesOf({ operation, database, host, port, key }, hasKeys) {
  return {
    'db.system.name': 'postgresql',
    'db.operation.name': operation,
    'db.namespace': database,
    'server.address': host,
    'server.port': port,
    ...(hasKeys && key !== undefined && { 'goscope.key': key }),
  }
}

module.exports = { traceCalls }
