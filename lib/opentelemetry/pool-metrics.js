// @ts-check
// What an adapter's metrics() reports as observable instruments, by the semantic conventions for database clients:
// https://opentelemetry.io/docs/specs/semconv/database/database-metrics/
'use strict'

// @ts-ignore: the application installs it
const { metrics: global } = require('@opentelemetry/api')
const args = require('../arguments.js')
const { buildInfo } = require('../build-info.js')
const { metricsSource } = require('../metrics-source.js')
const { optionsOf } = require('../options.js')

const NAME = 'goscope-postgres'

/**
 * Observes the pool of an adapter from now on; see opentelemetry.d.ts.
 *
 * @param {unknown} adapter
 * @param {unknown} [options]
 * @returns {() => void} stops it
 */
function observePool(adapter, options) {
  const source = metricsSource('adapter', adapter)
  const given = optionsOf(options, 'observePool')
  const meter = given.meter ?? global.getMeter(NAME, buildInfo.version)
  if (typeof meter.addBatchObservableCallback !== 'function') throw args.wrongType('options.meter', 'a Meter', meter)
  const pool = { 'db.client.connection.pool.name': args.text('options.name', given.name ?? NAME) }

  const upDown = (/** @type {string} */ name, /** @type {string} */ unit, /** @type {string} */ description) =>
    meter.createObservableUpDownCounter(name, { unit, description })
  const counter = (/** @type {string} */ name, /** @type {string} */ unit, /** @type {string} */ description) =>
    meter.createObservableCounter(name, { unit, description })
  const connections = upDown('db.client.connection.count', '{connection}', 'Open connections.')
  const max = upDown('db.client.connection.max', '{connection}', 'The most connections that are opened.')
  const pending = upDown('db.client.connection.pending_requests', '{request}', 'Waits for a connection.')
  const inFlight = upDown('goscope.calls.in_flight', '{call}', 'Calls that were made and not answered.')
  const queued = upDown('goscope.calls.queued', '{call}', 'Calls that have not been sent yet.')
  const blocked = upDown(
    'goscope.pipelines.blocked',
    '{connection}',
    'Connections whose batch takes longer than 10 ms.',
  )
  const batches = counter('goscope.batches', '{batch}', 'Batches that were sent.')
  const statements = counter('goscope.statements', '{statement}', 'Statements that were sent.')
  const failures = counter('goscope.failures', '{call}', 'Calls that failed, by the code of the error.')
  const retries = counter('goscope.retries', '{call}', 'Repeated runs of calls.')

  const observe = (/** @type {{ observe: Function }} */ observer) => {
    // Read once for all of them, so that they agree.
    const metrics = source.metrics()
    const { open, idle } = metrics.pool
    observer.observe(connections, idle, { ...pool, 'db.client.connection.state': 'idle' })
    observer.observe(connections, open - idle, { ...pool, 'db.client.connection.state': 'used' })
    observer.observe(max, metrics.pool.max, pool)
    observer.observe(pending, metrics.pool.waiting, pool)
    observer.observe(inFlight, metrics.calls.inFlight, pool)
    observer.observe(queued, metrics.calls.queued, pool)
    observer.observe(blocked, metrics.pipelines.blocked, pool)
    observer.observe(batches, metrics.batches, pool)
    observer.observe(statements, metrics.statements.count, pool)
    for (const [operation, { errors, retries: again }] of Object.entries(metrics.operations)) {
      const labels = { ...pool, 'db.operation.name': operation }
      observer.observe(retries, again, labels)
      for (const [code, count] of Object.entries(errors)) {
        observer.observe(failures, count, { ...labels, 'error.type': code })
      }
    }
  }
  const all = [connections, max, pending, inFlight, queued, blocked, batches, statements, failures, retries]
  meter.addBatchObservableCallback(observe, all)
  return () => meter.removeBatchObservableCallback(observe, all)
}

module.exports = { observePool }
