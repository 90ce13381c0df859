// @ts-check
// The sides of the comparison, and what each has promised when the promise of a write resolves: how much of what was
// acknowledged may be lost.
'use strict'

const OURS = 'ours'

/**
 * @typedef {object} Promised
 * @property {string} resolved where a write is when its promise resolves
 * @property {string} crash what is lost if the server's process is killed
 * @property {string} powerLoss what is lost if its machine stops
 */

/** @type {Promised} */
const COMMITTED = { resolved: 'committed, flushed to disk', crash: 'nothing', powerLoss: 'nothing' }

/** @type {Promised} */
const IN_MEMORY = { resolved: "in the server's memory", crash: 'everything', powerLoss: 'everything' }
/** While a flush is under way, Redis also puts off the write to its log, for up to two seconds. */
const EVERY_SECOND = {
  resolved: "in the server's memory, flushed to disk each second",
  crash: 'nothing; up to 2 s if the disk is slow',
  powerLoss: 'about 1 s; up to 2 s if the disk is slow',
}
/** @type {Promised} */
const ALWAYS = { resolved: 'in the log, flushed to disk', crash: 'nothing', powerLoss: 'nothing' }

/** @type {Record<string, Promised>} in the order in which they are shown */
const PROMISES = {
  [OURS]: COMMITTED,
  reference: COMMITTED,
  'postgres-js': COMMITTED,
  keyv: COMMITTED,
  'chat-state': COMMITTED,
  pgbench: COMMITTED,
  // Three times wal_writer_delay.
  'ours-async': {
    resolved: "in the server's memory, flushed to disk soon",
    crash: 'up to 0.6 s',
    powerLoss: 'up to 0.6 s',
  },
  'redis-memory': IN_MEMORY,
  'redis-memory-pipelined': IN_MEMORY,
  'redis-everysec': EVERY_SECOND,
  'redis-everysec-pipelined': EVERY_SECOND,
  'redis-always': ALWAYS,
  'redis-always-pipelined': ALWAYS,
}

/** The sides to compare with, in the order in which they are shown. */
const OTHERS = Object.keys(PROMISES).filter((name) => name !== OURS)

/** Sides that have a name together. @type {Record<string, string[]>} */
const GROUPS = { redis: OTHERS.filter((name) => name.startsWith('redis-')) }

/** @param {string[]} sides */
const promisesOf = (sides) => Object.fromEntries(sides.map((name) => [name, PROMISES[name]]))

/** @param {ReturnType<typeof promisesOf>} promises */
function promisesTable(promises) {
  const rows = Object.entries(promises).map(([name, promised]) => [
    ...[name, promised?.resolved ?? '', promised?.crash ?? '', promised?.powerLoss ?? ''],
  ])
  rows.unshift(['side', 'once its promise resolves, a write is', 'a crash of the server loses', 'a power cut loses'])
  const widths = [0, 1, 2].map((at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

module.exports = { GROUPS, OTHERS, OURS, promisesOf, promisesTable }
