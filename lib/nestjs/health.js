// @ts-check
'use strict'

const args = require('../arguments.js')
const { after } = require('../clock.js')

const TIMEOUT = 1_000

/** See nestjs.d.ts for what it promises. */
class GoscopePostgresHealth {
  #adapter

  /** @param {{ ping: () => Promise<void> }} adapter */
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
    try {
      await inTime(this.#adapter.ping(), limit)
      return { [name]: { status: /** @type {const} */ ('up') } }
    } catch (/** @type {any} */ error) {
      const { message, code } = error
      return { [name]: { status: /** @type {const} */ ('down'), message, ...(code !== undefined && { code }) } }
    }
  }
}

/**
 * @param {Promise<void>} answer
 * @param {number} limit
 */
async function inTime(answer, limit) {
  let cancel = () => {}
  const late = new Promise((_, reject) => {
    cancel = after(limit, () => reject(new Error(`The server has not answered within ${limit} ms`)))
  })
  try {
    await Promise.race([answer, late])
  } finally {
    cancel()
  }
}

module.exports = { GoscopePostgresHealth }
