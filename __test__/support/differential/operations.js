// @ts-check
// Random operations on few names, so that they meet.
'use strict'

const { Random } = require('./random.js')

/**
 * @typedef {object} Call
 * @property {number} n its number in the sequence
 * @property {'adapter' | 'cache' | 'results'} on
 * @property {string} prefix
 * @property {string} method
 * @property {any[]} args
 * @property {Call} [taken] the `acquire` whose handle is called
 */
/** @typedef {Call | { n: number, method: 'the clock advances', args: [] }} Operation */

const HOUR = 3_600_000

/**
 * How far the clock advances at once. No TTL below is a multiple of it, so whatever is alive or expired is so by an
 * hour, which no slow machine uses up.
 */
const ADVANCE_MS = 3 * HOUR
const TTLS = [HOUR, 5 * HOUR, 25 * HOUR, 1e12]
/** One of 0 has run out when it is granted. */
const LEASE_TTLS = [...TTLS, 0]

/** The second one's `_` matches the first's `p`, in a pattern. */
const PREFIXES = ['', 'shop:', 'sho_:', '100%']
const KEYS = ['a', 'a', 'b', 'a_b', 'axb', 'a%', 'a\\b', 'a*', '', "it's", 'ключ', '🔑', 'shop:a', 7, 7n]
const OWNERS = [undefined, null, 'me', 'you', 'me', 'you', '', '7', 7]
const CACHE_PATTERNS = [undefined, null, '', '%', 'a%', 'a_b', 'cache:%', 'a\\_b', '_', 'shop:%', '%a']
const ADAPTER_PATTERNS = [undefined, '', '*', 'a*', 'a_b', 'a%', '*b', 'a\\b', 'a\\*', 'shop:*', '100%*']
const TIMES = [
  undefined,
  null,
  0,
  1,
  1_600_000_000_123,
  new Date(1_600_000_000_123),
  1_234_567_890_987.6,
  -1,
  -62_167_219_200_001,
  253_402_300_800_000,
]
const COUNTS = [0, 1, 2, 3, 2_147_483_647]
const LIMITS = [1, 2, 3, 5, 0, 1.5, Infinity, undefined]
const ENTRY_TTLS = [...TTLS, ...TTLS, undefined, null, 0, Infinity, 1e15]

const cycle = /** @type {any} */ ({})
cycle.self = cycle

const VALUES = [
  null,
  true,
  0,
  -0,
  1.5,
  0.1 + 0.2,
  1e21,
  5e-324,
  Number.MAX_VALUE,
  Number.MAX_SAFE_INTEGER,
  Number.NaN,
  '',
  'text',
  "it's",
  '🔑 é \u2028 \\ " \u0001',
  'x'.repeat(20_000),
  [],
  {},
  [undefined, () => 1, null],
  { b: 1, a: undefined, 10: { c: [1, { d: null }] }, '': 2, ключ: 'ü' },
  JSON.parse('{"__proto__": {"a": 1}, "constructor": 2}'),
  new Date(1_600_000_000_123),
  new Map([[1, 2]]),
  { toJSON: () => 'as JSON' },
  [undefined, 'a result'],
  [null, { nested: { deeply: [[[[1]]]] } }],
  [new Error('failed'), undefined],
  [new TypeError('failed'), undefined],
]
const BAD_VALUES = [undefined, () => 1, Symbol('value'), 10n, cycle, 'a\0b', { '\0': 1 }, '\ud800', ['\udc00']]
const BAD_KEYS = [undefined, null, {}, true, 'a\0b', Number.NaN]
const BAD_TTLS = [undefined, null, 0, -1, -HOUR, Number.NaN, Infinity, '1000', {}]
const BAD_NUMBERS = [undefined, null, -1, 1.5, Number.NaN, -Infinity, '3', 2 ** 53]

/**
 * @param {number} seed
 * @param {number} length
 * @returns {Operation[]}
 */
