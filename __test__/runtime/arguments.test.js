// @ts-check
// @configurations every
// Bad arguments: what every method refuses, with which error, and that a refused call has no effect.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { types } = require('node:util')
const { Pool } = require('pg')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { isOptions } = require('../../lib/key-pages.js')
const { useDatabase } = require('../support/database.js')
const { EXAMPLES, argumentsOf, callWith } = require('../support/example-arguments.js')
const { adaptersOn } = require('../support/operations.js')
const { without } = require('../support/route.js')

const database = useDatabase()
const keptDatabase = useDatabase()

const [TYPE, RANGE, VALUE] = ['ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE', 'ERR_INVALID_ARG_VALUE']
const CODES = [TYPE, RANGE, VALUE]

class Account {
  password = 'hunter2'
}

/** Useful only as a value. The optional arguments accept the first two. @type {any[]} */
const OF_NO_TYPE = [
  undefined,
  null,
  { password: 'hunter2' },
  Object.create(null),
  new Account(),
  ['hunter2'],
  Symbol('sign'),
  true,
  false,
  function named() {},
  new String('5'),
  new Date(0),
]
const PRESENT = OF_NO_TYPE.slice(2)

const INFINITE = [Number.NaN, Infinity, -Infinity]
const NEGATIVE = [-1, -0.5, -Infinity, Number.NaN]
const NO_SAFE_INTEGERS = [...INFINITE, 1.5, 2 ** 53, -(2 ** 53)]
/** Beyond the range of a Date or a timestamp. */
const NEVER = [...INFINITE, 8.64e15 + 1, -1e300]
const OF_NO_NUMBER = ['5', '', 5n]

/** Keys, ids, owners and patterns. */
const NAMES = [...OF_NO_TYPE, ...INFINITE, 'a\0b']
const OPTIONAL_NAMES = [...PRESENT, ...INFINITE, 'a\0b']
const LEASES = [...OF_NO_TYPE, ...OF_NO_NUMBER, ...NEGATIVE, Infinity]
/** Of leases that are renewed. */
const LASTING = [...LEASES, 0]
const TTLS = [...PRESENT, ...OF_NO_NUMBER, ...NEGATIVE]
const CLAIM_TTLS = [...TTLS, 0, Infinity]
/** Without a limit, failures are only counted. */
const LIMITS = [...OF_NO_TYPE.slice(1), ...OF_NO_NUMBER, ...NEGATIVE]
const INTEGERS = [...OF_NO_TYPE, ...OF_NO_NUMBER, ...NO_SAFE_INTEGERS]
const OPTIONAL_INTEGERS = [...PRESENT, ...OF_NO_NUMBER, ...NO_SAFE_INTEGERS]
const FLOATS = [...OF_NO_TYPE, ...OF_NO_NUMBER, ...INFINITE]
const TIMES = [...PRESENT.filter((bad) => !types.isDate(bad)), new Date(Number.NaN), ...OF_NO_NUMBER, ...NEVER]
const VALUES = [undefined, () => 1, Symbol('sign'), 1n, { n: 1n }]
const OBJECTS = [undefined, null, true, 'id', 5, 5n, Symbol('sign')]
const OPTIONS = OBJECTS.slice(2)
const FUNCTIONS = [...OF_NO_TYPE.filter((bad) => typeof bad !== 'function'), 'named', 5]
/** Neither an array nor another object that can be iterated over. */
const LISTS = [...OF_NO_TYPE.filter((bad) => typeof Object(bad)[Symbol.iterator] !== 'function'), 'one key', 5, 5n]
const STATES = [...OF_NO_TYPE, '', 'ajar', 'OPEN', 'open ', 'half_open', 'halfOpen', 1]

/** The arguments that are numbers. */
const NUMERIC = /ttl|wait|Count|Time|maxFailures|sequence|timestamp|progress|^by$/i

/** What a message must show of a value: for an object only its class, because it may contain secrets. */
function shown(/** @type {any} */ value) {
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'string') return `'${value.replace('\0', '\\x00')}'`
  if (typeof value === 'function') return `function ${value.name}`.trim()
  if (typeof value === 'object' && value !== null) return value.constructor?.name ?? 'Object'
  return String(value)
}

