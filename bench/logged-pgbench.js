// @ts-check
// pgbench with a log of its transactions: when each was completed, and how long it took. With a rate, pgbench starts
// transactions by a schedule, and counts a latency from the time that the schedule has for the transaction.
'use strict'

const { startPgbench } = require('./pgbench-run.js')

/**
 * @typedef {object} LoggedLoad
 * @property {string[]} script
 * @property {number} connections
 * @property {number} [rate] transactions per second, as many as possible if there is none
 *
 * @typedef {object} Log of completed transactions, in their order
 * @property {number[]} at when, in ms since the epoch
 * @property {number[]} ms how long
 */

/**
 * One thread serves all connections, as one event loop does.
 *
 * @param {string} program
 * @param {string} url
 * @param {LoggedLoad} load
 * @param {number} seconds
 * @returns {{ pid: number, log: Promise<Log> }}
 */
function startLogged(program, url, { script, connections, rate }, seconds) {
  const args = rate === undefined ? [] : [`--rate=${rate}`]
  const { pid, end } = startPgbench(program, url, { script, connections, seconds, args, isLogged: true })
  return { pid, log: end.then(({ log }) => parseLog(log)) }
}

/**
 * A line has the client, the transaction's number, its microseconds, the script's number, and when it was completed: the
 * seconds and their microseconds.
 *
 * @param {string} text
 * @returns {Log}
 */
function parseLog(text) {
  const lines = text.split('\n').filter(Boolean)
  const rows = lines.map((line) => {
    const [, , micros, , seconds, part] = line.split(' ').map(Number)
    return { at: 1000 * (seconds ?? 0) + (part ?? 0) / 1000, ms: (micros ?? 0) / 1000 }
  })
  rows.sort((one, other) => one.at - other.at)
  return { at: rows.map(({ at }) => at), ms: rows.map(({ ms }) => ms) }
}

module.exports = { parseLog, startLogged }
