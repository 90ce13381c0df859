// @ts-check
'use strict'

const SET = `
  INSERT INTO go_goscope_circuit (key, state, failure_count, last_failure_time, last_success_time, updated_at)
  VALUES ($1, $2, $3, $4, $5, NOW())
  ON CONFLICT (key) DO UPDATE SET
    state = EXCLUDED.state, failure_count = EXCLUDED.failure_count, last_failure_time = EXCLUDED.last_failure_time,
    last_success_time = EXCLUDED.last_success_time, updated_at = EXCLUDED.updated_at`

class Circuits {
  #pool
  #prefix

  /**
   * @param {import('pg').Pool} pool
   * @param {string} prefix
   */
  constructor(pool, prefix) {
    this.#pool = pool
    this.#prefix = prefix
  }

  /**
   * Fault: times that are absent come back as properties that are undefined.
   *
   * @param {any} name
   * @returns {Promise<any>}
   */
  async getState(name) {
    const { rows } = await this.#pool.query(
      'SELECT state, failure_count, last_failure_time, last_success_time FROM go_goscope_circuit WHERE key = $1',
      [this.#prefix + String(name)],
    )
    if (rows.length === 0) return null
    const [row] = rows
    return {
      state: row.state,
      failureCount: Number.parseInt(row.failure_count, 10),
      lastFailureTime: row.last_failure_time ? new Date(row.last_failure_time).getTime() : undefined,
      lastSuccessTime: row.last_success_time ? new Date(row.last_success_time).getTime() : undefined,
    }
  }

  /**
   * Fault: stores whatever state it is given.
   *
   * @param {any} name
   * @param {any} state
   */
  async setState(name, { state, failureCount, lastFailureTime, lastSuccessTime }) {
    const times = [isoTime(lastFailureTime), isoTime(lastSuccessTime)]
    await this.#pool.query(SET, [this.#prefix + String(name), state, failureCount, ...times])
  }

  /**
   * Fault: reads, adds and writes in two statements, so of failures at the same time all but one are lost.
   *
   * @param {any} name
   * @param {any} maxFailures
   */
  async recordFailure(name, maxFailures) {
    const circuit = (await this.getState(name)) ?? { state: 'closed', failureCount: 0 }
    const failureCount = circuit.failureCount + 1
    const state = failureCount >= maxFailures ? 'open' : circuit.state
    await this.setState(name, { ...circuit, state, failureCount, lastFailureTime: Date.now() })
    return failureCount
  }

  /** @param {any} name */
  async recordSuccess(name) {
    await this.setState(name, { state: 'closed', failureCount: 0, lastSuccessTime: Date.now() })
  }
}

/**
 * Faults: a time of 0 counts as none, and PostgreSQL does not read the form that years beyond 9999 and before 0 have.
 *
 * @param {any} time
 */
const isoTime = (time) => (time ? new Date(time).toISOString() : null)

module.exports = { Circuits }
