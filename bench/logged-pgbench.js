// @ts-check
// pgbench with a log of its transactions: when each was completed, and how long it took. With a rate, pgbench starts
// transactions by a schedule, and counts a latency from the time that the schedule has for the transaction.
'use strict'

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { KEYS, VALUE } = require('./operations.js')

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

/** @type {Map<import('node:child_process').ChildProcess, string>} each with its temporary folder */
const running = new Map()

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
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-bench-'))
  const file = path.join(folder, 'script.sql')
  fs.writeFileSync(file, `${script.join('\n')}\n`)
  const args = [
    ...['--no-vacuum', '--protocol=prepared', `--file=${file}`, `--client=${connections}`, '--jobs=1'],
    ...[`--time=${seconds}`, '--log', `--log-prefix=${path.join(folder, 'log')}`],
    ...[`--define=value=${JSON.stringify(VALUE)}`, `--define=connections=${connections}`],
    ...[`--define=keys_of_client=${Math.floor(KEYS / connections)}`],
    ...(rate === undefined ? [] : [`--rate=${rate}`]),
  ]
  const child = spawn(program, [...args, url], { stdio: ['ignore', 'ignore', 'pipe'] })
  running.set(child, folder)
  return { pid: child.pid ?? 0, log: logOf(child, folder) }
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {string} folder
 */
async function logOf(child, folder) {
  let output = ''
  child.stderr?.on('data', (data) => (output += data))
  try {
    const [code] = await once(child, 'close')
    if (code !== 0) throw new Error(`pgbench failed: ${output}`)
    return parseLog(fs.readFileSync(path.join(folder, `log.${child.pid}`), 'utf8'))
  } finally {
    running.delete(child)
    fs.rmSync(folder, { recursive: true, force: true })
  }
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

// They would go on without the benchmark.
process.on('exit', () => {
  for (const [child, folder] of running) {
    child.kill('SIGKILL')
    fs.rmSync(folder, { recursive: true, force: true })
  }
})

module.exports = { parseLog, startLogged }
