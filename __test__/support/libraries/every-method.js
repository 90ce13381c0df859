// @ts-check
// Every method that can be called within a transaction, with values and keys that a driver may change on their way.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')

/**
 * @typedef {object} Adapters
 * @property {PostgresAdapter} main
 * @property {PostgresCacheAdapter} entries
 * @property {PostgresIdempotencyAdapter} results
 */

/** @param {import('pg').Pool} pool @param {string} keyPrefix @returns {Adapters} */
const adaptersOn = (pool, keyPrefix) => ({
  main: new PostgresAdapter(pool, { keyPrefix }),
  entries: new PostgresCacheAdapter(pool, { keyPrefix }),
  results: new PostgresIdempotencyAdapter(pool, { keyPrefix }),
})

/** @param {Adapters} adapters @param {any} client @returns {Record<keyof Adapters, object>} */
const adaptersWithin = ({ main, entries, results }, client) => ({
  main: main.within(client),
  entries: entries.within(client),
  results: results.within(client),
})

const KEYS = ['plain', 'ключ 🔑 ключ', 'k'.repeat(5_000), 'a \ud800 lone surrogate', 'a\'b"c\\d%_?$1 \\? ??']
const VALUES = [
  { 'ключ 🔑': ['\u0001\u2028', 'a\'b"c\\d%_?$1'], '': { nested: [null, true, -1.5] } },
  null,
  0.1 + 0.2,
  'x'.repeat(20_000),
  [5e-324, 1.7976931348623157e308, 123456789.12345679, -0.000001],
]
const STATE = { state: /** @type {const} */ ('open'), failureCount: 3, lastFailureTime: 1_600_000_000_123 }
const HOUR = 3_600_000
const MINUTE = 60_000

/**
 * A result, without times of the server's clock. That they are of the present shows that no time zone has moved them.
 *
 * @param {unknown} result
 */
function lasting(result) {
  const text = JSON.stringify(result, (name, value) => {
    if (!/^(last(Failure|Success)Time|expiresAt)$/.test(name) || value === STATE.lastFailureTime) return value
    return Math.abs(value - Date.now()) < HOUR / 2 ? 'now' : value
  })
  return text === undefined ? undefined : JSON.parse(text)
}

/**
 * @param {Record<keyof Adapters, object>} on
 * @returns {Promise<{ results: [method: string, result: unknown][], called: Record<keyof Adapters, Set<string>> }>}
 */
async function callEveryMethod(on) {
  /** @type {[string, unknown][]} */
  const results = []
  const called = { main: new Set(), entries: new Set(), results: new Set() }
  /** @param {keyof Adapters} target @param {string} method @param {unknown[]} args */
  const call = async (target, method, ...args) => {
    called[target].add(method)
    results.push([`${target}.${method}`, lasting(await /** @type {any} */ (on[target])[method](...args))])
  }
  for (const target of /** @type {const} */ (['main', 'entries'])) await callCache(target, call)
  await callCheckpoints(call)
  await callCircuits(call)
  for (const [at, key] of KEYS.entries()) await call('results', 'set', key, VALUES[at], at === 0 ? MINUTE : undefined)
  for (const key of KEYS) await call('results', 'get', key)
  await call('results', 'delete', KEYS[1])
  await call('results', 'get', KEYS[1])
  const large = 'ы'.repeat(500_000)
  await call('main', 'set', 'large', large)
  await call('main', 'get', 'large')
  await call('results', 'set', 'large', large)
  await call('results', 'get', 'large')
  return { results, called }
}

/** @typedef {(target: keyof Adapters, method: string, ...args: unknown[]) => Promise<void>} CallMethod */