function operations(seed, length) {
  const random = new Random(seed)
  // Of everything only a few in each sequence, so that its operations meet.
  const words = {
    domains: some(random, DOMAINS, 2),
    prefixes: some(random, PREFIXES, 2),
    keys: some(random, KEYS, 3),
    owners: some(random, OWNERS, 3),
  }
  /** @type {Operation[]} */
  const sequence = []
  /** @type {Call[]} */
  const taken = []
  for (let n = 0; n < length; n++) {
    const operation = nextOperation(random, words, n, taken)
    sequence.push(operation)
    if ('on' in operation && operation.method === 'acquire') taken.push(operation)
  }
  return sequence
}

/** @typedef {{ domains: Domain[], prefixes: string[], keys: any[], owners: any[] }} Words */

/**
 * @param {Random} random
 * @param {readonly any[]} all
 * @param {number} count
 */
const some = (random, all, count) => Array.from({ length: count }, () => random.pick(all))

/**
 * @param {Random} random
 * @param {Words} words
 * @param {number} n
 * @param {Call[]} taken
 * @returns {Operation}
 */
function nextOperation(random, words, n, taken) {
  if (random.happens(0.07)) return { n, method: 'the clock advances', args: [] }
  const prefix = random.pick(words.prefixes)
  if (random.happens(0.03)) {
    const on = random.pick(/** @type {const} */ (['adapter', 'results', 'cache']))
    return { n, on, prefix, method: on === 'cache' ? 'initialize' : 'connect', args: [] }
  }
  const domain = random.pick(words.domains)
  const [on, method, ...args] = domain(random, words, prefix, n)
  if (method !== HANDLE) return { n, on, prefix, method, args }
  if (taken.length === 0) return { n, on, prefix, method: 'forceRelease', args: ['a'] }
  const of = random.pick(taken.slice(-6))
  const onHandle = random.pick(['release', 'extend', 'extend', 'isValid', 'isValid'])
  const ttl = onHandle === 'extend' ? [leaseTtl(random)] : []
  return { n, on, prefix: of.prefix, method: onHandle, args: ttl, taken: of }
}

const HANDLE = 'a method of a handle'

/** Mostly what is expected of an argument, sometimes what is not. */
const RARELY = 0.04

const name = (/** @type {Random} */ random, /** @type {Words} */ words) =>
  random.pick(random.happens(RARELY) ? BAD_KEYS : words.keys)
const value = (/** @type {Random} */ random) => random.pick(random.happens(2 * RARELY) ? BAD_VALUES : VALUES)
const leaseTtl = (/** @type {Random} */ random) => random.pick(random.happens(RARELY) ? BAD_TTLS : LEASE_TTLS)
const entryTtl = (/** @type {Random} */ random) => random.pick(random.happens(RARELY) ? BAD_TTLS : ENTRY_TTLS)
const number = (/** @type {Random} */ random, /** @type {any[]} */ usual) =>
  random.pick(random.happens(RARELY) ? BAD_NUMBERS : usual)

/** @typedef {(random: Random, words: Words, prefix: string, n: number) => [Call['on'], string, ...any[]]} Domain */

