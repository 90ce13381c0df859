// @ts-check
// The thread that posts. It sleeps in between, and has no event loop that could be late.
'use strict'

const { parentPort, workerData } = require('node:worker_threads')

/** On average; each pause is drawn anew, so that nothing can keep step with it. */
const PAUSE_MS = 1

const IDLE = 0
const POSTING = 1
/** @type {Int32Array} */
const order = workerData

for (;;) {
  Atomics.wait(order, 0, IDLE)
  Atomics.wait(order, 0, POSTING, 2 * PAUSE_MS * Math.random())
  if (Atomics.load(order, 0) === POSTING) parentPort?.postMessage(Number(process.hrtime.bigint()))
}
