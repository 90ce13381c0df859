// @ts-check
'use strict'

const args = require('./arguments.js')
const { settled } = require('./bridge.js')
const { lockHandle } = require('./lock-handle.js')
const { SEMAPHORE } = require('./operations.js')
const { tracingOf } = require('./tracing.js')
const { lockWhenFree, wantedBy } = require('./waiting-lock.js')

const ACQUIRE = tracingOf(SEMAPHORE.acquire)
const HOLDERS = tracingOf(SEMAPHORE.holders)

/** Each try asks the server about every permit. */
const MOST_PERMITS = 1_000

/**
 * A semaphore: its permits are locks, of which each caller gets one. Its methods work detached from it.
 *
 * @param {import('./pool-share.js').PoolShare} share
 * @param {import('../native').Locks} permits the provider of permits
 * @param {number | undefined} defaultTtl
 * @param {unknown} key
 * @param {unknown} count
 */
function semaphoreOf(share, permits, defaultTtl, key, count) {
  // The keys of permits are made of it.
  const name = args.wellFormed('key', key)
  const number = args.number('permits', count, { integer: true, min: 1, max: MOST_PERMITS })
  return Object.freeze({
    key: name,
    permits: number,
    /** @param {unknown} [options] */
    acquire: (options) =>
      ACQUIRE.run(share, name, async () => {
        const wanted = wantedBy(options, defaultTtl)
        return lockHandle(await lockWhenFree(share, permits, { ...wanted, name, key: name, permits: number }))
      }),
    holders: () =>
      HOLDERS.run(share, name, async () => settled(await share.send((slot) => permits.holders(slot, name, number)))),
  })
}

module.exports = { MOST_PERMITS, semaphoreOf }
