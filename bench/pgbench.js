// @ts-check
// pgbench, the server's own client in C, as a side: the same single statements, prepared, on as many connections as
// calls are in flight. What it reaches is what the server can do, one statement at a time.
'use strict'

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { startPgbench } = require('./pgbench-run.js')
const { SCRIPTS } = require('./pgbench-scripts.js')
const { serverCpu, usedSince } = require('./server-cpu.js')

/** More are of no use to any server that shares a machine with its client; `server.js` allows for them. */
const MAX_CONNECTIONS = 256

/** The part of a run in which the CPU of the server is read: a little before its end, or its sessions might be gone. */
const WATCHED = 0.8

const PROGRAM = process.platform === 'win32' ? 'pgbench.exe' : 'pgbench'

/**
 * @typedef {object} Load
 * @property {string[]} script
 * @property {import('./pgbench-run.js').Protocol} protocol
 * @property {number} connections
 * @property {number} calls that one run of the script does the work of
 */

class Pgbench {
  static MISSING = 'pgbench is neither on the PATH nor in /usr/lib/postgresql'

  name = 'pgbench'
  operations = Object.keys(SCRIPTS)
  /** Ends the run that was started last. */
  #kill = () => {}

  /**
   * @param {string} program
   * @param {import('./server.js').Place} place where it works
   * @param {string} url of that place, as it logs in
   */
  constructor(program, place, url) {
    this.program = program
    this.place = place
    this.url = url
    this.versions = { pgbench: versionOf(program) ?? '' }
  }

  async open() {}

  /**
   * @param {string} operation
   * @param {Pick<import('./window.js').Span, 'inFlight' | 'ms'>} span
   */
  window(operation, { inFlight, ms }) {
    const script = /** @type {string[]} */ (SCRIPTS[operation])
    return this.run({ script, protocol: 'prepared', connections: Math.min(inFlight, MAX_CONNECTIONS), calls: 1 }, ms)
  }

  /**
   * It counts in whole seconds.
   *
   * @param {Load} load
   * @param {number} ms
   * @returns {Promise<import('./window.js').Figures>}
   */
  async run({ script, protocol, connections, calls }, ms) {
    // Each session of a new run first has to fill its caches and to plan.
    const lead = connections > 64 ? 2 : 1
    const seconds = Math.max(1, Math.round(ms / 1000))
    const cpu = this.#watchServer(lead, seconds)
    const threads = Math.min(connections, os.availableParallelism())
    const run = { script, protocol, connections, threads, seconds: lead + seconds, args: ['--progress=1'] }
    const { end, kill } = startPgbench(this.program, this.url, run, cpu.look)
    this.#kill = kill
    const { output } = await end.finally(cpu.stop)
    const scripts = rateOf(output, lead)
    if (scripts === undefined) throw new Error(`pgbench printed no rate: ${output}`)
    const rate = scripts * calls
    return { calls: Math.round(rate * seconds), rate, serverCpuMicros: cpu.perSecond() / rate, connections }
  }

  async close() {}

  kill() {
    this.#kill()
  }

  /**
   * The sessions end with the run, and what they have used goes with them. So their CPU is read while they work.
   *
   * @param {number} lead the seconds that do not count
   * @param {number} seconds
   */
  #watchServer(lead, seconds) {
    /** @type {NodeJS.Timeout | undefined} */
    let timer
    let perSecond = Number.NaN
    const look = (/** @type {string} */ output) => {
      if (timer || !output.includes(`progress: ${lead}.`)) return
      const [before, begun] = [serverCpu(this.place.pid), performance.now()]
      timer = setTimeout(
        () => {
          const micros = usedSince(before, serverCpu(this.place.pid)) ?? Number.NaN
          perSecond = (1000 * micros) / (performance.now() - begun)
        },
        1000 * WATCHED * seconds,
      )
    }
    return { look, stop: () => clearTimeout(timer), perSecond: () => perSecond }
  }
}

/**
 * On a machine that stalls, a second may be missing; then the figure of the whole run is used.
 *
 * @param {string} output
 * @param {number} lead the seconds that do not count
 */
function rateOf(output, lead) {
  const seconds = [...output.matchAll(/^progress: ([\d.]+) s, ([\d.]+) tps/gm)]
  const rates = seconds.filter(([, second]) => Number(second) > lead + 0.5).map(([, , rate]) => Number(rate))
  if (rates.length > 0) return rates.reduce((sum, each) => sum + each, 0) / rates.length
  const whole = /^tps = ([\d.]+)/m.exec(output)?.[1]
  return whole === undefined ? undefined : Number(whole)
}

/** @returns {string | undefined} the program: on the PATH, or the newest of Debian's folders, which are not on it */
function findPgbench() {
  if (versionOf(PROGRAM)) return PROGRAM
  const debian = '/usr/lib/postgresql'
  const versions = fs.existsSync(debian) ? fs.readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  return versions.map((each) => path.join(debian, each, 'bin', PROGRAM)).find((program) => versionOf(program))
}

/** @param {string} program */
function versionOf(program) {
  const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' })
  return status === 0 ? /[\d.]+/.exec(stdout)?.[0] : undefined
}

module.exports = { Pgbench, findPgbench, versionOf, MAX_CONNECTIONS }
