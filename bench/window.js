// @ts-check
// One window: a number of calls is kept in flight for a time, and what completes after the lead-in is measured.
'use strict'

const { performance } = require('node:perf_hooks')
const { serverCpu, usedSince } = require('./server-cpu.js')

/** Latencies are kept until the window is over; of more calls than this, the last. */
const LATENCIES = new Float64Array(2 ** 20)

/** How long the event loop is asked, by the length of the window. */
const DELAY_PART = 0.4

/**
 * @typedef {object} Span
 * @property {number} inFlight
 * @property {number} leadMs of work before the clock starts: connections open again, plans are made, queues fill up
 * @property {number} ms
 * @property {number} [minCalls] how many calls the work before the clock has at least, and the window, however long that takes
 *
 * @typedef {Span & { serverPid: number }} WindowSize
 *
 * @typedef {{ p50: number, p90: number, p99: number, p999: number }} Percentiles
 *
 * @typedef {object} Figures
 * @property {number} calls
 * @property {number} rate calls per second
 * @property {Percentiles} [latencyMs]
 * @property {Percentiles} [lateMs] of an open loop: from the time that the schedule has for a call to the call
 * @property {number} [cpuMicros] of the whole Node process, per call
 * @property {number} [serverCpuMicros] of all of the server's processes, per call
 * @property {Percentiles} [loopDelayMs]
 * @property {number} [connections] of pgbench
 */

/**
 * @param {(key: number) => Promise<unknown>} call
 * @param {(worker: import('./operations.js').Worker) => number} key
 * @param {import('./loop-delay.js').LoopDelay} delay
 * @param {WindowSize} size
 * @returns {Promise<Figures>}
 */
async function runWindow(call, key, delay, { inFlight, leadMs, ms, minCalls = 0, serverPid }) {
  let [callsBefore, calls] = [0, 0]
  let isOver = false
  let [begun, ended] = [0, 0]
  let [cpu, serverBefore] = [process.cpuUsage(), serverCpu(serverPid)]
  /** @type {number | undefined} */
  let cpuOfServer

  // The clock runs from a completion to a completion: answers come in bursts, so a window that began or ended
  // between two bursts would count the time before or after one.
  const begin = () => {
    serverBefore = serverCpu(serverPid)
    cpu = process.cpuUsage()
    begun = performance.now()
  }
  const end = (/** @type {number} */ now) => {
    ended = now
    cpu = process.cpuUsage(cpu)
    cpuOfServer = usedSince(serverBefore, serverCpu(serverPid))
    // The event loop is asked afterwards, under the same load: that costs CPU which is none of the side's.
    delay.start()
  }
  const completed = (/** @type {number} */ before, /** @type {number} */ now) => {
    if (isOver) return
    if (begun === 0) return ++callsBefore > minCalls && now >= leadEnd ? begin() : undefined
    if (ended > 0) {
      // On a loaded machine, the thread that posts the messages may get no turn for longer than that.
      isOver = now >= ended + DELAY_PART * ms && delay.count > 0
      return isOver ? delay.stop() : undefined
    }
    LATENCIES[calls++ & (LATENCIES.length - 1)] = now - before
    if (now >= begun + ms && calls >= minCalls) end(now)
  }

  const leadEnd = performance.now() + leadMs
  const work = async (/** @type {number} */ index) => {
    const worker = { index, inFlight, calls: 0 }
    while (!isOver) {
      const before = performance.now()
      await call(key(worker))
      worker.calls++
      completed(before, performance.now())
    }
  }
  await Promise.all(Array.from({ length: inFlight }, (_, index) => work(index)))
  return {
    calls,
    rate: calls / ((ended - begun) / 1000),
    latencyMs: percentiles(LATENCIES.subarray(0, Math.min(calls, LATENCIES.length))),
    cpuMicros: (cpu.user + cpu.system) / calls,
    serverCpuMicros: cpuOfServer === undefined ? undefined : cpuOfServer / calls,
    loopDelayMs: percentiles(Float64Array.from(await delay.delays())),
  }
}

/**
 * @param {Float64Array} values sorted in place
 * @returns {Percentiles}
 */
function percentiles(values) {
  values.sort()
  const at = (/** @type {number} */ part) => values[Math.ceil(part * values.length) - 1] ?? 0
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999) }
}

module.exports = { DELAY_PART, percentiles, runWindow }
