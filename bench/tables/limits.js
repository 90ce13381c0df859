// @ts-check
// The table of what any client can reach, and which targets lie beyond.
'use strict'

const { number, times } = require('../figures.js')
const { OPERATIONS } = require('../operations.js')
const { BESIDE_REDIS, RATES } = require('../targets.js')
const { code, table } = require('./cells.js')

/** @typedef {import('../parts/limits.js').Limit} Limit */

/** What the page calls the sides that the targets are about. @type {Record<string, string>} */
const OTHERS = { 'redis-memory': 'Redis in memory', reference: '`pg`, both behind PgBouncer' }

/** @param {{ limits: { besideRedis: Limit[], behindPooler: Limit[] } }} run */
function limits({ limits: { besideRedis, behindPooler } }) {
  const header = [
    ...[
      'call',
      'in flight',
      'by the rate of',
      'target',
      'bare statement',
      'ours',
      'ours by bare',
      'target within reach',
    ],
    ...["the server's CPU, µs: bare, ours", 'bare: connections × calls'],
  ]
  return table([header, ...[...besideRedis, ...behindPooler].map(row)])
}

/** @param {Limit} limit */
function row(limit) {
  const { operation, inFlight, durability, other, shape, figures, ratios } = limit
  const title = code(OPERATIONS[operation]?.title ?? operation)
  const target = targetOf(limit)
  const cpu = [figures.bare, figures.ours].map(({ serverCpu }) => (serverCpu ? number(serverCpu.median) : '–'))
  return [
    durability === 'async' ? `${title}, \`async\`` : title,
    String(inFlight),
    OTHERS[other] ?? other,
    target === undefined ? '' : `${target}×`,
    ...[ratios.bareByOther, ratios.oursByOther, ratios.oursByBare].map(times),
    target === undefined ? '' : withinReach(target, ratios.bareByOther),
    cpu.join(', '),
    `${shape.connections} × ${shape.calls}`,
  ]
}

/** @param {Limit} limit */
function targetOf({ operation, inFlight, durability, other }) {
  if (other === 'reference') return /** @type {any} */ (RATES)[operation]?.[inFlight]
  const targets = BESIDE_REDIS[operation]
  return durability === 'async' ? targets?.async?.[inFlight] : targets?.rate[inFlight]
}

/**
 * @param {number} target
 * @param {import('../figures.js').Spread} limit
 */
function withinReach(target, { median, high }) {
  if (median >= target) return 'yes'
  return high < target ? 'no' : 'in some rounds'
}

module.exports = { limits }