const CLASSES = [PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter]

/** @type {any} */
const STATE = { state: 'open', failureCount: 3, lastFailureTime: 0, lastSuccessTime: 1 }
/** @type {any} */
const CHECKPOINT = {
  id: 'id',
  taskId: 'task',
  sequence: 1,
  timestamp: 1,
  progress: 1,
  data: 1,
  estimatedTimeRemaining: 0,
}

/** @typedef {[method: string, argument: string, refused: any[], call: (bad: any) => any]} Case */

/** What each argument refuses, by method and name. */
// biome-ignore format: a table, a line for each argument
const REFUSED = /** @type {Record<string, [method: string, argument: string, refused: any[]][]>} */ ({
  main: [
    ['acquire', 'key', NAMES],
    ['acquire', 'ttl', LEASES],
    ['acquire', 'owner', OPTIONAL_NAMES],
    ['acquire', 'options', OPTIONS],
    ['acquire', 'options.reentrant', [...PRESENT.filter((bad) => typeof bad !== 'boolean'), 0, '']],
    ['release', 'key', NAMES],
    ['release', 'owner', NAMES],
    ['extend', 'key', NAMES],
    ['extend', 'ttl', LEASES],
    ['extend', 'owner', NAMES],
    ['lock', 'key', NAMES],
    ['lock', 'options', OPTIONS],
    ['lock', 'options.ttl', LASTING],
    ['lock', 'options.wait', [...PRESENT, ...OF_NO_NUMBER, ...NEGATIVE]],
    ['lock', 'options.signal', [...PRESENT, ...OF_NO_NUMBER, 5]],
    ['lock', 'options.renew', [...PRESENT.filter((bad) => typeof bad !== 'boolean'), 0, '']],
    ['lock', 'options.owner', OPTIONAL_NAMES],
    ['holder', 'key', NAMES],
    ['forceRelease', 'key', NAMES],
    ['getState', 'key', NAMES],
    ['setState', 'key', NAMES],
    ['setState', 'state', OBJECTS],
    ['setState', 'state.state', STATES],
    ['setState', 'state.failureCount', [...INTEGERS, -1, 2 ** 31]],
    ['setState', 'state.lastFailureTime', TIMES],
    ['setState', 'state.lastSuccessTime', TIMES],
    ['recordFailure', 'key', NAMES],
    ['recordFailure', 'maxFailures', LIMITS],
    ['recordSuccess', 'key', NAMES],
    ['tryProbe', 'key', NAMES],
    ['tryProbe', 'resetTimeout', LEASES],
    ['save', 'checkpoint', OBJECTS],
    ['save', 'checkpoint.id', NAMES],
    ['save', 'checkpoint.taskId', NAMES],
    ['save', 'checkpoint.sequence', INTEGERS],
    ['save', 'checkpoint.timestamp', INTEGERS],
    ['save', 'checkpoint.progress', FLOATS],
    ['save', 'checkpoint.data', VALUES],
    ['save', 'checkpoint.estimatedTimeRemaining', OPTIONAL_INTEGERS],
    ['saveMany', 'checkpoints', LISTS],
    ['saveMany', 'checkpoints[1]', OBJECTS],
    ['saveMany', 'checkpoints[1].id', NAMES],
    ['saveMany', 'checkpoints[1].taskId', NAMES],
    ['saveMany', 'checkpoints[1].sequence', INTEGERS],
    ['saveMany', 'checkpoints[1].timestamp', INTEGERS],
    ['saveMany', 'checkpoints[1].progress', FLOATS],
    ['saveMany', 'checkpoints[1].data', VALUES],
    ['saveMany', 'checkpoints[1].estimatedTimeRemaining', OPTIONAL_INTEGERS],
    ['load', 'id', NAMES],
    ['loadLatest', 'taskId', NAMES],
    ['list', 'taskId', NAMES],
    ['list', 'options', OPTIONS],
    ['list', 'options.limit', [...OPTIONAL_INTEGERS, 0, -1]],
    ['list', 'options.before', OPTIONAL_INTEGERS],
    ['list', 'options.order', [...STATES.slice(2), 'ASC']],
    ['listTasks', 'options', OPTIONS],
    ['listTasks', 'options.prefix', OPTIONAL_NAMES],
    ['listTasks', 'options.limit', [...OPTIONAL_INTEGERS, 0, -1]],
    ['listTasks', 'options.after', OPTIONAL_NAMES],
    ['cleanup', 'taskId', NAMES],
    ['cleanup', 'keepCount', [...INTEGERS, -1]],
    ['deleteAll', 'taskId', NAMES],
  ],
  /** Of both caches. */
  cache: [
    ['get', 'key', NAMES],
    ['set', 'key', NAMES],
    ['set', 'value', VALUES],
    ['set', 'ttl', TTLS],
    ['delete', 'key', NAMES],
    ['has', 'key', NAMES],
    ['getEntry', 'key', NAMES],
    ['take', 'key', NAMES],
    ['touch', 'key', NAMES],
    ['touch', 'ttl', TTLS],
    ['keys', 'pattern', OPTIONAL_NAMES.filter((bad) => !isOptions(bad))],
    ['clear', 'options', OPTIONS],
    ['clear', 'options.prefix', OPTIONAL_NAMES],
    ['getMany', 'keys', LISTS],
    ['getMany', 'keys[1]', NAMES],
    ['setMany', 'entries', LISTS],
    ['setMany', 'entries[1]', [...LISTS, { 0: 'k', 1: 1 }]],
    ['setMany', 'entries[1][0]', NAMES],
    ['setMany', 'entries[1][1]', VALUES],
    ['setMany', 'entries[1][2]', TTLS],
    ['setMany', 'ttl', TTLS],
    ['deleteMany', 'keys', LISTS],
    ['deleteMany', 'keys[1]', NAMES],
    ['increment', 'key', NAMES],
    ['increment', 'by', [...PRESENT, ...OF_NO_NUMBER, ...INFINITE]],
    ['increment', 'ttl', TTLS],
    ['incrementEntry', 'key', NAMES],
    ['incrementEntry', 'by', [...PRESENT, ...OF_NO_NUMBER, ...INFINITE]],
    ['incrementEntry', 'ttl', TTLS],
    ['compareAndSet', 'key', NAMES],
    ['compareAndSet', 'expected', VALUES.slice(1)],
    ['compareAndSet', 'value', VALUES],
    ['compareAndSet', 'ttl', TTLS],
    ['getOrSet', 'key', NAMES],
    ['getOrSet', 'compute', FUNCTIONS],
    ['getOrSet', 'options', OPTIONS],
    ['getOrSet', 'options.ttl', TTLS],
    ['getOrSet', 'options.staleTtl', [...TTLS, Infinity]],
    ['getOrSet', 'options.claimTtl', CLAIM_TTLS],
  ],
  results: [
    ['get', 'key', NAMES],
    ['set', 'key', NAMES],
    ['set', 'value', VALUES],
    ['set', 'ttl', TTLS],
    ['delete', 'key', NAMES],
    ['run', 'key', NAMES],
    ['run', 'work', FUNCTIONS],
    ['run', 'options', OPTIONS],
    ['run', 'options.ttl', TTLS],
    ['run', 'options.claimTtl', CLAIM_TTLS],
    ['run', 'options.fingerprint', OPTIONAL_NAMES],
  ],
  handle: [
    ['extend', 'ttl', LEASES],
  ],
  semaphore: [
    ['acquire', 'options', OPTIONS],
    ['acquire', 'options.ttl', LASTING],
    ['acquire', 'options.wait', [...PRESENT, ...OF_NO_NUMBER, ...NEGATIVE]],
    ['acquire', 'options.signal', [...PRESENT, ...OF_NO_NUMBER, 5]],
    ['acquire', 'options.renew', [...PRESENT.filter((bad) => typeof bad !== 'boolean'), 0, '']],
    ['acquire', 'options.owner', OPTIONAL_NAMES],
  ],
})

