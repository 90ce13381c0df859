// @ts-check
'use strict'

const args = require('../arguments.js')
const { settled } = require('../bridge.js')
const { coded } = require('../errors.js')
const { leaseIn } = require('../lock-handle.js')
const { WITHIN } = require('../operations.js')
const { tracingOf } = require('../tracing.js')

const ASSERT_HELD = tracingOf(WITHIN.assertHeld)

const NO_CHECK =
  'The table of locks has no function go_goscope_check_fencing_token, or this role may not use it. Call connect() once as ' +
  'the owner of the table, or run what `npx goscope-postgres schema --missing` prints; sql/role.sql has the rights'

/** @typedef {import('../../native').Locks} Locks */

/**
 * The check of a lease, for an adapter within a transaction.
 *
 * @param {import('./parts.js').Parts<{ locks: Locks, permits: Locks }, { claims: { keyPrefix: string } }>} parts
 */
function leaseAssertion({ share, providers: { locks, permits }, settings }) {
  /** @param {unknown} lease */
  return async function assertHeld(lease) {
    const given = args.object('lease', lease)
    const own = leaseIn(given)
    const isPermit = own?.permit !== undefined
    const name = isPermit ? own.name : args.key('lease.key', given.key)
    const token = given.fencingToken
    if (typeof token !== 'bigint') throw args.wrongType('lease.fencingToken', 'of type bigint', token)
    const { keyPrefix } = settings.claims
    await ASSERT_HELD.run(share, name, async () => {
      const provider = isPermit ? permits : locks
      const start = (/** @type {number} */ slot) => provider.checkToken(slot, name, `${token}`, keyPrefix)
      const isChecked = settled(await share.send(start))
      if (!isChecked) throw coded(new Error(NO_CHECK), 'ERR_FENCING_UNAVAILABLE')
    })
  }
}

module.exports = { leaseAssertion }
