// @ts-check
// A thousand callers, in more and more processes, wait for one lock: the statements that the server gets from them meanwhile,
// and how they hand it on.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { PostgresAdapter } = require('goscope-postgres')
const { fairness, number, spreads } = require('../figures.js')
const { TTL } = require('../operations.js')
const { clock } = require('../shared-window.js')
const { WANTED } = require('../sides/processes.js')

const CALLERS = 1000

/** A wait is long: what is sent each second must show. */
const WAIT_WINDOWS = 4

/** How long the callers have, before the clock starts, for what a wait begins with. */
const SETTLE_MS = 1000

/**
 * @typedef {import('../figures.js').Spread} Spread
 *
 * @typedef {object} Waiting
 * @property {number} statements per second that the callers send while the lock is held
 * @property {number} handOvers per second, once it is released
 * @property {number} statementsPerHandOver
 * @property {number} jain Jain's index of the first half of the grants, by process
 * @property {number} connections open
 */

/**
 * @param {import('./processes.js').Field} field
 * @param {number[]} numbers of processes
 * @param {{ windowMs: number, rounds: number }} size
 * @param {import('../progress.js').Progress} progress
 */
async function measureWaiters({ sides, place }, numbers, { windowMs, rounds }, progress) {
  progress.line(`\n${CALLERS.toLocaleString('en-US')} callers wait for one lock`)
  const holder = new PostgresAdapter(place.url)
  try {
    const points = []
    for (const processes of numbers) {
      /** @type {Waiting[]} */
      const windows = []
      for (let round = 0; round < rounds; round++) {
        progress.say(`${processes} processes, round ${round + 1}`)
        windows.push(await measureWait(sides.slice(0, processes), holder, WAIT_WINDOWS * windowMs))
      }
      const figures = spreads(windows)
      points.push({ processes, figures })
      const shown = Object.entries(figures).map(([name, { median }]) => `${name} ${number(median)}`)
      progress.line(`${String(processes).padStart(3)} processes  ${shown.join('  ')}`)
    }
    return { callers: CALLERS, rounds, points }
  } finally {
    await holder.close()
  }
}

/**
 * @param {import('../side.js').Side[]} sides
 * @param {PostgresAdapter} holder
 * @param {number} ms
 * @returns {Promise<Waiting>}
 */
async function measureWait(sides, holder, ms) {
  const held = await holder.lock(WANTED, { ttl: TTL })
  const upTo = (/** @type {number} */ at) => Math.floor((at * CALLERS) / sides.length)
  await Promise.all(sides.map((side, at) => side.wait(upTo(at + 1) - upTo(at))))
  await sleep(SETTLE_MS)
  const [before, started] = [await countsOf(sides), performance.now()]
  await sleep(ms)
  const [during, seconds] = [await countsOf(sides), (performance.now() - started) / 1000]

  const released = clock()
  await held.release()
  const granted = await Promise.all(sides.map((side) => side.granted()))
  const after = await countsOf(sides)
  const grants = granted.flatMap((times, process) => times.map((at) => ({ at, process })))
  grants.sort((one, other) => one.at - other.at)
  const early = grants.slice(0, CALLERS / 2)
  const last = grants.at(-1)?.at ?? released
  return {
    statements: (during.statements - before.statements) / seconds,
    handOvers: CALLERS / ((last - released) / 1000),
    statementsPerHandOver: (after.statements - during.statements) / CALLERS,
    jain: fairness(sides.map((_, at) => early.filter(({ process }) => process === at).length)).jain,
    connections: after.connections,
  }
}

/** @param {import('../side.js').Side[]} sides */
async function countsOf(sides) {
  const all = await Promise.all(sides.map((side) => side.counts()))
  const sum = (/** @type {'statements' | 'connections'} */ name) => all.reduce((found, each) => found + each[name], 0)
  return { statements: sum('statements'), connections: sum('connections') }
}

module.exports = { measureWaiters }
