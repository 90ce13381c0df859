// @ts-check
// pgbench, the server's own client in C, as a side: the same single statements, prepared, on as many connections as
// calls are in flight. What it reaches is what the server can do, one statement at a time.
'use strict'

const { spawn, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { KEYS, VALUE } = require('./operations.js')
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
 * @property {'simple' | 'extended' | 'prepared'} protocol
 * @property {number} connections
 * @property {number} calls that one run of the script does the work of
 */

class Pgbench {
  static MISSING = 'pgbench is neither on the PATH nor in /usr/lib/postgresql'

  name = 'pgbench'
  operations = Object.keys(SCRIPTS)
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-bench-'))
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #running

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
    // It would go on without the benchmark.
    process.on('exit', () => this.kill())
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
    fs.writeFileSync(this.#script, `${script.join('\n')}\n`)
    const cpu = this.#watchServer(lead, seconds)
    const output = await this.#spawn(
      [
        ...['--no-vacuum', `--protocol=${protocol}`, '--progress=1', `--file=${this.#script}`],
        ...[`--client=${connections}`, `--jobs=${Math.min(connections, os.availableParallelism())}`],
        ...[`--time=${lead + seconds}`, `--define=value=${JSON.stringify(VALUE)}`],
        ...[`--define=connections=${connections}`, `--define=keys_of_client=${Math.floor(KEYS / connections)}`],
        this.url,
      ],
      cpu.look,
    )
    const scripts = rateOf(output, lead)
    if (scripts === undefined) throw new Error(`pgbench printed no rate: ${output}`)
    const rate = scripts * calls
    return { calls: Math.round(rate * seconds), rate, serverCpuMicros: cpu.perSecond() / rate, connections }
  }

  async close() {
    fs.rmSync(this.#folder, { recursive: true, force: true })
  }

  kill() {
    this.#running?.kill('SIGKILL')
    fs.rmSync(this.#folder, { recursive: true, force: true })
  }

  get #script() {
    return path.join(this.#folder, 'script.sql')
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
    const look = (/** @type {string} */ output, /** @type {boolean} */ isOver) => {
      if (isOver) clearTimeout(timer)
      if (isOver || timer || !output.includes(`progress: ${lead}.`)) return
      const [before, begun] = [serverCpu(this.place.pid), performance.now()]
      timer = setTimeout(
        () => {
          const micros = usedSince(before, serverCpu(this.place.pid)) ?? Number.NaN
          perSecond = (1000 * micros) / (performance.now() - begun)
        },
        1000 * WATCHED * seconds,
      )
    }
    return { look, perSecond: () => perSecond }
  }

  /**
   * @param {string[]} args
   * @param {(output: string, isOver: boolean) => void} look at what it has printed so far
   * @returns {Promise<string>} all that it printed
   */
  async #spawn(args, look) {
    const child = spawn(this.program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#running = child
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => look((output += data), false))
    try {
      const [code] = await once(child, 'close')
      if (code === 0) return output
      throw new Error(`pgbench failed: ${output}`)
    } finally {
      look(output, true)
    }
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
