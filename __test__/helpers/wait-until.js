// @ts-check
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')

/**
 * Waits for a condition, however slow the machine; fails with what was waited for.
 *
 * @param {() => unknown} condition
 * @param {string} what
 * @param {number} [limit] in ms
 */
async function waitUntil(condition, what, limit = 30_000) {
  const end = Date.now() + limit
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${limit} ms were not enough until: ${what}`)
    await sleep(10)
  }
}

module.exports = { waitUntil }
