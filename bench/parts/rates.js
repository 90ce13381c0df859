// @ts-check
// The comparison: each operation with more and more calls in flight, ours next to each of the other sides.
'use strict'

const { number, ratios, summary, times } = require('../figures.js')
const { OPERATIONS } = require('../operations.js')
const { Pgbench, findPgbench } = require('../pgbench.js')
const { Side } = require('../side.js')

const OURS = 'ours'

/** The sides to compare with, in the order in which they are shown. */
const OTHERS = ['reference', 'postgres-js', 'keyv', 'chat-state', 'pgbench']

/** The part of a window that its lead-in takes. */
const LEAD = 0.3

/** Throughput must not fall from here to the most calls in flight. */
const SCALE_FROM = 256

/**
 * @typedef {import('../window.js').Figures} Figures
 * @typedef {import('../figures.js').Spread} Spread
 * @typedef {Side | Pgbench} AnySide
 *
 * @typedef {object} Point one operation with one number of calls in flight
 * @property {string} operation
 * @property {number} inFlight
 * @property {number} rounds
 *
 * @typedef {Point & { sides: Record<string, Record<string, Spread>>, ratios: Record<string, Record<string, Spread>> }} Result
 */

/**
 * @param {import('../server.js').Server} server
 * @param {import('../arguments.js').Options} options
 * @param {import('../progress.js').Progress} progress
 */
async function measureRates(server, options, progress) {
  await server.fillTemplate()
  const sides = /** @type {AnySide[]} */ ([])
  /** @type {string[]} */
  const leftOut = []
  try {
    for (const name of [OURS, ...options.sides]) {
      progress.say(`opening ${name}`)
      const database = await server.databaseOf(name)
      const program = name === 'pgbench' ? findPgbench() : undefined
      if (name === 'pgbench' && !program) {
        leftOut.push(name)
        progress.line('pgbench is left out: it is neither on the PATH nor in /usr/lib/postgresql')
        continue
      }
      const side = program ? new Pgbench(program, server.pgbenchUrlOf(name)) : new Side(name, database)
      sides.push(side)
      await side.open()
    }
    const results = await measurePoints(server, sides, options, progress)
    const scale = await measureScale(server, /** @type {AnySide} */ (sides[0]), options, progress)
    await Promise.all(sides.map((side) => side.close()))
    const versions = Object.assign({}, ...sides.map((side) => side.versions))
    return { rates: { windowMs: options.windowMs, results, scale, leftOut }, versions }
  } finally {
    for (const side of sides) side.kill()
  }
}

/**
 * @param {import('../server.js').Server} server
 * @param {AnySide[]} sides ours is the first
 * @param {import('../arguments.js').Options} options
 * @param {import('../progress.js').Progress} progress
 */
async function measurePoints(server, sides, options, progress) {
  const { points, windowMs } = options
  /** @type {Result[]} */
  const results = []
  const columns = sides.slice(1).map(({ name }) => `against ${name}`.padEnd(COLUMN))
  progress.line(`${'operation'.padEnd(FIRST_COLUMN)} ${'in flight'.padStart(9)}  ${columns.join(' ')}`)
  for (const [index, point] of points.entries()) {
    const present = sides.filter(({ operations }) => operations.includes(point.operation))
    progress.at(index, points.length, `${point.operation}, ${point.inFlight} in flight`)
    const window = async (/** @type {AnySide} */ side, /** @type {number} */ ms) => {
      await server.tidy(side.name)
      progress.say(side.name)
      const size = { inFlight: point.inFlight, leadMs: LEAD * ms, ms, serverPid: server.pid }
      return side.window(point.operation, size)
    }
    // A warm-up: caches fill, plans are made, code is compiled.
    for (const side of present) if (side.name !== 'pgbench') await window(side, windowMs / 2)
    results.push(await measurePoint(point, present, (side) => window(side, windowMs)))
    progress.line(row(/** @type {Result} */ (results.at(-1)), sides))
  }
  return results
}

/**
 * @param {Point} point
 * @param {AnySide[]} sides
 * @param {(side: AnySide) => Promise<Figures>} window
 * @returns {Promise<Result>}
 */
