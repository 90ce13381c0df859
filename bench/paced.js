// @ts-check
// An open loop: calls are made by a schedule, at a fixed rate, whether the earlier ones have been answered or not. A call's
// latency counts from the time that the schedule has for it, so a side that stalls is charged with every call that the
// stall has delayed ("coordinated omission" is corrected).
//
// The schedule sleeps: Node's timers have a resolution of a millisecond, so each tick makes the calls that have come due.
// What that adds to a latency is in `lateMs`, and is the same for every side. What the schedule itself costs is measured
// with calls that do nothing, and subtracted from the CPU of a call.
'use strict'

const { performance } = require('node:perf_hooks')
const { setTimeout: sleep } = require('node:timers/promises')
const { KEYS } = require('./operations.js')
const { serverCpu, usedSince } = require('./server-cpu.js')
const { DELAY_PART, percentiles } = require('./window.js')

const TICK_MS = 1

/**
 * @typedef {object} Pace
 * @property {number} rate calls per second
 * @property {number} leadMs of work before the clock starts
 * @property {number} ms
 *
 * @typedef {(worker: import('./operations.js').Worker) => number} KeyOf
 */

/** Makes calls by the schedule, and keeps what each has taken. */
class Schedule {
  made = 0
  answered = 0
  /** @type {unknown} */
  failure
  /** Numbers that no call in flight has: each call needs keys of its own. @type {number[]} */
  #free = Array.from({ length: KEYS }, (_, index) => index)
  #numbers = KEYS
  #started = performance.now()

  /**
   * @param {(key: number) => Promise<unknown>} call
   * @param {KeyOf} key
   * @param {Pace} pace
   */
  constructor(call, key, { rate, leadMs, ms }) {
    this.call = call
    this.key = key
    this.msPerCall = 1000 / rate
    /** The calls that are measured: from the first, inclusive, to the last, exclusive. */
    this.first = Math.ceil(leadMs / this.msPerCall)
    this.last = this.first + Math.max(1, Math.round(ms / this.msPerCall))
    this.latencies = new Float64Array(this.last - this.first)
    this.late = new Float64Array(this.last - this.first)
  }

  /** When a call is to be made. @param {number} at its number */
  #due(at) {
    return this.#started + at * this.msPerCall
  }

  /**
   * Goes on until some time after the start.
   *
   * @param {number} ms
   * @param {() => boolean} [isEnough]
   */
  async goOn(ms, isEnough = () => true) {
    for (;;) {
      const now = performance.now()
      while (this.#due(this.made) <= now) void this.#make(this.made++, now)
      if (this.failure !== undefined) throw this.failure
      if (now >= this.#started + ms && isEnough()) return
      await sleep(Math.max(TICK_MS, this.#due(this.made) - performance.now()))
    }
  }

  /** Makes no more, and waits for those in flight. */
  async finish() {
    while (this.answered < this.made && this.failure === undefined) await sleep(TICK_MS)
    if (this.failure !== undefined) throw this.failure
  }

  /**
   * @param {number} at
   * @param {number} now
   */
  async #make(at, now) {
    const index = this.#free.shift() ?? this.#numbers++
    const isMeasured = at >= this.first && at < this.last
    if (isMeasured) this.late[at - this.first] = now - this.#due(at)
    try {
      await this.call(this.key({ index, inFlight: KEYS, calls: at }))
    } catch (error) {
      this.failure ??= error
    }
    if (isMeasured) this.latencies[at - this.first] = performance.now() - this.#due(at)
    this.#free.push(index)
    this.answered++
  }
}

/**
 * @param {(key: number) => Promise<unknown>} call
 * @param {KeyOf} key
 * @param {import('./loop-delay.js').LoopDelay} delay
 * @param {Pace & { serverPid: number }} pace
 * @returns {Promise<import('./window.js').Figures>}
 */
async function runPaced(call, key, delay, { serverPid, ...pace }) {
  const { leadMs, ms } = pace
  const schedule = new Schedule(call, key, pace)
  await schedule.goOn(leadMs)
  const [begun, answered, cpu, server] = [
    performance.now(),
    schedule.answered,
    process.cpuUsage(),
    serverCpu(serverPid),
  ]
  await schedule.goOn(leadMs + ms)
  const { user, system } = process.cpuUsage(cpu)
  const serverMicros = usedSince(server, serverCpu(serverPid))
  const [seconds, calls] = [(performance.now() - begun) / 1000, schedule.answered - answered]
  // The event loop is asked afterwards, under the same load: that costs CPU which is none of the side's.
  delay.start()
  await schedule.goOn(leadMs + ms * (1 + DELAY_PART), () => delay.count > 0)
  delay.stop()
  const delays = await delay.delays()
  await schedule.finish()
  return {
    calls,
    rate: calls / seconds,
    latencyMs: percentiles(schedule.latencies),
    lateMs: percentiles(schedule.late),
    cpuMicros: (user + system) / calls,
    serverCpuMicros: serverMicros === undefined ? undefined : serverMicros / calls,
    loopDelayMs: percentiles(Float64Array.from(delays)),
  }
}

/**
 * What the schedule costs by itself.
 *
 * @param {import('./loop-delay.js').LoopDelay} delay
 * @param {Pace & { serverPid: number }} pace
 * @returns {Promise<number>} microseconds of CPU per call
 */
async function costOfPace(delay, pace) {
  const { cpuMicros = 0 } = await runPaced(
    async () => {},
    () => 0,
    delay,
    pace,
  )
  return cpuMicros
}

module.exports = { costOfPace, runPaced }
