// @ts-check
// A network between the sides and the server: programs/network.js in a process of its own.
'use strict'

const { fork } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { Client } = require('pg')
const { median } = require('./figures.js')

const PROGRAM = path.join(__dirname, 'programs/network.js')
const ROUND_TRIPS = 20

/**
 * @typedef {object} Distance
 * @property {number} delayMs each way
 * @property {number} loss the part of all segments that is lost
 */

class Network {
  /**
   * @param {import('node:child_process').ChildProcess} child
   * @param {number} port
   */
  constructor(child, port) {
    this.child = child
    this.port = port
  }

  /**
   * @param {number} port of the server
   * @param {Distance} distance
   */
  static async start(port, { delayMs, loss }) {
    const child = fork(PROGRAM, [port, delayMs, loss].map(String))
    const gone = once(child, 'exit').then(([code]) => {
      throw new Error(`the network ended with ${code}`)
    })
    gone.catch(() => {})
    const [report] = await Promise.race([once(child, 'message'), gone])
    return new Network(child, report.port)
  }

  /** @param {string} direct */
  urlOf(direct) {
    const url = new URL(direct)
    url.port = String(this.port)
    return url.href
  }

  /**
   * The median of round trips of one idle session, in ms: with what the proxy's timers add to its delay.
   *
   * @param {string} direct
   */
  async roundTripMs(direct) {
    const client = new Client(this.urlOf(direct))
    await client.connect()
    const times = []
    for (let at = 0; at < ROUND_TRIPS; at++) {
      const before = performance.now()
      await client.query('SELECT 1')
      times.push(performance.now() - before)
    }
    await client.end()
    return median(times)
  }

  /** @returns {Promise<number>} how many segments it has lost */
  async lost() {
    this.child.send('lost')
    const [{ lost }] = await once(this.child, 'message')
    return lost
  }

  async stop() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const gone = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await gone
  }
}

module.exports = { Network }