async function measurePoint(point, sides, window) {
  /** @type {Record<string, Figures[]>} */
  const windows = Object.fromEntries(sides.map(({ name }) => [name, []]))
  /** @type {Record<string, [ours: Figures, other: Figures][]>} */
  const pairs = Object.fromEntries(sides.slice(1).map(({ name }) => [name, []]))
  for (let round = 0; round < point.rounds; round++) {
    for (const group of schedule(sides, round)) {
      const figures = []
      for (const side of group) figures.push(await window(side))
      const ours = /** @type {Figures} */ (figures[group.findIndex(({ name }) => name === OURS)])
      for (const [at, { name }] of group.entries()) {
        const found = /** @type {Figures} */ (figures[at])
        windows[name]?.push(found)
        pairs[name]?.push([ours, found])
      }
    }
  }
  return {
    ...point,
    sides: Object.fromEntries(Object.entries(windows).map(([name, all]) => [name, summary(all)])),
    ratios: Object.fromEntries(Object.entries(pairs).map(([name, all]) => [name, ratios(all)])),
  }
}

/**
 * One round's windows in groups: a window of ours with one of another side before it and one after, so that each of the
 * others stands next to one of ours. Every other round goes backwards, so no side is always the first.
 *
 * @template {{ name: string }} S
 * @param {S[]} sides ours is the first
 * @param {number} round
 * @returns {S[][]}
 */
function schedule([ours, ...others], round) {
  if (ours === undefined) return []
  if (others.length === 0) return [[ours]]
  const groups = []
  for (let at = 0; at < others.length; at += 2) {
    const [before, after] = others.slice(at, at + 2)
    groups.push([.../** @type {S[]} */ ([before]), ours, ...(after ? [after] : [])])
  }
  return round % 2 === 0 ? groups : groups.reverse().map((group) => group.reverse())
}

/**
 * Ours alone, with many calls in flight next to very many.
 *
 * @param {import('../server.js').Server} server
 * @param {AnySide} ours
 * @param {import('../arguments.js').Options} options
 * @param {import('../progress.js').Progress} progress
 */
async function measureScale(server, ours, { points, windowMs }, progress) {
  const scale = []
  for (const operation of Object.keys(OPERATIONS)) {
    const all = points.filter((point) => point.operation === operation)
    const most = Math.max(...all.map(({ inFlight }) => inFlight))
    const from = all.find(({ inFlight }) => inFlight === SCALE_FROM)
    if (!from || most <= SCALE_FROM) continue
    /** @type {[Figures, Figures][]} */
    const pairs = []
    for (let round = 0; round < from.rounds; round++) {
      progress.say(`${operation}, ${most} next to ${SCALE_FROM} in flight`)
      const figures = /** @type {Figures[]} */ ([])
      const order = round % 2 === 0 ? [most, SCALE_FROM] : [SCALE_FROM, most]
      for (const inFlight of order) {
        await server.tidy(ours.name)
        const size = { inFlight, leadMs: LEAD * windowMs, ms: windowMs, serverPid: server.pid }
        figures[inFlight === most ? 0 : 1] = await ours.window(operation, size)
      }
      pairs.push(/** @type {[Figures, Figures]} */ (figures))
    }
    scale.push({ operation, from: SCALE_FROM, to: most, rounds: from.rounds, ratio: ratios(pairs).rate })
  }
  return scale
}

const FIRST_COLUMN = 22
const COLUMN = 22

/**
 * @param {Result} result
 * @param {AnySide[]} sides
 */
function row({ operation, inFlight, sides: figures, ratios }, [, ...others]) {
  const cells = others.map(({ name }) => (ratios[name]?.rate ? times(ratios[name].rate) : '').padEnd(COLUMN))
  const title = (OPERATIONS[operation]?.title ?? operation).padEnd(FIRST_COLUMN)
  const rate = figures[OURS]?.rate
  return `${title} ${String(inFlight).padStart(9)}  ${cells.join(' ')} ${rate ? `${number(rate.median)}/s` : ''}`
}

module.exports = { measureRates, schedule, OTHERS, OURS, SCALE_FROM }
