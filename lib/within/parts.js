// @ts-check
'use strict'

const { ClientCalls } = require('./client-calls.js')
const { clientOf } = require('./client-of.js')

/**
 * What an adapter is made of. The adapter that `within` gives is made of the same, with calls that run on a client of
 * the application.
 *
 * @template {Record<string, any>} Providers by name, of native code
 * @template Settings
 */
class Parts {
  /**
   * @param {import('../pool-share.js').PoolShare} share carries the calls
   * @param {Providers} providers
   * @param {Settings} settings
   */
  constructor(share, providers, settings) {
    this.share = share
    this.providers = providers
    this.settings = settings
  }

  /** Whether the calls run on a client of the application. */
  get isWithin() {
    return /** @type {unknown} */ (this.share) instanceof ClientCalls
  }

  /** @param {unknown} client */
  within(client) {
    const calls = new ClientCalls(this.share, clientOf(client))
    const providers = Object.entries(this.providers).map(([name, provider]) => [name, provider.within(calls.native)])
    const share = /** @type {any} */ (calls)
    return new Parts(share, /** @type {Providers} */ (Object.fromEntries(providers)), this.settings)
  }
}

module.exports = { Parts }
