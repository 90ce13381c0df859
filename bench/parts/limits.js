// @ts-check
// What limits any client: the least that the server has to do for a call, beside the side that a target is about and
// beside ours, all in the same rotation of windows.
'use strict'

const { BareStatement } = require('../bare-statement.js')
const { ENVIRONMENTS } = require('../environments.js')
const { number, ratios, summary, times } = require('../figures.js')
const { Pgbench } = require('../pgbench.js')
const { OURS } = require('../promises.js')
const { MISSING, redisVersion } = require('../redis-server.js')
const { Side } = require('../side.js')
const { databaseOf, pgbenchFor } = require('./any-client.js')
const { measureGroups, pairsOf, windowsOf } = require('./groups.js')
const { Sides } = require('./opening.js')
const { REFERENCE, withPair } = require('./pairs.js')
const { LEAD } = require('./rates.js')

const REDIS = 'redis-memory'

/** A write that waits for the flush, and one that does not. */
const DURABILITIES = /** @type {const} */ ({
  sync: { ours: OURS, bare: 'bare', batches: 'bare-batches', setting: 'on' },
  async: { ours: 'ours-async', bare: 'bare-async', batches: 'bare-batches-async', setting: 'off' },
})

/** Of the reads, one for comparison: that target is reached. @type {Record<string, (keyof typeof DURABILITIES)[]>} */
const DURABILITIES_OF = { get: ['sync'], set: ['sync', 'async'] }
const MOST_IN_FLIGHT_OF = /** @type {Record<string, number>} */ ({ get: 1, set: Infinity })

/**
 * @typedef {import('../figures.js').Spread} Spread
 * @typedef {import('../window.js').Figures} Figures
 * @typedef {import('../progress.js').Progress} Progress
 * @typedef {{ operation: string, inFlight: number }} Point
 * @typedef {{ windowMs: number, rounds: number }} Size
 *
 * @typedef {object} Limit
 * @property {string} operation
 * @property {number} inFlight
 * @property {keyof typeof DURABILITIES} durability
 * @property {string} other the side that the target is about
 * @property {{ protocol: string, connections: number, calls: number, rows: number }} shape of the bare statement
 * @property {Record<'ours' | 'other' | 'bare', Record<string, Spread>> & { batches?: Record<string, Spread> }} figures
 * @property {Record<'bareByOther' | 'oursByOther' | 'oursByBare', Spread> & { batchesByOther?: Spread }} ratios of the rates
 */

/**
 * @param {import('../server.js').Server} server
 * @param {import('../arguments.js').Options} options
 * @param {Progress} progress
 */
async function measureLimits(server, { operations, inFlight, windowMs, rounds }, progress) {
  progress.restart()
  const program = pgbenchFor('the limits', progress, redisVersion() ? undefined : MISSING)
  if (!program) return { found: { windowMs, rounds, besideRedis: [], behindPooler: [] }, versions: {} }
  const points = operations.limits.flatMap((operation) =>
    inFlight.limits
      .filter((calls) => calls <= (MOST_IN_FLIGHT_OF[operation] ?? 0))
      .map((calls) => ({ operation, inFlight: calls })),
  )
  const size = { windowMs, rounds }
  progress.line(`\n${header(REDIS)}`)
  const besideRedis = await measureBesideRedis(server, program, points, size, progress)
  const behindPooler = await measureBehindPooler(server, program, points, size, progress)
  return {
    found: { windowMs, rounds, besideRedis: besideRedis.limits, behindPooler: behindPooler.limits },
    versions: { ...besideRedis.versions, ...behindPooler.versions },
  }
}

/**
 * @param {import('../server.js').Server} server
 * @param {string} program
 * @param {Point[]} points
 * @param {Size} size
 * @param {Progress} progress
 */
async function measureBesideRedis(server, program, points, size, progress) {
  await server.fillTemplate()
  const sides = new Sides(server, progress)
  /** @type {(Side | BareStatement)[]} */
  const bare = []
  try {
    await sides.open([DURABILITIES.async.ours, REDIS])
    for (const { bare: name, batches, setting } of Object.values(DURABILITIES)) {
      const place = await databaseOf(server, name, setting)
      bare.push(new BareStatement(name, new Pgbench(program, place, place.url), ['prepared']))
      const side = new Side(batches, await databaseOf(server, batches, setting), 'bare-batches')
      bare.push(side)
      await side.open()
    }
    const limits = []
    for (const [index, point] of points.entries()) {
      progress.at(index, points.length, `${point.operation}, ${point.inFlight} in flight`)
      limits.push(...(await measurePoint(point, REDIS, [...sides.all, ...bare], size, progress)))
    }
    await Promise.all([sides.close(), ...bare.map((side) => side.close())])
    return { limits, versions: Object.assign({}, sides.versions, ...bare.map(({ versions }) => versions)) }
  } finally {
    for (const side of bare) side.kill()
    await sides.end()
  }
}

/**
 * No statement is prepared there. The target is about pg.
 *
 * @param {import('../server.js').Server} server
 * @param {string} program
 * @param {Point[]} points
 * @param {Size} size
 * @param {Progress} progress
 */
