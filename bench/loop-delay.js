// @ts-check
// How long the event loop lets an event wait, by asking it: another thread posts a message now and then and says when.
//
// perf_hooks' monitorEventLoopDelay cannot tell the sides apart: its timer has a resolution of a millisecond, which
// most turns of a busy loop stay below, and it takes one sample where the loop was blocked, however long that was. These
// messages come at random moments, whether the loop is blocked or not, so each moment counts the same.
'use strict'

const path = require('node:path')
const { setImmediate: nextTurn } = require('node:timers/promises')
const { Worker } = require('node:worker_threads')

/** The settings of the posting thread, as in programs/loop-delay-thread.js. */
const IDLE = 0
const POSTING = 1

class LoopDelay {
  #order = new Int32Array(new SharedArrayBuffer(4))
  /** @type {number[]} */
  #delays = []

  constructor() {
    this.worker = new Worker(path.join(__dirname, 'programs/loop-delay-thread.js'), { workerData: this.#order })
    this.worker.on('message', (posted) => this.#delays.push((Number(process.hrtime.bigint()) - posted) / 1e6))
    this.worker.unref()
  }

  start() {
    this.#delays = []
    this.#tell(POSTING)
  }

  stop() {
    this.#tell(IDLE)
  }

  /** How many messages have come since the start. */
  get count() {
    return this.#delays.length
  }

  /** @returns {Promise<number[]>} each message's delay in milliseconds, those included that had to wait beyond the end */
  async delays() {
    for (let turn = 0; turn < 3; turn++) await nextTurn()
    return this.#delays
  }

  close() {
    void this.worker.terminate()
  }

  /** @param {number} order */
  #tell(order) {
    Atomics.store(this.#order, 0, order)
    Atomics.notify(this.#order, 0)
  }
}

module.exports = { LoopDelay }
