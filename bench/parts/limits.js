// @ts-check
// What limits any client: the least that the server has to do for a call, beside the side that a target is about and
// beside ours, all in the same rotation of windows.
'use strict'

const { BareStatement } = require('../bare-statement.js')
const { ENVIRONMENTS } = require('../environments.js')
const { number, ratios, summary, times } = require('../figures.js')
const { Pgbench, findPgbench } = require('../pgbench.js')
const { OURS } = require('../promises.js')
const { MISSING, redisVersion } = require('../redis-server.js')
const { measureGroups, pairsOf, windowsOf } = require('./groups.js')
const { Sides } = require('./opening.js')
const { REFERENCE, withPair } = require('./pairs.js')
const { LEAD } = require('./rates.js')

const REDIS = 'redis-memory'

/** A write that waits for the flush, and one that does not. */
const DURABILITIES = /** @type {const} */ ({
  sync: { ours: OURS, bare: 'bare', setting: 'on' },
  async: { ours: 'ours-async', bare: 'bare-async', setting: 'off' },
})

/** Of the reads, one for comparison: that target is reached. @type {Record<string, (keyof typeof DURABILITIES)[]>} */
const DURABILITIES_OF = { get: ['sync'], set: ['sync', 'async'] }
const MOST_IN_FLIGHT_OF = /** @type {Record<string, number>} */ ({ get: 1, set: Infinity })

/** How often each way to have as many calls in flight is tried, before the fastest is measured. */
const TRIALS = 2

/**
 * @typedef {import('../figures.js').Spread} Spread
 * @typedef {import('../window.js').Figures} Figures
 * @typedef {import('../progress.js').Progress} Progress
 * @typedef {import('../side.js').Side} Side
 * @typedef {{ operation: string, inFlight: number }} Point
 * @typedef {{ windowMs: number, rounds: number }} Size
 *
 * @typedef {object} Limit
 * @property {string} operation
 * @property {number} inFlight
 * @property {keyof typeof DURABILITIES} durability
 * @property {string} other the side that the target is about
 * @property {{ protocol: string, connections: number, calls: number, rows: number }} shape of the bare statement
 * @property {{ ours: Record<string, Spread>, other: Record<string, Spread>, bare: Record<string, Spread> }} figures
 * @property {{ bareByOther: Spread, oursByOther: Spread, oursByBare: Spread }} ratios of the rates
 */

/**
 * @param {import('../server.js').Server} server
 * @param {import('../arguments.js').Options} options
 * @param {Progress} progress
 */
async function measureLimits(server, { operations, inFlight, windowMs, rounds }, progress) {
  progress.restart()
  const program = findPgbench()
  if (!program || !redisVersion()) {
    progress.line(`\nthe limits are left out: ${program ? MISSING : Pgbench.MISSING}`)
    return { found: { windowMs, rounds, besideRedis: [], behindPooler: [] }, versions: {} }
  }
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
  /** @type {BareStatement[]} */
  const bare = []
  try {
    await sides.open([DURABILITIES.async.ours, REDIS])
    for (const { bare: name, setting } of Object.values(DURABILITIES)) {
      const place = await server.databaseOf(name)
      await server.run('postgres', `ALTER DATABASE "${name}" SET synchronous_commit = ${setting}`)
      // As our sessions have it.
      await server.run('postgres', `ALTER DATABASE "${name}" SET plan_cache_mode = force_generic_plan`)
      bare.push(new BareStatement(name, new Pgbench(program, place, place.url), ['prepared']))
    }
    const limits = []
    for (const [index, point] of points.entries()) {
      progress.at(index, points.length, `${point.operation}, ${point.inFlight} in flight`)
      limits.push(...(await measurePoint(point, REDIS, [...sides.all, ...bare], size, progress)))
    }
    await sides.close()
    return { limits, versions: { ...sides.versions, ...bare[0]?.pgbench.versions } }
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

/**
 * @param {Point} point
 * @param {string} other the side that stands next to each of the others
 * @param {(Side | import('./opening.js').AnySide | BareStatement)[]} sides
 * @param {Size} size
 * @param {Progress} progress
 * @returns {Promise<Limit[]>}
 */
async function measurePoint({ operation, inFlight }, other, sides, { windowMs, rounds }, progress) {
  const window = async (/** @type {(typeof sides)[number]} */ side, /** @type {number} */ ms) => {
    await side.place.tidy()
    progress.say(side.name)
    return side.window(operation, { inFlight, leadMs: LEAD * ms, ms })
  }
  const durabilities = (DURABILITIES_OF[operation] ?? []).filter((each) =>
    sides.some(({ name }) => name === DURABILITIES[each].ours),
  )
  const chosen = [other, ...durabilities.flatMap((each) => [DURABILITIES[each].bare, DURABILITIES[each].ours])]
  const present = chosen.map((name) => /** @type {(typeof sides)[number]} */ (sides.find((side) => side.name === name)))
  for (const side of present) {
    if (side instanceof BareStatement) {
      progress.say(`${side.name}: which way is the fastest`)
      await side.choose(operation, inFlight, { trials: Math.min(TRIALS, rounds), ms: windowMs })
    } else {
      await window(side, windowMs / 2)
    }
  }
  const groups = await measureGroups(present, rounds, (side) => window(side, windowMs))
  return durabilities.map((durability) => {
    const { ours, bare } = DURABILITIES[durability]
    const rate = (/** @type {string} */ one, /** @type {string} */ by) =>
      /** @type {Spread} */ (ratios(pairsOf(groups, one, by)).rate)
    const figures = (/** @type {string} */ name) => summary(windowsOf(groups, name))
    const { script: _, ...shape } = /** @type {import('../bare-statement.js').Shape} */ (
      /** @type {BareStatement} */ (present.find(({ name }) => name === bare)).shape
    )
    const limit = {
      ...{ operation, inFlight, durability, other, shape },
      figures: { ours: figures(ours), other: figures(other), bare: figures(bare) },
      ratios: { bareByOther: rate(bare, other), oursByOther: rate(ours, other), oursByBare: rate(ours, bare) },
    }
    progress.line(row(limit))
    return limit
  })
}

const [FIRST, COLUMN] = [28, 24]

/** @param {string} other */
const header = (other) =>
  [
    'bare statement, and ours'.padEnd(FIRST),
    ...[`bare by ${other}`, `ours by ${other}`, 'ours by bare'].map(cell),
  ].join('')

/** @param {Limit} limit */
function row({ operation, inFlight, durability, shape, figures, ratios }) {
  const title = `${operation}, ${inFlight} in flight${durability === 'async' ? ', async' : ''}`
  const { bareByOther, oursByOther, oursByBare } = ratios
  const cells = [bareByOther, oursByOther, oursByBare].map((ratio) => cell(times(ratio)))
  const rate = figures.bare.rate ? `${number(figures.bare.rate.median)}/s` : ''
  return [title.padEnd(FIRST), ...cells, `${rate}, ${shape.connections} × ${shape.calls}`].join('')
}

/** @param {string} text */
const cell = (text) => text.padEnd(COLUMN)

module.exports = { measureLimits }
