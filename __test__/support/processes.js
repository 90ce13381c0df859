// @ts-check
// Operating-system processes that use the package as an application would.
'use strict'

const { fork } = require('node:child_process')
const path = require('node:path')
const { after } = require('node:test')

const WORKER = path.join(__dirname, 'worker.js')

/**
 * Starts processes that each run a task of tasks.js. All of them load first and start at one signal.
 *
 * @param {number} count
 * @param {string} task
 * @param {Record<string, unknown>} input
 * @returns {Promise<any[]>} the results
 */
async function inProcesses(count, task, input) {
  const workers = Array.from({ length: count }, (_, index) => new Worker(task, { ...input, index }))
  try {
    await Promise.all(workers.map((worker) => worker.ready))
    for (const worker of workers) worker.start()
    return await Promise.all(workers.map((worker) => worker.result))
  } finally {
    for (const worker of workers) worker.kill()
  }
}

class Worker {
  /**
   * @param {string} task
   * @param {Record<string, unknown>} input
   * @param {NodeJS.ProcessEnv} [env]
   */
  constructor(task, input, env) {
    this.child = fork(WORKER, [task, JSON.stringify(input)], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    after(() => this.kill())
    const [ready, result] = [deferred(), deferred()]
    this.ready = ready.promise
    this.result = result.promise
    this.result.catch(() => {})
    this.ready.catch(() => {})
    /** @type {((message: any) => void)[]} */
    this.listeners = []
    this.child.on('message', (/** @type {any} */ message) => {
      if (message.ready) ready.resolve(undefined)
      else if ('result' in message) result.resolve(message.result)
      else if ('error' in message) result.reject(new Error(message.error))
      else for (const listener of this.listeners) listener(message.note)
    })
    this.exited = new Promise((resolve) =>
      // Not 'exit', which may come before the last messages have been read.
      this.child.once('close', (code, signal) => {
        const gone = new Error(`the process ended (${signal ?? code}) before it had a result`)
        ready.reject(gone)
        result.reject(gone)
        resolve(signal ?? code)
      }),
    )
  }

  start() {
    this.child.send({ start: true })
  }

  /**
   * The next note that the task sends.
   *
   * @returns {Promise<any>}
   */
  note() {
    return new Promise((resolve) => {
      const listener = (/** @type {any} */ note) => {
        this.listeners.splice(this.listeners.indexOf(listener), 1)
        resolve(note)
      }
      this.listeners.push(listener)
    })
  }

  /** @param {NodeJS.Signals} [signal] */
  kill(signal = 'SIGKILL') {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal)
  }
}

function deferred() {
  /** @type {(value: any) => void} */
  let resolve = () => {}
  /** @type {(error: Error) => void} */
  let reject = () => {}
  const promise = new Promise((done, failed) => {
    resolve = done
    reject = failed
  })
  return { promise, resolve, reject }
}

module.exports = { inProcesses, Worker }
