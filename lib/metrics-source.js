// @ts-check
'use strict'

const args = require('./arguments.js')

/** @typedef {{ metrics(): import('../index.js').Metrics }} MetricsSource an adapter, as what exports its metrics needs it */

/**
 * @param {string} name of the argument
 * @param {unknown} given
 * @returns {MetricsSource}
 */
function metricsSource(name, given) {
  const source = args.object(name, given)
  if (typeof source.metrics !== 'function') throw args.wrongType(name, 'an adapter', given)
  return /** @type {any} */ (source)
}

module.exports = { metricsSource }
