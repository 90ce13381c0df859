// @ts-check
// Checks whether a history of lock calls keeps to the lease model, from the times of the calls alone.
//
// The server executes every call at one moment. The moment is unknown, but it lies between the call and its return:
// `from <= moment <= to`, on one monotonic clock that all processes share. These bounds give two intervals for each
// lease: one inside the time for which it was really held, and one around it:
//
// * It is *surely held* from the return of the `acquire` that granted it. It ends no earlier than its TTL after that
//   call was made, because the server counted from a later moment. A successful `extend` shows that it was held until
//   then, and moves that end to its own call plus its TTL, forward or backward. An `extend` with an unknown outcome may
//   have shortened it. A `release` may take effect from the moment of its call.
// * It is *possibly held* from the call of its `acquire`, and ends no later than its TTL after that call's return. A
//   call that may have been executed counts until `LATE_MS` after its caller abandoned it. A `release` that returned
//   has ended it.
//
// Each owner acquires a lock once. So these are violations, whatever the moments were:
//
// 1. `overlap`: two leases on one key are surely held at the same time, or a call that lies wholly within the sure time
//    of one lease grants the other.
// 2. `lost`: a lease that is surely held is refused an extension, or is reported as invalid.
// 3. `undead`: a lease is extended, or reported as valid, after its last possible moment, or after another owner was
//    granted the lock later.
// 4. `phantom`: an `acquire` is refused while no owner possibly holds the lock.
'use strict'

/**
 * @typedef {object} Call
 * @property {'acquire' | 'extend' | 'isValid' | 'release'} op
 * @property {string} key
 * @property {string} owner used once, and by one process
 * @property {number} ttl
 * @property {number} from when it was made, in milliseconds
 * @property {number} to when it returned, or when its process had ended
 * @property {'yes' | 'no' | 'unknown'} outcome
 *
 * @typedef {object} Lease
 * @property {Call} grant
 * @property {boolean} isGranted
 * @property {number} sureFrom
 * @property {number} sureTo
 * @property {number} maybeFrom
 * @property {number} maybeTo
 *
 * @typedef {{ kind: 'overlap' | 'lost' | 'undead' | 'phantom', text: string }} Violation
 */

/** How long a server may take for a call that no caller waits for any more. */
const LATE_MS = 30_000

/**
 * @param {Call[]} calls in any order
 * @param {number} [drift] by how much the server's clock may have drifted from the monotonic one, in milliseconds
 */
function judgeHistory(calls, drift = 1) {
  /** @type {Violation[]} */
  const violations = []
  let grants = 0
  let refusals = 0
  for (const ofKey of grouped(calls, ({ key }) => key)) {
    /** @type {Lease[]} */
    const leases = []
    /** @type {Call[]} */
    const refused = []
    /** @type {{ call: Call, lease: Lease }[]} */
    const affirmed = []
    for (const ofOwner of grouped(ofKey, ({ owner }) => owner)) {
      ofOwner.sort((a, b) => a.from - b.from)
      const [grant, ...rest] = ofOwner
      if (grant.outcome === 'no') refused.push(grant)
      // If it was executed twice and answered once, it may have held a lease that had expired when it was refused.
      if (grant.outcome === 'no' && grant.to - grant.from < grant.ttl - drift) continue
      leases.push(leaseOf(grant, rest, drift, violations, affirmed))
    }
    const granted = leases.filter(({ isGranted }) => isGranted)
    grants += granted.length
    refusals += refused.length
    findOverlaps(granted, violations)
    findUndead(granted, affirmed, violations)
    findPhantoms(leases, refused, violations)
  }
  return { grants, refusals, violations }
}

/**
 * @param {Call} grant
 * @param {Call[]} rest the calls for the same owner, one after the other
 * @param {number} drift
 * @param {Violation[]} violations
 * @param {{ call: Call, lease: Lease }[]} affirmed
 * @returns {Lease}
 */
function leaseOf(grant, rest, drift, violations, affirmed) {
  const isGranted = grant.outcome === 'yes'
  /** @type {Lease} */
  const lease = {
    grant,
    isGranted,
    sureFrom: grant.to,
    sureTo: isGranted ? grant.from + grant.ttl - drift : -1,
    maybeFrom: grant.from,
    maybeTo: grant.outcome === 'no' ? grant.to : latest(grant) + grant.ttl + drift,
  }
  for (const call of rest) {
    if (call.op === 'release') {
      lease.sureTo = Math.min(lease.sureTo, call.from)
      if (call.outcome === 'yes') lease.maybeTo = Math.min(lease.maybeTo, call.to)
    } else if (call.outcome === 'no') {
      // If it was executed twice and answered once, it may have shortened the lease before it was refused.
      const end = call.op === 'extend' ? Math.min(lease.sureTo, call.from + call.ttl - drift) : lease.sureTo
      if (call.to < end) violations.push(violation('lost', grant, call))
      lease.sureTo = Math.min(lease.sureTo, call.from)
    } else {
      if (call.outcome === 'yes') {
        affirmed.push({ call, lease })
        if (call.from > lease.maybeTo) violations.push(violation('undead', grant, call))
      }
      if (call.op === 'extend') prolong(lease, call, drift)
    }
  }
  return lease
}

