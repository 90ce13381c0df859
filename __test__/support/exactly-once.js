// @ts-check
// Processes that run work under the same keys, the faults that strike them, and the count of what came of it.
'use strict'

const { fork, spawn } = require('node:child_process')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { inTime } = require('./waiting.js')

/**
 * @typedef {Awaited<ReturnType<typeof import('./database.js').useDatabase>>} Database
 * @typedef {Awaited<ReturnType<typeof import('./proxy.js').startProxy>>} Proxy
 *
 * @typedef {object} Spec of one process, which may be killed and replaced by another
 * @property {string} url
 * @property {import('pg').PoolConfig} [options]
 *
 * @typedef {{ spec: Spec, child: import('node:child_process').ChildProcess, frozenUntil: number, isOver: boolean,
 *   exited: Promise<void> }} Worker
 */

/** Shorter than the freezes, so that another process takes over the claim of one that is frozen. */
const CLAIM_TTL_MS = 200
const FREEZE_MS = 600
/** A silent peer is noticed only by clients that set a time limit. */
const TIMEOUT_MS = 1_500

const now = () => performance.now()

class RunWorkers {
  /** @type {Worker[]} those that are running, and those that have ended */
  #all = []
  #keys
  #isAtomic
  /** How many times work has begun. */
  begun = 0
  /** @type {Map<string, string[]>} by key, the value of each result that run() has returned */
  returned = new Map()
  /** @type {Map<string, number>} failures of run(), by their code */
  failures = new Map()
  /** @type {string[]} where the processes are that have been asked for it */
  #stages = []
  /** @type {string[]} what no process may report */
  faults = []

  /**
   * @param {string[]} keys
   * @param {boolean} isAtomic whether the work runs in the transaction that stores its result
   */
  constructor(keys, isAtomic) {
    this.#keys = keys
    this.#isAtomic = isAtomic
  }

