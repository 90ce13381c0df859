// @ts-check
// A side of the comparison as the benchmark's own process sees it: a process of its own, with a database of its own.
'use strict'

const { fork } = require('node:child_process')
const path = require('node:path')

const CHILD = path.join(__dirname, 'child.js')

class Side {
  /** @type {((reply: any) => void) | undefined} */
  #reply
  /** @type {string[]} */
  operations = []
  /** @type {Record<string, string>} */
  versions = {}

  /**
   * @param {string} name
   * @param {import('./server.js').Place} place where it works
   * @param {string} [file] of sides/
   */
  constructor(name, place, file = name) {
    this.name = name
    this.place = place
    this.child = fork(CHILD, [file, name], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.child.on('message', (reply) => this.#settle(reply))
    this.child.on('exit', (code, signal) => this.#settle({ error: `${name} ended: ${signal ?? code}` }))
  }

  async open() {
    Object.assign(this, await this.#ask('open', { url: this.place.url }))
  }

  /**
   * @param {string} operation
   * @param {import('./window.js').Span} span
   * @returns {Promise<import('./window.js').Figures>}
   */
  window(operation, span) {
    return this.#ask('window', { operation, ...span, serverPid: this.place.pid })
  }

  /**
   * @param {string} operation
   * @param {import('./paced.js').Pace} pace
   * @returns {Promise<import('./window.js').Figures>}
   */
  paced(operation, pace) {
    return this.#ask('paced', { operation, ...pace, serverPid: this.place.pid })
  }

  /**
   * Its share of a window of several processes.
   *
   * @param {string} operation
   * @param {import('./shared-window.js').SharedSpan} span
   * @returns {Promise<import('./shared-window.js').Share>}
   */
  shared(operation, span) {
    return this.#ask('shared', { operation, ...span })
  }

  /**
   * What it has sent so far, and has open.
   *
   * @returns {Promise<{ statements: number, connections: number }>}
   */
  counts() {
    return this.#ask('counts', {})
  }

  /** Begins to wait for the one lock. @param {number} callers */
  wait(callers) {
    return this.#ask('wait', { callers })
  }

  /** @returns {Promise<number[]>} when each caller was granted it, in ms since the epoch */
  granted() {
    return this.#ask('granted', {})
  }

  async close() {
    if (this.child.exitCode === null && this.child.connected) await this.#ask('close', {})
  }

  kill() {
    this.child.kill('SIGKILL')
  }

  /**
   * @param {string} task
   * @param {Record<string, unknown>} input
   * @returns {Promise<any>}
   */
  #ask(task, input) {
    return new Promise((resolve, reject) => {
      this.#reply = (reply) => ('error' in reply ? reject(new Error(reply.error)) : resolve(reply.result))
      this.child.send({ task, input }, (error) => error && this.#settle({ error: `${this.name}: ${error.message}` }))
    })
  }

  /** @param {any} reply */
  #settle(reply) {
    this.#reply?.(reply)
    this.#reply = undefined
  }
}

module.exports = { Side }
