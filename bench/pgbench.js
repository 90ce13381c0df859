// @ts-check
// pgbench, the server's own client in C, as a side: the same single statements, prepared, on as many connections as
// calls are in flight. What it reaches is what the server can do, one statement at a time.
'use strict'

const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { CHECKPOINTS_PER_TASK, HOT_KEYS, KEYS, TTL, VALUE } = require('./operations.js')
const statements = require('./statements.js')

/** More are of no use to any server that shares a machine with its client; `server.js` allows for them. */
const MAX_CONNECTIONS = 256

const PROGRAM = process.platform === 'win32' ? 'pgbench.exe' : 'pgbench'

/**
 * pgbench's variables are numbers, and where the command line sets them, text. It looks for them within literals, too:
 * in none of those may a letter follow a colon.
 */
const ANY_KEY = `\\set key random(0, ${KEYS - 1})`
const HOT_KEY = `\\set key random(0, ${HOT_KEYS - 1})`
const OWN_KEY = '\\set key :client_id + :connections * random(0, :keys_of_client - 1)'
const KEY = "'key:' || :key::text"
const OWNER = "'pgbench ' || :client_id::text"
const ACQUIRE_ARGS = (/** @type {string} */ key) => [`(${key})`, `(${OWNER})`, String(TTL)]

/** @type {Record<string, string[]>} */
const SCRIPTS = {
  get: [ANY_KEY, bind(statements.GET, [`('cache:' || ${KEY})`])],
  has: [ANY_KEY, bind(statements.HAS, [`('cache:' || ${KEY})`])],
  loadLatest: [ANY_KEY, bind(statements.LOAD_LATEST, [`(${KEY})`])],
  set: [ANY_KEY, bind(statements.SET, [`('cache:' || ${KEY})`, ':value', String(TTL)])],
  delete: [
    OWN_KEY,
    bind(statements.SET, [`('cache:' || 'deleted:' || ${KEY})`, ':value', String(TTL)]),
    bind(statements.DELETE, [`('cache:' || 'deleted:' || ${KEY})`]),
  ],
  increment: [HOT_KEY, bind(statements.INCREMENT, [`('cache:' || 'count:' || ${KEY})`, '1'])],
  save: [
    ANY_KEY,
    `\\set sequence random(0, ${CHECKPOINTS_PER_TASK - 1})`,
    bind(statements.SAVE, [
      `(${KEY} || ':' || :sequence::text)`,
      `(${KEY})`,
      ':sequence',
      '1700000000000',
      '50',
      ':value',
    ]),
  ],
  lock: [
    OWN_KEY,
    bind(statements.ACQUIRE, ACQUIRE_ARGS(`'lock:' || ${KEY}`)),
    bind(statements.RELEASE, [`('lock:' || ${KEY})`, `(${OWNER})`]),
  ],
  recordFailure: [HOT_KEY, bind(statements.RECORD_FAILURE, [`('circuit:' || ${KEY})`, '1e9'])],
  poll: [ANY_KEY, bind(statements.ACQUIRE, ACQUIRE_ARGS(`'lock:' || 'busy:' || ${KEY}`))],
}

/**
 * @param {string} statement
 * @param {string[]} values
 */
function bind(statement, values) {
  const bound = statement.replaceAll(/\$(\d)/g, (_, place) => values[Number(place) - 1] ?? '')
  return `${bound.replaceAll(/\s+/g, ' ').trim()};`
}

class Pgbench {
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
    this.versions = { pgbench: version(program) ?? '' }
    // It would go on without the benchmark.
    process.on('exit', () => this.kill())
  }

  async open() {
    for (const [name, lines] of Object.entries(SCRIPTS)) fs.writeFileSync(this.#script(name), `${lines.join('\n')}\n`)
  }

  /**
   * It counts in whole seconds.
   *
   * @param {string} operation
   * @param {import('./window.js').Span} span
   * @returns {Promise<import('./window.js').Figures>}
   */
  async window(operation, { inFlight, ms }) {
    const connections = Math.min(inFlight, MAX_CONNECTIONS)
    // Each session of a new run first has to fill its caches and to plan.
    const lead = connections > 64 ? 2 : 1
    const seconds = Math.max(1, Math.round(ms / 1000))
    const output = await this.#run([
      ...['--no-vacuum', '--protocol=prepared', '--progress=1', `--file=${this.#script(operation)}`],
      ...[`--client=${connections}`, `--jobs=${Math.min(connections, os.availableParallelism())}`],
      ...[`--time=${lead + seconds}`, `--define=value=${JSON.stringify(VALUE)}`],
      ...[`--define=connections=${connections}`, `--define=keys_of_client=${Math.floor(KEYS / connections)}`],
      this.url,
    ])
    const rate = rateOf(output, lead)
    if (rate === undefined) throw new Error(`pgbench printed no rate of ${operation}: ${output}`)
    return { calls: Math.round(rate * seconds), rate, connections }
  }

  async close() {
    fs.rmSync(this.#folder, { recursive: true, force: true })
  }

  kill() {
    this.#running?.kill('SIGKILL')
    fs.rmSync(this.#folder, { recursive: true, force: true })
  }

  /** @param {string} operation */
  #script(operation) {
    return path.join(this.#folder, `${operation}.sql`)
  }

  /**
   * @param {string[]} args
   * @returns {Promise<string>} all that it printed
   */
  #run(args) {
    const child = spawn(this.program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#running = child
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data))
    return new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code) => (code === 0 ? resolve(output) : reject(new Error(`pgbench failed: ${output}`))))
    })
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
  if (version(PROGRAM)) return PROGRAM
  const debian = '/usr/lib/postgresql'
  const versions = fs.existsSync(debian) ? fs.readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  return versions.map((each) => path.join(debian, each, 'bin', PROGRAM)).find((program) => version(program))
}

/** @param {string} program */
function version(program) {
  const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' })
  return status === 0 ? /[\d.]+/.exec(stdout)?.[0] : undefined
}

module.exports = { Pgbench, findPgbench, MAX_CONNECTIONS }
