// @ts-check
// How much memory queued calls take, next to pg's, and whether many calls leave any behind.
'use strict'

const { number } = require('../figures.js')
const { runProgram } = require('../program.js')

const QUEUED = 100_000

/**
 * @typedef {{ baseline: number, peak: number, perCall: number }} Queue in bytes
 */

/**
 * @param {import('../server.js').Server} server
 * @param {import('../arguments.js').Options} options
 * @param {import('../progress.js').Progress} progress
 */
async function measureMemory(server, { calls }, progress) {
  progress.restart()
  await server.fillTemplate()
  const { url } = await server.databaseOf('memory')
  const queue = async (/** @type {string} */ side) => {
    progress.say(`${QUEUED.toLocaleString('en-US')} calls queued by ${side}`)
    /** @type {Queue} */
    const found = await runProgram('queue.js', [side, url, String(QUEUED)])
    const { baseline, peak, perCall } = found
    progress.line(
      `${QUEUED.toLocaleString('en-US')} calls queued by ${side}: ${mebibytes(baseline)} before, ${mebibytes(peak)} at most, ${number(perCall)} bytes a call`,
    )
    return found
  }
  const queued = { calls: QUEUED, ours: await queue('ours'), reference: await queue('reference') }

  progress.line(`${calls.toLocaleString('en-US')} calls, get and set in turn:`)
  const { samples, growthPerCall } = await runProgram('steady.js', [url, String(calls)], ({ done, rss, share }) => {
    progress.say(`${done.toLocaleString('en-US')} calls, ${mebibytes(rss)}`)
    if (share % 10 === 0) progress.line(`${done.toLocaleString('en-US').padStart(14)} calls  ${mebibytes(rss)}`)
  })
  return { queued, steady: { calls, growthPerCall, samples } }
}

const mebibytes = (/** @type {number} */ bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`

module.exports = { measureMemory }