/** @type {Domain[]} */
const DOMAINS = [
  (random, words) => {
    const [key, owner] = [name(random, words), random.pick(words.owners)]
    return random.pick([
      ['adapter', 'acquire', key, leaseTtl(random), owner],
      ['adapter', 'acquire', key, leaseTtl(random), owner],
      ['adapter', 'extend', key, leaseTtl(random), owner],
      ['adapter', 'forceRelease', key],
      ['adapter', HANDLE],
      ['adapter', HANDLE],
    ])
  },
  (random, words) => {
    const key = name(random, words)
    return random.pick([
      ['adapter', 'getState', key],
      ['adapter', 'getState', key],
      ['adapter', 'setState', key, circuit(random)],
      ['adapter', 'recordFailure', key, number(random, LIMITS)],
      ['adapter', 'recordFailure', key, number(random, LIMITS)],
      ['adapter', 'recordSuccess', key],
    ])
  },
  (random, words) => cacheCall(random, words, 'adapter', CACHE_PATTERNS),
  (random, words) =>
    random.happens(0.25)
      ? ['cache', random.pick(['stats', 'prune'])]
      : cacheCall(random, words, 'cache', ADAPTER_PATTERNS),
  (random, _words, prefix, n) => {
    const task = taskOf(random, prefix)
    return random.pick([
      ['adapter', 'save', checkpoint(random, prefix, n)],
      ['adapter', 'save', checkpoint(random, prefix, n)],
      ['adapter', 'save', checkpoint(random, prefix, n)],
      ['adapter', 'load', checkpointId(random, prefix)],
      ['adapter', 'loadLatest', task],
      ['adapter', 'list', task],
      ['adapter', 'cleanup', task, number(random, [0, 1, 2, 3])],
      ['adapter', 'deleteAll', task],
    ])
  },
  (random, words) => {
    const key = name(random, words)
    return random.pick([
      ['results', 'get', key],
      ['results', 'get', key],
      ['results', 'set', key, value(random), entryTtl(random)],
      ['results', 'set', key, value(random), entryTtl(random)],
      ['results', 'delete', key],
    ])
  },
]

/**
 * @param {Random} random
 * @param {Words} words
 * @param {'adapter' | 'cache'} on
 * @param {any[]} patterns
 * @returns {[Call['on'], string, ...any[]]}
 */
function cacheCall(random, words, on, patterns) {
  const key = name(random, words)
  return random.pick([
    [on, 'get', key],
    [on, 'get', key],
    [on, 'has', key],
    [on, 'set', key, value(random), entryTtl(random)],
    [on, 'set', key, value(random), entryTtl(random)],
    [on, 'set', key, value(random), entryTtl(random)],
    [on, 'delete', key],
    [on, 'keys', random.pick(patterns)],
    [on, 'keys', random.pick(patterns)],
    [on, random.happens(0.5) ? 'clear' : 'keys'],
  ])
}

const FOREVER = { state: 'open', failureCount: 1, lastFailureTime: Infinity }

/** @param {Random} random */
function circuit(random) {
  if (random.happens(RARELY))
    return random.pick([null, undefined, 'open', { state: 'ajar', failureCount: 1 }, {}, FOREVER])
  const state = random.pick(['closed', 'open', 'half-open'])
  const times = { lastFailureTime: random.pick(TIMES), lastSuccessTime: random.pick(TIMES) }
  return { state, failureCount: number(random, COUNTS), ...(random.happens(0.8) ? times : {}) }
}

// Checkpoints of each prefix have names of their own, because the reference leaves the prefix out of them; what that
// does is one of the scenarios.
const taskOf = (/** @type {Random} */ random, /** @type {string} */ prefix) =>
  random.happens(RARELY) ? random.pick(BAD_KEYS) : `task ${random.below(2)} of ${PREFIXES.indexOf(prefix)}`
const checkpointId = (/** @type {Random} */ random, /** @type {string} */ prefix) =>
  random.happens(RARELY) ? random.pick(BAD_KEYS) : `${random.pick(['é', '%', '_', '4'])} of ${PREFIXES.indexOf(prefix)}`

/**
 * @param {Random} random
 * @param {string} prefix
 * @param {number} n
 */
function checkpoint(random, prefix, n) {
  if (random.happens(RARELY)) return random.pick([null, undefined, {}, 'checkpoint'])
  return {
    id: checkpointId(random, prefix),
    taskId: taskOf(random, prefix),
    sequence: number(random, [1, 1, 2, 2, 2, 2, 3, 0, -1, Number.MAX_SAFE_INTEGER]),
    timestamp: 1_700_000_000_000 + n * (random.happens(0.5) ? 1 : -1), // no two alike
    progress: number(random, [0, 12.5, 100, 1e-300, -0.1, 33.333333333333336]),
    data: value(random),
    estimatedTimeRemaining: random.pick([undefined, null, 0, 5, Number.MAX_SAFE_INTEGER, undefined]),
  }
}

module.exports = { ADVANCE_MS, PREFIXES, operations }
