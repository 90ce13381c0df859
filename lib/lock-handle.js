// @ts-check
'use strict'

const { performance } = require('node:perf_hooks')
const { givenKey, leaseTtl } = require('./arguments.js')
const { settled } = require('./bridge.js')
const { HANDLE } = require('./operations.js')
const { tracingOf } = require('./tracing.js')

const RELEASE = tracingOf(HANDLE.release)
const EXTEND = tracingOf(HANDLE.extend)
const IS_VALID = tracingOf(HANDLE.isValid)

/**
 * A handle to a lock that was taken: closures, so that the methods work detached from the object.
 *
 * @param {import('./connection.js').Connection} connection
 * @param {import('../native').Locks} locks
 * @param {string} key as native code takes it
 * @param {string} owner
 * @param {number} leaseEnd when the lease ends at the earliest, by `performance.now()`
 * @param {number | undefined} defaultTtl
 */
function lockHandle(connection, locks, key, owner, leaseEnd, defaultTtl) {
  return {
    // Not through `run`, which would have a closure made for each release, traced or not.
    release: () =>
      RELEASE.hasSubscribers
        ? RELEASE.trace(connection, givenKey(key), () => release(connection, locks, key, owner))
        : release(connection, locks, key, owner),

    /** @param {number} ttl */
    extend: (ttl) =>
      EXTEND.run(connection, key, async () => {
        const length = leaseTtl('ttl', ttl, defaultTtl)
        const called = performance.now()
        // While the lease lasts, a fault is no reason to give it up; when it is over, another try is no use.
        const patience = Math.max(leaseEnd - called, 0)
        const isExtended = settled(await connection.send((slot) => locks.extend(slot, key, length, owner, patience)))
        if (isExtended) leaseEnd = called + length
        return isExtended
      }),

    isValid: () =>
      IS_VALID.run(connection, key, async () =>
        settled(await connection.send((slot) => locks.isValid(slot, key, owner))),
      ),
  }
}

/**
 * @param {import('./connection.js').Connection} connection
 * @param {import('../native').Locks} locks
 * @param {string} key
 * @param {string} owner
 */
async function release(connection, locks, key, owner) {
  settled(await connection.send((slot) => locks.release(slot, key, owner)))
}

module.exports = { lockHandle }
