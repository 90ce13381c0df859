// @ts-check
// One run of the program pgbench. Its script, and its log if it writes one, are in a temporary folder of the run.
'use strict'

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { KEYS, VALUE } = require('./operations.js')

/**
 * @typedef {'simple' | 'extended' | 'prepared'} Protocol
 *
 * @typedef {object} Run
 * @property {string[]} script
 * @property {Protocol} [protocol]
 * @property {number} connections
 * @property {number} [threads]
 * @property {number} seconds
 * @property {string[]} [args] further ones
 * @property {boolean} [isLogged] with a log of its transactions, for which it must have one thread
 */

/** @type {Map<import('node:child_process').ChildProcess, string>} each with its folder */
const running = new Map()

/**
 * @param {string} program
 * @param {string} url
 * @param {Run} run
 * @param {(output: string) => void} [look] at all that it has printed so far
 * @returns {{ pid: number, end: Promise<{ output: string, log: string }>, kill: () => void }}
 */
function startPgbench(program, url, run, look = () => {}) {
  const { script, protocol = 'prepared', connections, threads = 1, seconds, args = [], isLogged = false } = run
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-bench-'))
  fs.writeFileSync(path.join(folder, 'script.sql'), `${script.join('\n')}\n`)
  const all = [
    ...['--no-vacuum', `--protocol=${protocol}`, '--file=script.sql', `--time=${seconds}`],
    ...[`--client=${connections}`, `--jobs=${threads}`, `--define=value=${JSON.stringify(VALUE)}`],
    ...[`--define=connections=${connections}`, `--define=keys_of_client=${Math.floor(KEYS / connections)}`],
    ...[...(isLogged ? ['--log', '--log-prefix=log'] : []), ...args, url],
  ]
  const child = spawn(program, all, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  running.set(child, folder)
  const end = endOf(child, look).then((output) => {
    return { output, log: isLogged ? fs.readFileSync(path.join(folder, `log.${child.pid}`), 'utf8') : '' }
  })
  return { pid: child.pid ?? 0, end: end.finally(() => remove(child, folder)), kill: () => child.kill('SIGKILL') }
}

/**
 * @param {import('node:child_process').ChildProcessByStdio<null, import('node:stream').Readable, import('node:stream').Readable>} child
 * @param {(output: string) => void} look
 * @returns {Promise<string>} all that it has printed
 */
async function endOf(child, look) {
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => look((output += data)))
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`pgbench failed: ${output}`)
  return output
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {string} folder
 */
function remove(child, folder) {
  running.delete(child)
  fs.rmSync(folder, { recursive: true, force: true })
}

// They would go on without the benchmark.
process.on('exit', () => {
  for (const [child, folder] of running) {
    child.kill('SIGKILL')
    remove(child, folder)
  }
})

module.exports = { startPgbench }
