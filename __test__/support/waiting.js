// @ts-check
// Waits for conditions that must come true. Nothing here depends on speed: a machine that stalls costs time and fails
// no test.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { PATIENCE_MS, until } = require('../../scripts/servers/until.js')

/** The runner's limit for a file. The longest files need three minutes on two idle cores. */
const FILE_LIMIT_MS = 900_000

/**
 * The outcome of something that must not wait for what is blocked meanwhile.
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

/** Of writes that follow each other within 5 ms, not every one removes expired rows. After this the next does. */
const untilWritesSweep = () => sleep(10)

module.exports = { FILE_LIMIT_MS, inTime, until, untilWritesSweep }
