// @ts-check
'use strict'

const args = require('../arguments.js')
const { settled } = require('../bridge.js')
const { METHODS } = require('../operations.js')
const { tracingOf } = require('../tracing.js')

/**
 * What guarded calls ask and report of the circuit breakers that all processes share.
 *
 * @typedef {object} SharedCircuits
 * @property {(key: string, callback: (circuit: import('../../index.js').CircuitBreakerPersistedState) => void) => () => void} subscribe
 * @property {(key: string) => Promise<import('../../index.js').CircuitBreakerPersistedState | null>} getState
 * @property {(key: string, maxFailures: number) => Promise<number>} recordFailureWhileClosed 0 if the breaker was not closed
 * @property {(key: string) => Promise<boolean>} recordSuccessWhileClosed whether the breaker was closed
 * @property {(key: string, resetTimeout: number) => Promise<string | undefined>} grantProbe the probe; undefined if none is due
 * @property {(key: string, probe: string, hasSucceeded: boolean) => Promise<number | undefined>} endProbe the count of failures; undefined if
 *   another probe was granted since, or the state was set
 * @property {boolean} isEnded
 */

const FAILURE = tracingOf(METHODS.PostgresAdapter.recordFailure)
const SUCCESS = tracingOf(METHODS.PostgresAdapter.recordSuccess)
const PROBE = tracingOf(METHODS.PostgresAdapter.tryProbe)

/**
 * Each call is counted and traced as the public method that it is like.
 *
 * @param {Pick<SharedCircuits, 'subscribe' | 'getState'>} adapter
 * @param {import('../pool-share.js').PoolShare} share
 * @param {import('../../native.js').Circuits} native
 * @returns {SharedCircuits}
 */
function sharedCircuits(adapter, share, native) {
  /**
   * @param {ReturnType<typeof tracingOf>} tracing
   * @param {string} key
   * @param {(slot: number, name: ReturnType<typeof args.key>) => void} call
   */
  const send = (tracing, key, call) => {
    const name = args.key('key', key)
    return tracing.run(share, name, async () => settled(await share.send((slot) => call(slot, name))))
  }
  return {
    subscribe: (key, callback) => adapter.subscribe(key, callback),
    getState: (key) => adapter.getState(key),
    recordFailureWhileClosed: (key, most) =>
      send(FAILURE, key, (slot, name) => native.recordFailureWhileClosed(slot, name, most)),
    recordSuccessWhileClosed: (key) => send(SUCCESS, key, (slot, name) => native.recordSuccessWhileClosed(slot, name)),
    grantProbe: (key, time) => send(PROBE, key, (slot, name) => native.grantProbe(slot, name, time)),
    endProbe: (key, probe, hasSucceeded) =>
      send(hasSucceeded ? SUCCESS : FAILURE, key, (slot, name) => native.endProbe(slot, name, probe, hasSucceeded)),
    get isEnded() {
      return share.isEnded
    },
  }
}

module.exports = { sharedCircuits }
