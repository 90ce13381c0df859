// @ts-check
'use strict'

const args = require('../arguments.js')
const { settled } = require('../bridge.js')

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

/**
 * @param {Pick<SharedCircuits, 'subscribe' | 'getState'>} adapter
 * @param {import('../pool-share.js').PoolShare} share
 * @param {import('../../native.js').Circuits} native
 * @returns {SharedCircuits}
 */
function sharedCircuits(adapter, share, native) {
  /** @param {(slot: number, name: ReturnType<typeof args.key>) => void} call @param {string} key */
  const send = async (call, key) => {
    const name = args.key('key', key)
    return settled(await share.send((slot) => call(slot, name)))
  }
  return {
    subscribe: (key, callback) => adapter.subscribe(key, callback),
    getState: (key) => adapter.getState(key),
    recordFailureWhileClosed: (key, most) =>
      send((slot, name) => native.recordFailureWhileClosed(slot, name, most), key),
    recordSuccessWhileClosed: (key) => send((slot, name) => native.recordSuccessWhileClosed(slot, name), key),
    grantProbe: (key, time) => send((slot, name) => native.grantProbe(slot, name, time), key),
    endProbe: (key, probe, hasSucceeded) => send((slot, name) => native.endProbe(slot, name, probe, hasSucceeded), key),
    get isEnded() {
      return share.isEnded
    },
  }
}

module.exports = { sharedCircuits }