/** @param {import('../support/operations.js').Operation} example */
const refusedBy = ({ on, method }) =>
  [...(REFUSED[on] ?? []), ...(on === 'main' || on === 'entries' ? (REFUSED.cache ?? []) : [])].filter(
    ([name]) => name === method,
  )

/**
 * Every argument of every method.
 *
 * @param {import('pg').Pool} pool
 * @returns {Case[]}
 */
function cases(pool) {
  const adapters = /** @type {any} */ (adaptersOn(pool))
  adapters.semaphore = adapters.main.semaphore('k', 2)
  return EXAMPLES.filter(({ on }) => on !== 'handle').flatMap((example) =>
    refusedBy(example).map(
      ([method, argument, refused]) =>
        /** @type {Case} */ ([
          method,
          argument,
          refused,
          (bad) => callWith(adapters[example.on], example, argument, bad),
        ]),
    ),
  )
}

/** The call returns a promise, which rejects as required for this argument. */
async function isRefused(/** @type {Case} */ [method, argument, refused, call]) {
  for (const bad of refused) {
    const promise = call(bad) // a synchronous throw fails the test here
    assert.ok(promise instanceof Promise, method)
    const error = await promise.then(
      () => assert.fail(`${method} took ${typeof bad} ${String(bad?.constructor?.name)} as its ${argument}`),
      (/** @type {any} */ reason) => reason,
    )
    assert.ok(CODES.includes(error.code), `${method}: ${error.code} ${error.message}`)
    assert.ok(error.code === RANGE ? error instanceof RangeError : error instanceof TypeError, `${error}`)
    assert.match(error.message, new RegExp(`["']${argument.replace(/[.[\]]/g, '\\$&')}["']`), method)
    assert.ok(error.message.split('Received')[1]?.includes(shown(bad)), error.message)
    assert.doesNotMatch(error.message, /hunter2/)
    // A number out of range is a range error. A value that is not a number has the wrong type.
    if (NUMERIC.test(argument)) assert.equal(error.code, typeof bad === 'number' ? RANGE : TYPE, error.message)
  }
}

