// @ts-check
// @configurations first
// The checker of lock histories finds each kind of planted violation, and reports none in a correct history.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { judgeHistory } = require('../support/lease-history.js')

/**
 * @param {import('../support/lease-history.js').Call['op']} op
 * @param {string} owner
 * @param {[number, number]} time
 * @param {import('../support/lease-history.js').Call['outcome']} outcome
 * @param {number} [ttl]
 */
const call = (op, owner, [from, to], outcome, ttl = 100) => ({ op, key: 'k', owner, ttl, from, to, outcome })

const kinds = (/** @type {import('../support/lease-history.js').Call[]} */ calls) =>
  judgeHistory(calls, 1).violations.map(({ kind }) => kind)

const A = call('acquire', 'a', [0, 10], 'yes')

for (const [title, calls] of /** @type {[string, import('../support/lease-history.js').Call[]][]} */ ([
  ['a second holder, once the first may have run out', [A, call('acquire', 'b', [50, 100], 'yes')]],
  [
    'a second holder, after a release whose outcome is unknown',
    [A, call('release', 'a', [20, 500], 'unknown'), call('acquire', 'b', [25, 30], 'yes')],
  ],
  [
    'two holders whose calls overlap, the first with a lease that may have expired by then',
    [call('acquire', 'a', [0, 90], 'yes', 10), call('acquire', 'b', [1, 91], 'yes', 10)],
  ],
  ['a refusal while the holder may still hold', [A, call('acquire', 'b', [105, 108], 'no')]],
  [
    'a refusal because of a call whose outcome is unknown',
    [call('acquire', 'a', [0, 10], 'unknown'), call('acquire', 'b', [10_000, 10_001], 'no')],
  ],
  [
    'an extension that shortens, and a second holder',
    [A, call('extend', 'a', [20, 22], 'yes', 5), call('acquire', 'b', [28, 30], 'yes')],
  ],
  [
    'an extension of unknown outcome that may have shortened',
    [A, call('extend', 'a', [20, 22], 'unknown', 5), call('acquire', 'b', [28, 30], 'yes')],
  ],
  ['an extension at the last moment, and the refusal of it', [A, call('extend', 'a', [95, 105], 'no')]],
])) {
  test(`no violation: ${title}`, () => assert.deepEqual(kinds(calls), []))
}

for (const [
  title,
  expected,
  calls,
] of /** @type {[string, string, import('../support/lease-history.js').Call[]][]} */ ([
  ['two hold at once', 'overlap', [A, call('acquire', 'b', [20, 30], 'yes')]],
  ['two hold at once, in calls that overlap', 'overlap', [A, call('acquire', 'b', [5, 30], 'yes')]],
  ['a short lease is granted within a long one', 'overlap', [A, call('acquire', 'b', [20, 30], 'yes', 2)]],
  [
    'a second holder after an extension',
    'overlap',
    [A, call('extend', 'a', [50, 60], 'yes'), call('acquire', 'b', [120, 130], 'yes')],
  ],
  ['an extension is refused within the lease', 'lost', [A, call('extend', 'a', [20, 30], 'no')]],
  ['a handle is invalid within the lease', 'lost', [A, call('isValid', 'a', [20, 30], 'no')]],
  ['an extension after the end', 'undead', [A, call('extend', 'a', [120, 130], 'yes')]],
  [
    'valid after the release',
    'undead',
    [A, call('release', 'a', [20, 30], 'yes'), call('isValid', 'a', [40, 41], 'yes')],
  ],
  [
    'an extension after another owner was granted the lock',
    'undead',
    [
      call('acquire', 'a', [0, 10], 'yes', 20),
      call('acquire', 'b', [18, 25], 'yes', 2),
      call('extend', 'a', [28, 29], 'yes'),
    ],
  ],
  [
    'a refusal after every holder has released',
    'phantom',
    [A, call('release', 'a', [20, 30], 'yes'), call('acquire', 'b', [40, 50], 'no')],
  ],
  ['a refusal after every lease has expired', 'phantom', [A, call('acquire', 'b', [140, 150], 'no')]],
  ['a refusal of the first', 'phantom', [call('acquire', 'b', [140, 150], 'no')]],
])) {
  test(`a planted violation is found: ${title}`, () => {
    const found = kinds(calls).join()
    assert.ok(found.includes(expected), found)
  })
}

test('keys are independent of each other, and the order in which calls are reported does not matter', () => {
  const calls = [A, { ...call('acquire', 'b', [20, 30], 'yes'), key: 'other' }, call('extend', 'a', [40, 41], 'yes')]
  assert.deepEqual(kinds(calls.reverse()), [])
})
