// @ts-check
// Whether an adapter can serve calls now: for the checks that hosts make. It asks the server, with a limit of time.
'use strict'

const { settled } = require('./bridge.js')
const { after, now } = require('./clock.js')
const { coded } = require('./errors.js')

/** The ping that is under way on a share. @type {WeakMap<import('./pool-share.js').PoolShare, Promise<void>>} */
const pings = new WeakMap()

/**
 * @param {import('./pool-share.js').PoolShare} share
 * @param {number} timeout in ms
 * @returns {Promise<import('./types/health.js').Health>}
 */
async function healthOf(share, timeout) {
  const begun = now()
  const error = await failureOf(share, timeout)
  const { pool, pipelines, calls, listening } = share.metrics()
  return {
    ready: error === null,
    error,
    latency: error === null ? now() - begun : null,
    pool,
    pipelines,
    calls,
    listening,
  }
}

/**
 * @param {import('./pool-share.js').PoolShare} share
 * @param {number} timeout
 * @returns {Promise<Error | null>}
 */
function failureOf(share, timeout) {
  if (share.isRefusing) return Promise.resolve(share.refusal())
  return new Promise((resolve) => {
    const cancel = after(timeout, () => resolve(tooLate(timeout)))
    ping(share)
      .then(() => null)
      .catch((error) => error)
      .then((error) => {
        cancel()
        resolve(error)
      })
  })
}

/**
 * One at a time: a check each second of a server that does not answer would queue up a call each second.
 *
 * @param {import('./pool-share.js').PoolShare} share
 */
function ping(share) {
  const underWay = pings.get(share)
  if (underWay) return underWay
  const sent = share.send((slot) => share.native.ping(slot)).then((outcome) => void settled(outcome))
  pings.set(share, sent)
  const end = () => void pings.delete(share)
  sent.then(end, end)
  return sent
}

/** @param {number} timeout */
const tooLate = (timeout) => coded(new Error(`The server has not answered within ${timeout} ms`), 'ETIMEDOUT')

module.exports = { healthOf }
