// @ts-check
// Waiting for what must come. Nothing here is quick or slow: a machine that stalls costs time and fails no test.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')

/** Far beyond any stall. Only what never comes is waited for this long. */
const PATIENCE_MS = 60_000
/** What the runner gives a file. The longest need three minutes on two idle cores. */
const FILE_LIMIT_MS = 900_000
const PAUSE_MS = 10

/**
 * @template T
 * @param {string} what must come to be
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

/**
 * The outcome of something that must not wait for what is held up meanwhile.
 *
 * @template T
 * @param {string} what
 * @param {Promise<T>} promise
 * @returns {Promise<T>}
 */
async function inTime(what, promise) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer
  /** @type {Promise<never>} */
  const impatience = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not done after ${PATIENCE_MS / 1000} s`)), PATIENCE_MS)
  })
  try {
    return await Promise.race([promise, impatience])
  } finally {
    clearTimeout(timer)
  }
}

/** Of writes that follow each other within a millisecond not every one removes expired rows. After this the next does. */
const untilWritesSweep = () => sleep(5)

module.exports = { FILE_LIMIT_MS, inTime, until, untilWritesSweep }