test('every argument of every method is covered here', () => {
  for (const example of EXAMPLES) {
    const covered = refusedBy(example).map(([, argument]) => argument)
    for (const name of argumentsOf(example)) {
      assert.ok(covered.includes(name), `${example.name}: ${name} is missing in REFUSED`)
    }
  }
})

test('REFUSED has no method that is missing in lib/operations.js', () => {
  const methods = EXAMPLES.map(({ method }) => method)
  for (const [method] of Object.values(REFUSED).flat()) assert.ok(methods.includes(method), method)
})

test('a bad argument rejects with its name and value, and never throws', async () => {
  const pool = (await database).pool({ max: 2 })
  for (const each of cases(pool)) await isRefused(each)
})

test('a bad argument is refused before any connection is tried', async () => {
  const nowhere = new Pool({ host: '127.0.0.1', port: 1 })
  for (const each of cases(nowhere)) await isRefused(each)
  // A good argument is not refused.
  await assert.rejects(new PostgresAdapter(nowhere).get('k'), {
    code: 'ECONNREFUSED',
    syscall: 'connect',
    address: '127.0.0.1',
    port: 1,
  })
  await nowhere.end()
})

test('after bad arguments nothing is stored, and no table is made', { skip: without.ddl }, async () => {
  const db = await database
  const pool = db.pool({ max: 1 })
  const tables = async () =>
    (await db.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).map(({ tablename }) => tablename)
  for (const each of cases(pool)) await isRefused(each)
  assert.deepEqual(await tables(), [])

  const adapter = new PostgresAdapter(pool)
  await Promise.all([
    adapter.connect(),
    new PostgresCacheAdapter(pool).initialize(),
    new PostgresIdempotencyAdapter(pool).connect(),
  ])
  assert.equal((await tables()).length, 6)
  for (const each of cases(pool)) await isRefused(each)
  for (const table of await tables()) {
    assert.deepEqual(await db.query(`SELECT * FROM ${table}`), [], table)
  }
})

