// @ts-check
// Which format a scraper asks for, by the qualities in its Accept header (RFC 9110, 12.5.1).
'use strict'

const OPENMETRICS = ['application/openmetrics-text']
/** The most specific one counts. */
const TEXT = ['text/plain', 'text/*', '*/*']

/**
 * OpenMetrics only for a scraper that names it, and does not prefer text.
 *
 * @param {string | undefined} accept
 * @returns {import('./exposition.js').Format}
 */
function formatFor(accept) {
  const qualities = qualitiesOf(accept ?? '')
  const [openMetrics, text] = [OPENMETRICS, TEXT].map((types) => {
    const named = types.find((type) => qualities.has(type))
    return named === undefined ? 0 : (qualities.get(named) ?? 0)
  })
  return openMetrics && openMetrics >= (text ?? 0) ? 'openmetrics' : 'text'
}

/**
 * By media range, the highest if a range is there with several versions.
 *
 * @param {string} accept
 */
function qualitiesOf(accept) {
  /** @type {Map<string, number>} */
  const qualities = new Map()
  for (const each of accept.toLowerCase().split(',')) {
    const [range = '', ...parameters] = each.split(';').map((part) => part.trim())
    const quality = qualityOf(parameters)
    qualities.set(range, Math.max(quality, qualities.get(range) ?? 0))
  }
  return qualities
}

/** @param {string[]} parameters */
function qualityOf(parameters) {
  const given = parameters.map((parameter) => /^q\s*=\s*([0-9.]+)$/.exec(parameter)?.[1]).find(Boolean)
  const quality = Number(given ?? 1)
  // What is no quality is ignored.
  return quality <= 1 ? quality : 1
}

module.exports = { formatFor }
