// @ts-check
'use strict'

const args = require('../arguments.js')

const TIMEOUT = 1_000

/** See nestjs.d.ts for what it promises. */
class GoscopePostgresHealth {
  #adapter

  /** @param {import('../../index.js').PostgresAdapter} adapter */
  constructor(adapter) {
    this.#adapter = adapter
  }

  /**
   * @param {unknown} [key]
   * @param {{ timeout?: unknown }} [options]
   */
  async pingCheck(key = 'postgres', { timeout } = {}) {
    const name = args.text('key', key)
    const limit = timeout == null ? TIMEOUT : args.positiveTime('options.timeout', timeout)
    const { error } = await this.#adapter.health({ timeout: limit })
    if (error === null) return { [name]: { status: /** @type {const} */ ('up') } }
    const { message, code } = /** @type {Error & { code?: string }} */ (error)
    return { [name]: { status: /** @type {const} */ ('down'), message, ...(code !== undefined && { code }) } }
  }
}

module.exports = { GoscopePostgresHealth }
