// @ts-check
'use strict'

const args = require('./arguments.js')
const { settled } = require('./bridge.js')
const { healthOf } = require('./health.js')
const { itself, keepItself } = require('./itself.js')
const { optionsOf } = require('./options.js')
const { servedBy } = require('./tracing.js')

/** Shorter than the time that hosts give a check, in ms: Kubernetes gives it a second by default. */
const HEALTH_TIMEOUT = 800

/** What all adapters have in common; see index.d.ts for what each method promises. */
class LifeCycle {
  #share

  /** @param {import('./pool-share.js').PoolShare} share */
  constructor(share) {
    this.#share = share
    keepItself(this)
    servedBy(this, share)
  }

  async ping() {
    settled(await this.#share.send((slot) => this.#share.native.ping(slot)))
  }

  /** @param {unknown} [options] */
  async health(options) {
    const { timeout = HEALTH_TIMEOUT } = optionsOf(options, 'health')
    return await healthOf(itself(this).#share, args.positiveTime('options.timeout', timeout))
  }

  async close() {
    await this.#share.close()
  }

  async disconnect() {
    await this.#share.end()
  }

  /** Of all adapters on the pool. */
  metrics() {
    return itself(this).#share.metrics()
  }
}

// The first releases of Node 20 do not have the symbol.
if (Symbol.asyncDispose) {
  Object.defineProperty(LifeCycle.prototype, Symbol.asyncDispose, {
    /** @this {LifeCycle} */
    async value() {
      await this.close()
    },
    configurable: true,
    writable: true,
  })
}

module.exports = { LifeCycle }