  /** @param {Spec} spec */
  start(spec) {
    const order = { url: spec.url, keys: this.#keys, isAtomic: this.#isAtomic, claimTtl: CLAIM_TTL_MS }
    const options = { query_timeout: TIMEOUT_MS, connectionTimeoutMillis: TIMEOUT_MS, ...spec.options }
    const child = fork(path.join(__dirname, 'exactly-once-worker.js'), [JSON.stringify({ ...order, options })], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    /** @type {Worker} */
    const worker = {
      spec,
      child,
      frozenUntil: 0,
      isOver: false,
      exited: new Promise((resolve) =>
        // Not 'exit', which may come before the last messages have been read.
        child.once('close', (code, signal) => {
          worker.isOver = true
          if (signal !== 'SIGKILL' && code !== 0) this.faults.push(`a process ended with ${signal ?? code}`)
          resolve()
        }),
      ),
    }
    child.on('message', (message) => this.#told(message))
    this.#all.push(worker)
    return worker
  }

  /** @param {any} event */
  #told(event) {
    if (event.began) this.begun++
    else if (event.failed) this.failures.set(event.failed, (this.failures.get(event.failed) ?? 0) + 1)
    else if (event.stage) this.#stages.push(event.stage)
    else if (event.isDone) {
      if (event.leaked || event.waiting) this.faults.push(`${event.leaked} clients are not released`)
    } else if (event.result?.key === event.key) {
      this.returned.set(event.key, [...(this.returned.get(event.key) ?? []), event.result.value])
    } else this.faults.push(`run() returned ${JSON.stringify(event.result)} for ${event.key}`)
  }

  get alive() {
    return this.#all.filter(({ isOver }) => !isOver)
  }

  get awake() {
    return this.alive.filter(({ frozenUntil }) => frozenUntil < now())
  }

  /**
   * Stops a process for longer than its claims last. A third process wakes it, even if this one is killed.
   *
   * @param {Worker | undefined} worker
   */
  freeze(worker) {
    if (!worker) return false
    worker.frozenUntil = now() + FREEZE_MS
    const script = `kill -STOP ${worker.child.pid}; sleep ${FREEZE_MS / 1000}; kill -CONT ${worker.child.pid}`
    spawn('sh', ['-c', script], { stdio: 'ignore', detached: true }).unref()
    return true
  }

  /**
   * Kills a process, and starts another like it.
   *
   * @param {Worker | undefined} worker
   */
  async kill(worker) {
    if (!worker) return false
    worker.child.kill('SIGKILL')
    await worker.exited
    this.start(worker.spec)
    return true
  }

  /** Waits until each process has the result of each key. */
  async finish() {
    try {
      await inTime('the end of the processes', Promise.all(this.alive.map(({ exited }) => exited)))
    } catch (error) {
      const { alive } = this
      for (const { child } of alive) if (child.connected) child.send('where')
      await sleep(1_000)
      const told = this.#stages.join('; ')
      throw new Error(`${alive.length} processes do not end. Of these, ${this.#stages.length} answer: ${told}`, {
        cause: error,
      })
    }
  }

  cleanUp() {
    for (const { child } of this.alive) child.kill('SIGKILL')
  }
}

/**
 * What happens to the processes, by name. Each returns false if there was nothing to strike.
 *
 * @param {RunWorkers} workers
 * @param {Proxy} proxy
 * @param {() => number} random
 * @returns {Record<string, () => boolean | Promise<boolean>>}
 */
function faultsOf(workers, proxy, random) {
  const any = (/** @type {Worker[]} */ list) => list[Math.floor(random() * list.length)]
  const cut = (/** @type {'reset' | 'end' | 'silence'} */ how) => () =>
    proxy.cutOneAfter(random(), random() < 0.5 ? 'client' : 'server', Math.floor(random() * 400), how)
  /** Waits for the next COMMIT. @param {import('./proxied-connection.js').Fault} fault */
  const atCommit = (fault) => async () => {
    const strike = proxy.strikeNext('COMMIT', fault)
    const lateness = random() * FREEZE_MS
    // Also if it is struck later than this waits: what is held has locks.
    if (fault.how === 'hold') strike.struck.then(() => setTimeout(() => strike.deliver(), lateness))
    await Promise.race([strike.struck, sleep(500)])
    return strike.request > 0
  }
  return {
    killed: () => workers.kill(any(workers.alive)),
    frozen: () => workers.freeze(any(workers.awake)),
    'cut anywhere': cut('reset'),
    closed: cut('end'),
    silenced: cut('silence'),
    'cut before COMMIT': atCommit({ in: 'request', how: 'reset' }),
    // A COMMIT has 12 bytes.
    'cut in COMMIT': () => atCommit({ in: 'request', how: 'reset', after: 1 + Math.floor(random() * 11) })(),
    'cut after COMMIT': atCommit({ in: 'answer', how: 'reset' }),
    "cut in COMMIT's answer": () => atCommit({ in: 'answer', how: 'reset', after: 1 + Math.floor(random() * 10) })(),
    // The client sees a reset, and the server commits later.
    'COMMIT delivered late': atCommit({ in: 'request', how: 'hold' }),
  }
}

/**
 * What the database has at the end, and what the processes were told, for each key.
 *
 * @param {Database} db
 * @param {string[]} keys
 * @param {RunWorkers} workers
 */
async function judge(db, keys, workers) {
  const rows = await db.query(`
    SELECT key, array_agg(effects.value) AS effects, stored.value ->> 'value' AS result
      FROM effects FULL JOIN go_goscope_idempotency AS stored USING (key) GROUP BY key, stored.value`)
  const byKey = new Map(rows.map((row) => [row.key, row]))
  const violations = [...workers.faults]
  let duplicates = 0
  for (const key of keys) {
    const { effects = [], result } = byKey.get(key) ?? {}
    const real = effects.filter(Boolean)
    if (real.length > 1) duplicates++
    if (real.length !== 1) violations.push(`${key}: ${real.length} effects`)
    if (!real.includes(result)) violations.push(`${key}: the stored result ${result} is of no effect`)
    for (const value of workers.returned.get(key) ?? []) {
      if (value !== result) violations.push(`${key}: run() returned ${value}, and ${result} is stored`)
    }
    if (!workers.returned.has(key)) violations.push(`${key}: no process had a result`)
  }
  const [{ effects, accounts }] = await db.query(
    'SELECT (SELECT count(*)::int FROM effects) AS effects, (SELECT sum(total)::int FROM accounts) AS accounts',
  )
  if (effects !== accounts) violations.push(`${effects} effects, and ${accounts} in the accounts`)
  return { violations, duplicates, effects }
}

/** @param {Database} db */
async function makeTables(db) {
  await db.query('CREATE TABLE IF NOT EXISTS effects (key text NOT NULL, value text NOT NULL)')
  await db.query('CREATE TABLE IF NOT EXISTS accounts (id int PRIMARY KEY, total int NOT NULL)')
  await db.query('INSERT INTO accounts SELECT id, 0 FROM generate_series(0, 39) AS id ON CONFLICT DO NOTHING')
}

module.exports = { RunWorkers, faultsOf, judge, makeTables }
