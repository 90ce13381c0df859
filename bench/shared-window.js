// @ts-check
// A window that several processes share: each keeps its calls in flight, and counts what completes between two times of the
// clock that all of them read. So the sum is a rate, also if a process gets no turn for a while.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')

/**
 * @typedef {object} SharedSpan
 * @property {number} inFlight of each process
 * @property {number} from in ms since the epoch
 * @property {number} to
 *
 * @typedef {object} Share what one process has done
 * @property {number} calls
 * @property {number} cpuMicros of the whole process
 * @property {number} statements that it has sent
 * @property {number} connections that it has open
 */

const clock = () => performance.timeOrigin + performance.now()

/**
 * @param {(key: number) => Promise<unknown>} call
 * @param {import('./paced.js').KeyOf} key
 * @param {{ statements: () => number, connections: () => number }} opened
 * @param {SharedSpan} span
 * @returns {Promise<Share>}
 */
async function runShared(call, key, opened, { inFlight, from, to }) {
  let calls = 0
  const work = async (/** @type {number} */ index) => {
    const worker = { index, inFlight, calls: 0 }
    while (clock() < to) {
      await call(key(worker))
      worker.calls++
      const now = clock()
      if (now >= from && now < to) calls++
    }
  }
  const observe = async () => {
    await sleep(Math.max(0, from - clock()))
    const [cpu, before] = [process.cpuUsage(), opened.statements()]
    await sleep(Math.max(0, to - clock()))
    const { user, system } = process.cpuUsage(cpu)
    const [statements, connections] = [opened.statements() - before, opened.connections()]
    return { cpuMicros: user + system, statements, connections }
  }
  const [observed] = await Promise.all([observe(), ...Array.from({ length: inFlight }, (_, index) => work(index))])
  return { calls, ...observed }
}

module.exports = { clock, runShared }
