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
  const all = [...besideRedis, ...behindPooler]
  const rates = [
    ...['call', 'in flight', 'by the rate of', 'target', 'within reach'],
    ...['bare statement', 'bare batches', 'ours', 'ours by bare statement', 'bare: connections × calls'],
  ]
  const cpu = ['call', 'in flight', 'beside', "that side's", 'bare statement', 'bare batches', 'ours']
  return [
    table([rates, ...all.map(ratesOf)]),
    'CPU of the client and of the server, µs a call:',
    table([cpu, ...all.map(cpuOf)]),
  ].join('\n\n')
}

/** @param {Limit} limit */
function ratesOf(limit) {
  const { shape, ratios } = limit
  const target = targetOf(limit)
  const clients = [ratios.bareByOther, ratios.batchesByOther, ratios.oursByOther]
  return [
    ...callOf(limit),
    ...(target === undefined ? ['', ''] : [`${target}×`, withinReach(target, clients)]),
    ...clients.map((ratio) => (ratio ? times(ratio) : '')),
    times(ratios.oursByBare),
    `${shape.connections} × ${shape.calls}`,
  ]
}

/** @param {Limit} limit */
function cpuOf(limit) {
  const { other, bare, batches, ours } = limit.figures
  const cell = (/** @type {typeof batches} */ figures) =>
    [figures?.cpu, figures?.serverCpu].flatMap((each) => (each ? number(each.median) : [])).join(' + ')
  return [...callOf(limit), ...[other, bare, batches, ours].map(cell)]
}

/** @param {Limit} limit */
function callOf({ operation, inFlight, durability, other }) {
  const title = code(OPERATIONS[operation]?.title ?? operation)
  return [durability === 'async' ? `${title}, \`async\`` : title, String(inFlight), OTHERS[other] ?? other]
}

/** @param {Limit} limit */
function targetOf({ operation, inFlight, durability, other }) {
  if (other === 'reference') return /** @type {any} */ (RATES)[operation]?.[inFlight]
  const targets = BESIDE_REDIS[operation]
  return durability === 'async' ? targets?.async?.[inFlight] : targets?.rate[inFlight]
}

/**
 * Whether any of the clients has reached it. On a machine with other programs, one that does less may have the worse
 * rounds.
 *
 * @param {number} target
 * @param {(import('../figures.js').Spread | undefined)[]} clients
 */
function withinReach(target, clients) {
  if (clients.some((ratio) => ratio && ratio.median >= target)) return 'yes'
  return clients.some((ratio) => ratio && ratio.high >= target) ? 'in some rounds' : 'no'
}

module.exports = { limits }