/**
 * @param {Lease} lease
 * @param {Call} call
 * @param {number} drift
 */
function prolong(lease, call, drift) {
  const end = call.from + call.ttl - drift
  if (call.outcome === 'yes') {
    if (lease.isGranted) lease.sureTo = end
    lease.maybeTo = call.to + call.ttl + drift
  } else {
    lease.sureTo = Math.min(lease.sureTo, end)
    // Only a lease that is still held can be extended.
    lease.maybeTo = Math.max(lease.maybeTo, Math.min(latest(call), lease.maybeTo) + call.ttl + drift)
  }
}

/** @param {Call} call */
const latest = (call) => (call.outcome === 'unknown' ? call.to + LATE_MS : call.to)

/**
 * @param {Lease[]} granted
 * @param {Violation[]} violations
 */
function findOverlaps(granted, violations) {
  const bySure = [...granted].sort((a, b) => a.sureFrom - b.sureFrom)
  /** @type {Lease | undefined} */
  let longest
  for (const lease of bySure) {
    const isHeld = lease.sureTo > lease.sureFrom
    if (longest && isHeld && longest.sureTo > lease.sureFrom) {
      violations.push(violation('overlap', longest.grant, lease.grant))
    }
    if (isHeld && (!longest || lease.sureTo > longest.sureTo)) longest = lease
  }
  const holder = greatest(
    bySure,
    ({ sureFrom }) => sureFrom,
    ({ sureTo }) => sureTo,
  )
  for (const { grant } of granted) {
    const other = holder(grant.from)
    if (other && other.grant !== grant && other.sureTo > grant.to) {
      violations.push(violation('overlap', other.grant, grant))
    }
  }
}

/**
 * @param {Lease[]} granted
 * @param {{ call: Call, lease: Lease }[]} affirmed
 * @param {Violation[]} violations
 */
function findUndead(granted, affirmed, violations) {
  const byReturn = [...granted].sort((a, b) => a.grant.to - b.grant.to)
  const newest = greatest(
    byReturn,
    ({ grant }) => grant.to,
    ({ grant }) => grant.from,
  )
  for (const { call, lease } of affirmed) {
    const other = newest(call.from)
    if (other && other !== lease && other.grant.from >= lease.sureFrom) {
      violations.push(violation('undead', other.grant, call))
    }
  }
}

/**
 * @param {Lease[]} leases
 * @param {Call[]} refused
 * @param {Violation[]} violations
 */
function findPhantoms(leases, refused, violations) {
  const byStart = [...leases].sort((a, b) => a.maybeFrom - b.maybeFrom)
  const holder = greatest(
    byStart,
    ({ maybeFrom }) => maybeFrom,
    ({ maybeTo }) => maybeTo,
  )
  for (const call of refused) {
    const other = holder(call.to)
    if (!other || other.maybeTo < call.from) violations.push(violation('phantom', other?.grant, call))
  }
}

/**
 * Finds, among the leases whose `position` is not beyond a given one, the lease with the greatest `size`.
 *
 * @param {Lease[]} sorted by position
 * @param {(lease: Lease) => number} position
 * @param {(lease: Lease) => number} size
 * @returns {(position: number) => Lease | undefined}
 */
function greatest(sorted, position, size) {
  /** @type {Lease[]} */
  const best = []
  for (const lease of sorted) {
    const before = best.at(-1)
    best.push(before && size(before) >= size(lease) ? before : lease)
  }
  return (at) => {
    let [low, high] = [0, sorted.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (position(sorted[middle]) <= at) low = middle + 1
      else high = middle
    }
    return best[low - 1]
  }
}

/**
 * @param {Violation['kind']} kind
 * @param {Call | undefined} first
 * @param {Call} second
 * @returns {Violation}
 */
function violation(kind, first, second) {
  return { kind, text: `${kind}: ${JSON.stringify(first ?? null)} and ${JSON.stringify(second)}` }
}

/**
 * @template T
 * @param {T[]} all
 * @param {(one: T) => string} by
 * @returns {Iterable<T[]>}
 */
function grouped(all, by) {
  /** @type {Map<string, T[]>} */
  const groups = new Map()
  for (const one of all) {
    const group = groups.get(by(one))
    if (group) group.push(one)
    else groups.set(by(one), [one])
  }
  return groups.values()
}

module.exports = { judgeHistory }
