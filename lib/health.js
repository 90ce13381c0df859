// @ts-check
// Whether an adapter can serve calls now: for the checks that hosts make. It asks the server, with a limit of time.
'use strict'

const { settled } = require('./bridge.js')
const { now, resolvesWithin } = require('./clock.js')
const { coded } = require('./errors.js')

/**
 * How long an answer may take, in ms, if the check does not wait longer: after that the connection is given up. Longer
 * than most checks wait, since a busy server may be late, and its sessions are of use.
 */
const PING_LIMIT = 1000

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
async function failureOf(share, timeout) {
  if (share.isRefusing) return share.refusal()
  let isOver = false
  try {
    const answered = answer(share, timeout, () => isOver)
    return (await resolvesWithin(answered, timeout)) ? null : tooLate(timeout)
  } catch (/** @type {any} */ error) {
    return error
  } finally {
    isOver = true
  }
}

/**
 * The server's answer. A check that has joined another one's ping, and finds that the connection of that was given up,
 * sends a ping of its own: another connection may be sound.
 *
 * @param {import('./pool-share.js').PoolShare} share
 * @param {number} timeout
 * @param {() => boolean} isOver
 */
async function answer(share, timeout, isOver) {
  const limit = Math.max(timeout, PING_LIMIT)
  const joined = pings.get(share)
  if (!joined) return await ping(share, limit)
  try {
    await joined
  } catch (/** @type {any} */ error) {
    if (isOver() || error.code !== 'ETIMEDOUT') throw error
    await (pings.get(share) ?? ping(share, limit))
  }
}

/**
 * One at a time: a check each second of a server that does not answer would queue up a call each second.
 *
 * @param {import('./pool-share.js').PoolShare} share
 * @param {number} limit in ms
 */
function ping(share, limit) {
  const sent = share.send((slot) => share.native.ping(slot, limit)).then((outcome) => void settled(outcome))
  pings.set(share, sent)
  const end = () => void pings.delete(share)
  sent.then(end, end)
  return sent
}

/** @param {number} timeout */
const tooLate = (timeout) => coded(new Error(`The server has not answered within ${timeout} ms`), 'ETIMEDOUT')

module.exports = { healthOf }
