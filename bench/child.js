// @ts-check
// A process that does one side's work: it opens the side, and runs one window after another when it is told to.
'use strict'

const { monitorEventLoopDelay } = require('node:perf_hooks')
const { OPERATIONS } = require('./operations.js')

// Finer than this, the timer itself would be work.
const DELAY_RESOLUTION_MS = 1

/** Latencies are kept until the window is over; of more calls than this, the last. */
const LATENCIES = new Float64Array(2 ** 20)

const side = process.argv[2] ?? ''
const { open, versions } = require(`./sides/${side}.js`)

/** @type {any} */
let opened

/** @type {Record<string, (input: any) => unknown>} */
const TASKS = {
  async open({ url }) {
    opened = await open(url)
    await opened.fill()
    return { operations: Object.keys(opened.calls), versions: versions() }
  },
  window: ({ operation, inFlight, ms }) => runWindow(operation, inFlight, ms),
  close: () => opened?.close(),
}

process.on('message', async (/** @type {any} */ { task, input }) => {
  try {
    process.send?.({ result: (await TASKS[task](input)) ?? null })
  } catch (error) {
    process.send?.({ error: `${side}: ${error instanceof Error ? error.stack : error}` })
  }
  if (task === 'close') process.disconnect()
})

/**
 * Keeps `inFlight` calls under way for a time, and waits for the last.
 *
 * @param {string} name
 * @param {number} inFlight
 * @param {number} ms
 */
async function runWindow(name, inFlight, ms) {
  const [call, { key }] = [opened.calls[name], OPERATIONS[name]]
  let calls = 0
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })
  delay.enable()
  const cpu = process.cpuUsage()
  const start = performance.now()
  const end = start + ms
  const work = async (/** @type {number} */ index) => {
    const worker = { index, inFlight, calls: 0 }
    let before = performance.now()
    do {
      await call(key(worker))
      const after = performance.now()
      LATENCIES[calls++ & (LATENCIES.length - 1)] = after - before
      worker.calls++
      before = after
    } while (before < end)
  }
  await Promise.all(Array.from({ length: inFlight }, (_, index) => work(index)))
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  delay.disable()
  const latencies = LATENCIES.subarray(0, Math.min(calls, LATENCIES.length)).sort()
  const latency = (/** @type {number} */ part) => latencies[Math.floor(part * (latencies.length - 1))]
  return {
    calls,
    rate: calls / seconds,
    cpuMicros: (user + system) / calls,
    latencyMs: { p50: latency(0.5), p90: latency(0.9), p99: latency(0.99) },
    loopDelayMs: { p50: lateness(delay.percentile(50)), p99: lateness(delay.percentile(99)) },
  }
}

/** @param {number} nanoseconds what Node reports: the timer's whole interval */
const lateness = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - DELAY_RESOLUTION_MS)