test('bad arguments leave stored data unchanged', async () => {
  const pool = (await keptDatabase).pool({ max: 1 })
  const adapter = new PostgresAdapter(pool)
  await Promise.all([
    adapter.acquire('k', 600_000, 'me'),
    adapter.setState('k', STATE),
    adapter.set('k', 'old'),
    adapter.save(CHECKPOINT),
  ])
  const [entries, results] = [new PostgresCacheAdapter(pool), new PostgresIdempotencyAdapter(pool)]
  await Promise.all([entries.set('k', 'old'), results.set('k', 'old')])
  for (const each of cases(pool)) await isRefused(each)
  assert.equal(await adapter.extend('k', 600_000, 'me'), true)
  assert.deepEqual(await adapter.getState('k'), STATE)
  assert.deepEqual(await adapter.load('id'), CHECKPOINT)
  assert.deepEqual(
    [await adapter.get('k'), await entries.get('k'), await results.get('k')],
    ['old', 'old', { value: 'old' }],
  )
})

test("the handle's extend refuses an invalid TTL, and the lock is unchanged", async () => {
  const locks = new PostgresAdapter((await keptDatabase).pool({ max: 1 }))
  const handle = /** @type {any} */ (await locks.acquire('handle', 600_000))
  const expiry = async () =>
    (await (await keptDatabase).query("SELECT expires_at FROM go_goscope_locks WHERE key = 'lock:handle'"))[0]
      .expires_at
  const before = await expiry()
  const { extend } = handle
  const [[, argument, refused]] = REFUSED.handle
  await isRefused(['handle.extend', argument, refused, (bad) => extend(bad)])
  assert.deepEqual(await expiry(), before)
  assert.equal(await handle.isValid(), true)
})

test('null is equivalent to an absent optional argument', async () => {
  const pool = (await keptDatabase).pool({ max: 1 })
  const absent = /** @type {any} */ (null)
  const adapter = new PostgresAdapter(pool, { keyPrefix: absent, defaultLockTTL: absent, createTables: absent })
  const entries = new PostgresCacheAdapter(pool, { tableName: absent, keyPrefix: absent, createTables: absent })
  const results = new PostgresIdempotencyAdapter(pool, { keyPrefix: absent, createTables: absent })
  for (const Adapter of CLASSES) assert.ok(new Adapter(pool, absent))
  assert.ok(await adapter.acquire('null', 60_000, absent))
  await Promise.all([adapter, entries, results].map((each) => each.set('null', 1, absent)))
  assert.ok((await adapter.keys(absent)).includes('null'))
  assert.ok((await entries.keys(absent)).includes('null'))
  assert.deepEqual(await results.get('null'), { value: 1 })
  await adapter.setState('null', { state: 'closed', failureCount: 0, lastFailureTime: absent, lastSuccessTime: absent })
  assert.deepEqual(await adapter.getState('null'), { state: 'closed', failureCount: 0 })
  await adapter.save({ ...CHECKPOINT, id: 'null', estimatedTimeRemaining: absent })
  assert.equal('estimatedTimeRemaining' in /** @type {any} */ (await adapter.load('null')), false)
  const byDefault = new PostgresAdapter(pool, { defaultLockTTL: 60_000 })
  assert.ok(await byDefault.acquire('null by default', absent, 'me'))
  assert.equal(await byDefault.extend('null by default', absent, 'me'), true)
})

test('setState stores the three states, counts up to the maximum, and times from 0, exactly', async () => {
  const circuits = new PostgresAdapter((await keptDatabase).pool({ max: 1 }))
  for (const [n, state] of /** @type {any[]} */ ([
    { state: 'closed', failureCount: 0, lastFailureTime: 0, lastSuccessTime: 0 },
    { state: 'open', failureCount: 2 ** 31 - 1, lastFailureTime: 0 },
    { state: 'half-open', failureCount: 1, lastSuccessTime: 0 },
    { state: 'half-open', failureCount: 0 },
    { state: 'open', failureCount: 5, lastFailureTime: -86_400_001, lastSuccessTime: 8.64e15 },
  ]).entries()) {
    await circuits.setState('states', state)
    assert.deepEqual(await circuits.getState('states'), state, `state ${n}`)
  }
})

