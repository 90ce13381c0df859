// @ts-check
// What the sessions of a database do, from samples of pg_stat_activity.
'use strict'

const { Client } = require('pg')

const PAUSE_MS = 10

/** Smaller parts say nothing. */
const LEAST_PART = 0.02

/** What is on a processor waits for no event. Between two transactions a session is idle. */
const SAMPLE = `
  SELECT coalesce(wait_event_type || ':' || wait_event, 'CPU') AS event, count(*)::int AS sessions FROM pg_stat_activity
   WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle' GROUP BY event`

class WaitEvents {
  /** @type {Map<string, number>} */
  #counts = new Map()
  #isOver = false
  /** @type {Promise<void>} */
  #sampling

  /** @param {Client} client */
  constructor(client) {
    this.client = client
    this.#sampling = this.#sample()
    this.#sampling.catch(() => {})
  }

  /** @param {string} url */
  static async start(url) {
    const client = new Client(url)
    await client.connect()
    return new WaitEvents(client)
  }

  async #sample() {
    while (!this.#isOver) {
      const { rows } = await this.client.query({ name: 'sample', text: SAMPLE })
      for (const { event, sessions } of rows) this.#counts.set(event, (this.#counts.get(event) ?? 0) + sessions)
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  }

  /** @returns {Promise<Record<string, number>>} the larger parts of all samples, from the largest on */
  async stop() {
    this.#isOver = true
    try {
      await this.#sampling
    } finally {
      await this.client.end()
    }
    const all = [...this.#counts].reduce((sum, [, count]) => sum + count, 0)
    const parts = [...this.#counts].map(([event, count]) => /** @type {const} */ ([event, count / all]))
    const large = parts.filter(([, part]) => part >= LEAST_PART).sort(([, one], [, other]) => other - one)
    return Object.fromEntries(large.map(([event, part]) => [event, Number(part.toFixed(3))]))
  }
}

module.exports = { WaitEvents }
