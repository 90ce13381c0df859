// @ts-check
// A side of the comparison as the benchmark's own process sees it.
'use strict'

const { fork } = require('node:child_process')
const path = require('node:path')

const CHILD = path.join(__dirname, 'child.js')

class Side {
  /** @type {((reply: any) => void) | undefined} */
  #reply

  /** @param {string} name */
  constructor(name) {
    this.name = name
    this.child = fork(CHILD, [name], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.child.on('message', (reply) => this.#settle(reply))
    this.child.on('exit', (code, signal) => this.#settle({ error: `${name} ended: ${signal ?? code}` }))
  }

  /**
   * @param {string} url
   * @returns {Promise<{ operations: string[], versions: Record<string, string> }>}
   */
  open(url) {
    return this.#ask('open', { url })
  }

  /**
   * @param {string} operation
   * @param {number} inFlight
   * @param {number} ms
   */
  window(operation, inFlight, ms) {
    return this.#ask('window', { operation, inFlight, ms })
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
      this.child.send({ task, input })
    })
  }

  /** @param {any} reply */
  #settle(reply) {
    this.#reply?.(reply)
    this.#reply = undefined
  }
}

module.exports = { Side }