for (const Adapter of CLASSES) {
  test(`${Adapter.name}: a value that is not a pool is refused, and no secret in it is shown`, async () => {
    const connectionString = 'postgresql://app:hunter2@db.internal/app'
    const config = { host: 'db.internal', user: 'app', password: 'hunter2', connectionString }
    // An absent or empty value means the environment, and an object with a password is a configuration.
    const wrong = OF_NO_TYPE.filter((value) => Object(value) !== value || Array.isArray(value)).slice(2)
    for (const pool of [...wrong, 5, { databse: 'app' }, new Date(), [config], { options: config }, { end() {} }]) {
      assert.throws(
        () => new Adapter(/** @type {any} */ (pool)),
        (/** @type {any} */ error) => {
          assert.equal(error.name, 'TypeError')
          assert.equal(error.code, TYPE)
          assert.match(error.message, /"pool"/)
          assert.doesNotMatch(`${error.stack}${JSON.stringify(error)}`, /hunter2/)
          return true
        },
      )
    }
  })

  test(`${Adapter.name}: options of the wrong type or out of range are refused`, async () => {
    const pool = (await database).pool({ max: 1 })
    const refused = (/** @type {any} */ options, /** @type {string} */ argument, /** @type {string[]} */ codes) =>
      assert.throws(
        () => new Adapter(pool, options),
        (/** @type {any} */ error) => {
          assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`)
          assert.ok(error.message.includes(argument), error.message)
          assert.doesNotMatch(error.message, /hunter2/)
          return true
        },
      )
    for (const options of ['', 'app:', 5, true, Symbol('sign'), () => {}, 5n]) refused(options, 'options', [TYPE])
    for (const bad of PRESENT) refused({ keyPrefix: bad }, 'options.keyPrefix', [TYPE])
    for (const bad of ['false', 0, 1, {}, [], Symbol('sign')])
      refused({ createTables: bad }, 'options.createTables', [TYPE])
    if (Adapter === PostgresAdapter) {
      for (const bad of [...PRESENT, ...OF_NO_NUMBER])
        refused({ defaultLockTTL: bad }, 'options.defaultLockTTL', [TYPE])
      for (const bad of [0, -1, Number.NaN, Infinity])
        refused({ defaultLockTTL: bad }, 'options.defaultLockTTL', [RANGE])
    }
    if (Adapter === PostgresCacheAdapter) {
      for (const bad of PRESENT) refused({ tableName: bad }, 'options.tableName', [TYPE])
      for (const bad of ['', 'a.b.c', 'x'.repeat(64)]) refused({ tableName: bad }, 'options.tableName', [VALUE])
    }
  })
}

test('a long value is shown truncated', async () => {
  const adapter = new PostgresAdapter((await database).pool({ max: 1 }))
  const error = await adapter.get(`${'x'.repeat(1_000_000)}\0`).catch((/** @type {any} */ reason) => reason)
  assert.equal(error.code, VALUE)
  assert.ok(error.message.length < 1_000, `${error.message.length} characters`)
})

test('an argument that cannot be inspected is refused like any other', async () => {
  const adapter = /** @type {any} */ (new PostgresAdapter((await database).pool({ max: 1 })))
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  const throwing = {
    get constructor() {
      throw new Error('looked at')
    },
  }
  const nameless = { constructor: { name: Symbol('no text') } }
  for (const bad of [proxy, throwing, nameless]) {
    await assert.rejects(adapter.get(bad), { name: 'TypeError', code: TYPE, message: /"key"/ })
    await assert.rejects(adapter.acquire('k', bad), { name: 'TypeError', code: TYPE, message: /"ttl"/ })
  }
  const found = await adapter.set('k', proxy).catch((/** @type {any} */ error) => error)
  assert.deepEqual([found.code, /^The argument 'value' /.test(found.message)], [VALUE, true])
})
