// @ts-check
// Processes that use the same few locks, what happens to them, and the history of their calls.
'use strict'

const { fork, spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { inTime } = require('./waiting.js')

/**
 * @typedef {object} Spec of one process, which may be killed and replaced by another
 * @property {string} url
 * @property {NodeJS.ProcessEnv} [env]
 * @property {import('pg').PoolConfig} [options]
 * @property {boolean} [hook] sets something in each new session
 * @property {number} [permits] how many a semaphore has for it
 * @property {boolean} [naive] takes the pg-based reference instead of this package
 *
 * @typedef {{ name: string, spec: Spec, child: import('node:child_process').ChildProcess, log: string,
 *   ready: Promise<void>, exited: Promise<void>, goneAt: number, frozenUntil: number }} Worker
 */

const FAKETIME = spawnSync('faketime', ['--version']).status === 0

/** libfaketime is a library to preload. Its own program knows its path. */
function preload() {
  const asked = spawnSync('faketime', ['-f', '+1s', 'sh', '-c', 'printf %s "$LD_PRELOAD"'], { encoding: 'utf8' })
  return asked.stdout
}

/**
 * The environment of a process whose clock is wrong. The monotonic clock is unchanged: the history uses it.
 *
 * @param {string} offset such as `+5m`
 * @returns {NodeJS.ProcessEnv}
 */
const offClock = (offset) => ({
  LD_PRELOAD: preload(),
  FAKETIME: offset,
  FAKETIME_DONT_FAKE_MONOTONIC: '1',
  DONT_FAKE_MONOTONIC: '1',
})

/** This machine's monotonic clock, in milliseconds. */
const now = () => Number(process.hrtime.bigint()) / 1e6

/** How far the wall clock, which the server uses for leases, drifts from the monotonic one meanwhile. */
function watchDrift() {
  const offset = () => Date.now() - now()
  let [least, most] = [offset(), offset()]
  const timer = setInterval(() => {
    least = Math.min(least, offset())
    most = Math.max(most, offset())
  }, 50)
  return () => {
    clearInterval(timer)
    return most - least + 1
  }
}

class LockWorkers {
  /** @type {Worker[]} those that are running, and those that have ended */
  all = []
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-lock-workers-'))
  #keys
  #script

  /**
   * @param {string[]} keys
   * @param {string} [script] what each process runs
   */
  constructor(keys, script = 'lock-worker.js') {
    this.#keys = keys
    this.#script = script
  }

  /**
   * @param {Spec} spec
   * @returns {Worker}
   */
  start(spec) {
    const name = `p${this.all.length}`
    const log = path.join(this.#folder, name)
    const { url, hook = false, naive = false, permits, options = {} } = spec
    const order = JSON.stringify({ name, url, log, keys: this.#keys, hook, naive, permits, options })
    const child = fork(path.join(__dirname, this.#script), [order], {
      env: { ...process.env, ...spec.env },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    /** @type {Worker} */
    const worker = {
      name,
      spec,
      child,
      log,
      ready: new Promise((resolve) => child.once('message', () => resolve())),
      exited: new Promise((resolve) =>
        child.once('exit', () => {
          worker.goneAt = now()
          resolve()
        }),
      ),
      goneAt: Number.POSITIVE_INFINITY,
      frozenUntil: 0,
    }
    this.all.push(worker)
    return worker
  }

  get alive() {
    return this.all.filter(({ goneAt }) => goneAt === Number.POSITIVE_INFINITY)
  }

  /**
   * Stops a process for a time with SIGSTOP. A third process wakes it, even if this one is killed.
   *
   * @param {Worker} worker
   * @param {number} ms
   */
  freeze(worker, ms) {
    worker.frozenUntil = now() + ms
    const script = `kill -STOP ${worker.child.pid}; sleep ${ms / 1000}; kill -CONT ${worker.child.pid}`
    spawn('sh', ['-c', script], { stdio: 'ignore', detached: true }).unref()
  }

  /**
   * Kills a process with SIGKILL, and starts another like it.
   *
   * @param {Worker} worker
   */
  async kill(worker) {
    worker.child.kill('SIGKILL')
    await worker.exited
    return this.start(worker.spec)
  }

  /** Lets all processes finish their work. */
  async finish() {
    for (const { child } of this.alive) child.send({ stop: true })
    await inTime('the end of the lock workers', Promise.all(this.all.map(({ exited }) => exited)))
  }

  /** @returns {ReturnType<typeof readLog>[]} */
  histories() {
    return this.all.map(readLog)
  }

  cleanUp() {
    for (const { child } of this.alive) child.kill('SIGKILL')
    // Files of libfaketime, which a process that is killed leaves behind.
    for (const { child } of this.all) {
      for (const name of ['faketime_shm_', 'sem.faketime_sem_'])
        fs.rmSync(`/dev/shm/${name}${child.pid}`, { force: true })
    }
    fs.rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** @param {Worker} worker */
function readLog({ log, goneAt, name, spec }) {
  /** @type {Map<number, any>} */
  const calls = new Map()
  /** @type {{ clock: number, at: number } | undefined} */
  let clock
  // A process that was killed while it wrote leaves an incomplete line.
  const lines = fs.existsSync(log) ? fs.readFileSync(log, 'utf8').split('\n').slice(0, -1) : []
  for (const line of lines) {
    const entry = JSON.parse(line)
    if (entry.clock) clock = entry
    else if (entry.op) calls.set(entry.id, { ...entry, outcome: 'unknown', to: goneAt, isOpen: true })
    else Object.assign(calls.get(entry.id), entry, { isOpen: false })
  }
  return { name, spec, clock, calls: [...calls.values()] }
}

module.exports = { FAKETIME, LockWorkers, now, offClock, watchDrift }
