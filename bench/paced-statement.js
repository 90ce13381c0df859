// @ts-check
// The least that any client has the server do for single calls at a fixed rate, as a side: pgbench makes them by a schedule
// of its own, which has no ticks. A call's latency counts from the time that the schedule has for it, as in paced.js.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { statementOf } = require('./bare-statement.js')
const { startLogged } = require('./logged-pgbench.js')
const { versionOf } = require('./pgbench.js')
const { serverCpu, usedSince } = require('./server-cpu.js')
const { percentiles } = require('./window.js')

/** From the start of the program until its sessions are open. */
const STARTUP_MS = 500

class PacedStatement {
  /**
   * @param {string} program
   * @param {import('./server.js').Place} place where it works
   * @param {number} connections
   */
  constructor(program, place, connections) {
    this.name = `bare-${connections}`
    this.versions = { pgbench: versionOf(program) ?? '' }
    this.program = program
    this.place = place
    this.connections = connections
  }

  /**
   * @param {string} operation
   * @param {import('./paced.js').Pace} pace
   * @param {number} [startupMs]
   * @returns {Promise<import('./window.js').Figures>}
   */
  async paced(operation, { rate, leadMs, ms }, startupMs = STARTUP_MS) {
    const from = Date.now() + startupMs + leadMs
    const seconds = Math.ceil((startupMs + leadMs + ms) / 1000)
    const load = { script: statementOf(operation), connections: this.connections, rate }
    const { pid, log } = startLogged(this.program, this.place.url, load, seconds)
    const watch = async () => {
      await sleep(from - Date.now())
      const [client, server, begun] = [serverCpu(pid), serverCpu(this.place.pid), Date.now()]
      await sleep(from + ms - Date.now())
      const used = [usedSince(client, serverCpu(pid)), usedSince(server, serverCpu(this.place.pid))]
      return { begun, ended: Date.now(), used }
    }
    const [{ begun, ended, used }, { at, ms: latencies }] = await Promise.all([watch(), log])
    const measured = latencies.filter((_, index) => begun <= (at[index] ?? 0) && (at[index] ?? 0) < ended)
    // It began too late, or the window was too short for any call.
    if ((at[0] ?? Infinity) > begun || measured.length === 0) {
      return this.paced(operation, { rate, leadMs, ms }, 2 * startupMs)
    }
    const [cpuMicros, serverCpuMicros] = used.map((micros = Number.NaN) => micros / measured.length)
    return {
      calls: measured.length,
      rate: measured.length / ((ended - begun) / 1000),
      latencyMs: percentiles(Float64Array.from(measured)),
      cpuMicros,
      serverCpuMicros,
      connections: this.connections,
    }
  }
}

module.exports = { PacedStatement }