async function measureBehindPooler(server, program, points, size, progress) {
  const { title, missing, open } = /** @type {import('../environments.js').Environment} */ (ENVIRONMENTS.pooler)
  const writes = points.filter(({ operation }) => operation === 'set')
  if (missing || writes.length === 0) {
    if (missing) progress.line(`\nthe pooler is left out: ${missing}`)
    return { limits: [], versions: {} }
  }
  const pooler = await open(server)
  try {
    progress.restart()
    progress.line(`\n${title}\n${header(REFERENCE)}`)
    const route = (/** @type {import('../server.js').Place} */ place) => ({ ...place, url: pooler.route(place.url) })
    const { found, versions } = await withPair(
      server,
      'limits',
      async (pair) => {
        const place = route(await server.databaseOf('limits bare'))
        const bare = new BareStatement('bare', new Pgbench(program, place, place.url), ['simple', 'extended'])
        try {
          const limits = []
          for (const [index, point] of writes.entries()) {
            progress.at(index, writes.length, `${title}, ${point.inFlight} in flight`)
            limits.push(...(await measurePoint(point, REFERENCE, [...pair, bare], size, progress)))
          }
          return limits
        } finally {
          bare.kill()
        }
      },
      route,
    )
    return { limits: found, versions }
  } finally {
    await pooler.close()
  }
}

/** @typedef {import('./opening.js').AnySide | BareStatement} LimitSide */

/**
 * @param {Point} point
 * @param {string} other the side that stands next to each of the others
 * @param {LimitSide[]} sides
 * @param {Size} size
 * @param {Progress} progress
 */
async function measurePoint(point, other, sides, size, progress) {
  const limits = []
  for (const durability of DURABILITIES_OF[point.operation] ?? []) {
    const { ours, bare, batches } = DURABILITIES[durability]
    const find = (/** @type {string} */ name) => sides.find((side) => side.name === name)
    const found = { other: find(other), bare: find(bare), ours: find(ours) }
    if (!found.ours) continue
    // With one call in flight there is no batch.
    const present = { ...found, ...(point.inFlight > 1 ? { batches: find(batches) } : {}) }
    const limit = await measureLimit(point, /** @type {any} */ (present), size, progress)
    limits.push({ ...point, durability, other, ...limit })
    progress.line(row(/** @type {Limit} */ (limits.at(-1))))
  }
  return limits
}

/**
 * @param {Point} point
 * @param {{ other: LimitSide, bare: BareStatement, ours: LimitSide, batches?: LimitSide }} sides
 * @param {Size} size
 * @param {Progress} progress
 * @returns {Promise<Pick<Limit, 'shape' | 'figures' | 'ratios'>>}
 */
async function measureLimit({ operation, inFlight }, { other, bare, ours, batches }, { windowMs, rounds }, progress) {
  const window = async (/** @type {LimitSide} */ side, /** @type {number} */ ms) => {
    await side.place.tidy()
    progress.say(side.name)
    return side.window(operation, { inFlight, leadMs: LEAD * ms, ms })
  }
  const clients = [other, ours, ...(batches ? [batches] : [])]
  for (const side of clients) await window(side, windowMs / 2)
  progress.say(`${bare.name}: which way is the fastest`)
  const { script: _, ...shape } = await bare.choose(operation, inFlight, windowMs)
  const groups = await measureGroups([other, bare, ...clients.slice(1)], rounds, (side) => window(side, windowMs))
  const figures = (/** @type {LimitSide} */ { name }) => summary(windowsOf(groups, name))
  const ratio = (/** @type {LimitSide} */ one, /** @type {LimitSide} */ by) =>
    /** @type {Spread} */ (ratios(pairsOf(groups, one.name, by.name)).rate)
  return {
    shape,
    figures: {
      ...{ other: figures(other), bare: figures(bare), ours: figures(ours) },
      ...(batches && { batches: figures(batches) }),
    },
    ratios: {
      ...{ bareByOther: ratio(bare, other), oursByOther: ratio(ours, other), oursByBare: ratio(ours, bare) },
      ...(batches && { batchesByOther: ratio(batches, other) }),
    },
  }
}

const [FIRST, COLUMN] = [26, 23]

/** @param {string} other */
const header = (other) =>
  line(`by ${other}`, ['the bare statement', 'ours', 'its batches by pg', 'ours by the statement'], '')

/** @param {Limit} limit */
function row({ operation, inFlight, durability, shape, figures, ratios }) {
  const title = `${operation}, ${inFlight} in flight${durability === 'async' ? ', async' : ''}`
  const { bareByOther, oursByOther, batchesByOther, oursByBare } = ratios
  const cells = [bareByOther, oursByOther, batchesByOther, oursByBare].map((each) => (each ? times(each) : ''))
  const rate = figures.bare.rate ? `${number(figures.bare.rate.median)}/s` : ''
  return line(title, cells, `${rate}, ${shape.connections} × ${shape.calls}`)
}

/**
 * @param {string} first
 * @param {string[]} cells
 * @param {string} last
 */
const line = (first, cells, last) =>
  [first.padEnd(FIRST), ...cells.map((each) => each.padEnd(COLUMN)), last].join('').trimEnd()

module.exports = { measureLimits }