/** @param {'main' | 'entries'} target @param {CallMethod} call */
async function callCache(target, call) {
  const any = target === 'main' ? '%' : '*'
  await call(target, 'set', 'cleared', 1)
  await call(target, 'clear')
  await call(target, 'keys')
  for (const [at, key] of KEYS.entries()) await call(target, 'set', key, VALUES[at], at === 0 ? HOUR : undefined)
  for (const key of [...KEYS, 'absent']) {
    await call(target, 'get', key)
    await call(target, 'has', key)
  }
  await call(target, 'getMany', [...KEYS, 'absent', KEYS[0]])
  await call(target, 'keys', `a${any}`)
  await call(
    target,
    'setMany',
    [...KEYS].reverse().map((key, at) => [`many ${key}`, VALUES[at], at ? undefined : HOUR]),
  )
  await call(
    target,
    'getMany',
    KEYS.map((key) => `many ${key}`),
  )
  await call(target, 'deleteMany', [`many ${KEYS[0]}`, `many ${KEYS[2]}`, 'absent'])
  await call(target, 'keys')
  await call(target, 'increment', 'sum', 0.1)
  await call(target, 'increment', 'sum', 0.2, HOUR)
  await call(target, 'compareAndSet', 'sum', 0.1 + 0.2, { swapped: 1 })
  await call(target, 'compareAndSet', 'sum', 0.3, { swapped: 2 })
  await call(target, 'compareAndSet', 'new', undefined, 'first', HOUR)
  await call(target, 'incrementEntry', 'counted', 2)
  await call(target, 'incrementEntry', 'counted', 3)
  // The first has an end, which differs from run to run.
  for (const key of [...KEYS.slice(1), 'counted', 'absent']) await call(target, 'getEntry', key)
  await call(target, 'touch', 'counted')
  await call(target, 'touch', 'absent', HOUR)
  await call(target, 'take', 'counted')
  await call(target, 'take', 'counted')
  await call(target, 'keys', { prefix: 'many ' })
  await call(target, 'clear', { prefix: 'many ' })
  await call(target, 'keys')
  await call(target, 'delete', KEYS[0])
  await call(target, 'has', KEYS[0])
  await call(target, 'set', 'brief', 1, 1)
  await sleep(20)
  await call(target, 'get', 'brief')
  if (target === 'main') return
  await call(target, 'prune')
  await call(target, 'stats')
}

/** @param {CallMethod} call */
async function callCheckpoints(call) {
  for (const [sequence, key] of KEYS.entries()) {
    const remaining = sequence === 1 ? { estimatedTimeRemaining: 0 } : {}
    const times = { timestamp: 1_600_000_000_123, progress: 0.1 + 0.2 }
    await call('main', 'save', {
      id: key,
      taskId: `t${KEYS[2]}`,
      sequence,
      ...times,
      data: VALUES[sequence],
      ...remaining,
    })
  }
  await call('main', 'save', {
    id: 'other',
    taskId: 'other',
    sequence: 1,
    timestamp: 2 ** 53 - 1,
    progress: 1e-7,
    data: 1,
  })
  const many = KEYS.map((key, sequence) => ({
    id: `many ${key}`,
    taskId: 'other',
    sequence: 2 + sequence,
    timestamp: 1,
    progress: 1,
    data: VALUES[sequence] ?? null,
  }))
  await call('main', 'saveMany', many)
  await call('main', 'list', 'other', { limit: 2, order: 'desc', before: 5 })
  await call('main', 'listTasks', { limit: 10 })
  for (const key of [...KEYS, 'absent']) await call('main', 'load', key)
  await call('main', 'loadLatest', `t${KEYS[2]}`)
  await call('main', 'list', `t${KEYS[2]}`)
  await call('main', 'cleanup', `t${KEYS[2]}`, 2)
  await call('main', 'list', `t${KEYS[2]}`)
  await call('main', 'list', 'other')
  await call('main', 'deleteAll', 'other')
  await call('main', 'loadLatest', 'other')
}

/** @param {CallMethod} call */
async function callCircuits(call) {
  for (const key of KEYS) {
    await call('main', 'getState', key)
    await call('main', 'recordFailure', key, 2)
    await call('main', 'recordFailure', key, 2)
    await call('main', 'getState', key)
    await call('main', 'tryProbe', key, HOUR)
    await call('main', 'recordSuccess', key)
    await call('main', 'getState', key)
    await call('main', 'setState', key, STATE)
    await call('main', 'getState', key)
    await call('main', 'tryProbe', key, HOUR)
    await call('main', 'getState', key)
  }
}

/**
 * What is left of it, as another connection sees it.
 *
 * @param {Adapters} on
 */
async function whatIsLeft({ main, entries, results }) {
  return lasting({
    keys: [(await main.keys()).sort(), (await entries.keys()).sort()],
    values: [await main.getMany(KEYS), await entries.getMany(KEYS)],
    checkpoints: await main.list(`t${KEYS[2]}`),
    circuits: await Promise.all(KEYS.map((key) => main.getState(key))),
    results: await Promise.all(KEYS.map((key) => results.get(key))),
  })
}

module.exports = { adaptersOn, adaptersWithin, callEveryMethod, whatIsLeft }
