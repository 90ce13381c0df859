// @ts-check
// Waits for a condition that must come true.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')

/** Far longer than any stall. The full time is spent only on a condition that never comes true. */
const PATIENCE_MS = 60_000
const PAUSE_MS = 10

/**
 * @template T
 * @param {string} what must come true
 * @param {() => Promise<T> | T} condition
 * @returns {Promise<NonNullable<T>>} the first truthy value
 */
async function until(what, condition) {
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    const found = await condition()
    if (found) return found
    if (performance.now() > deadline) throw new Error(`${what}: not so after ${PATIENCE_MS / 1000} s`)
    await sleep(PAUSE_MS)
  }
}

module.exports = { PATIENCE_MS, until }
