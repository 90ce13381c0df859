// @ts-check
// @configurations every
// Options by name: a misspelling of a known name is refused, any other unknown name is ignored.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { KeyvStore } = require('goscope-postgres/keyv')
const { storageDriver } = require('goscope-postgres/unstorage')
const { rateLimiterOn } = require('../../lib/integrations/rate-limiter.js')
const { sessionStoreOn } = require('../../lib/integrations/session-store.js')
const { saverOn } = require('../../lib/langgraph/saver.js')
const { LatencyProducer, observePool, traceCalls } = require('goscope-postgres/opentelemetry')
const { toPrometheus } = require('goscope-postgres/prometheus')
const { Connections } = require('../../lib/nestjs/connections.js')
const { NAMES } = require('../../lib/options.js')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()
/** On base classes in place of those of libraries, which are not installed here. */
const SessionStore = sessionStoreOn(class {})
const PostgresRateLimiter = rateLimiterOn(class {}, class {})
const PostgresCheckpointSaver = saverOn({ BaseCheckpointSaver: class {} })
const CLASSES = {
  PostgresAdapter,
  PostgresCacheAdapter,
  PostgresIdempotencyAdapter,
  KeyvStore,
  PostgresCheckpointSaver,
  SessionStore,
}

/** @param {string} name */
const misspellings = (name) => [
  name.toUpperCase(),
  name.toLowerCase(),
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
  name.slice(1),
  `${name}s`,
  name.slice(0, -2) + name.at(-1) + name.at(-2),
  name.length > 8 ? name.slice(2) : name.slice(0, -1),
]

/** The calls that take options, by their name in lib/options.js. Each makes the call, or the adapter. */
const takers = async () => {
  const db = await database
  const adapter = new PostgresAdapter(db.pool())
  const cache = new PostgresCacheAdapter(db.pool())
  const results = new PostgresIdempotencyAdapter(db.pool())
  const never = () => assert.fail('it ran')
  const made = Object.entries(CLASSES).map(([name, Class]) => [
    name,
    async (/** @type {any} */ options) => new Class(db.pool(), options),
  ])
  return /** @type {[keyof typeof NAMES, (options: any) => Promise<any>][]} */ ([
    ...made,
    ['PostgresRateLimiter', async (options) => new PostgresRateLimiter(options)],
    ['storageDriver', async (options) => storageDriver({ source: db.pool(), ...options })],
    ['acquire', (options) => adapter.acquire('k', 1_000, 'me', options)],
    ['GoscopePostgresModule', async (options) => new Connections({ connection: db.pool(), ...options })],
    ['health', (options) => adapter.health(options)],
    ['lock', (options) => adapter.lock('k', { ttl: 1_000, ...options })],
    ['run', (options) => results.run('k', never, options)],
    ['keys', (options) => adapter.keys(options)],
    ['keys', (options) => cache.keys(options)],
    ['iterateKeys', async (options) => cache.iterateKeys(options)],
    ['list', (options) => adapter.list('t', options)],
    ['listTasks', (options) => adapter.listTasks(options)],
    ['iterateTasks', async (options) => adapter.iterateTasks(options)],
    ['clear', (options) => adapter.clear(options)],
    ['getOrSet', (options) => adapter.getOrSet('k', never, options)],
    ['getOrSet', (options) => cache.getOrSet('k', never, options)],
    ['breaker', async (options) => adapter.breaker('k', { maxFailures: 1, resetTimeout: 1, ...options })],
    ['runGuarded', async (options) => adapter.breaker('k', { maxFailures: 1, resetTimeout: 1 }).run(() => {}, options)],
    ['traceCalls', async (options) => traceCalls(options)()],
    ['observePool', async (options) => observePool(adapter, options)()],
    ['LatencyProducer', async (options) => new LatencyProducer(adapter, options)],
    ['toPrometheus', async (options) => toPrometheus(adapter.metrics(), options)],
  ])
}

test('a misspelling of an option is refused, and the error names the intended option', async () => {
  const all = await takers()
  assert.deepEqual([...new Set(all.map(([taker]) => taker))].sort(), Object.keys(NAMES).sort())
  let refused = 0
  for (const [taker, take] of all) {
    for (const name of NAMES[taker]) {
      for (const misspelt of misspellings(name).filter((each) => !NAMES[taker].includes(each))) {
        await assert.rejects(take({ [misspelt]: 'value' }), {
          name: 'TypeError',
          code: 'ERR_INVALID_ARG_VALUE',
          message: new RegExp(`'options.${misspelt}' is unknown; '${name}' is meant`),
        })
        refused++
      }
    }
  }
  console.log(`  ${refused} misspellings were refused`)
})

test('a misspelt keyPrefix makes no adapter, because its clear() would empty every cache', async () => {
  const db = await database
  const other = new PostgresAdapter(db.pool(), { keyPrefix: 'other:' })
  await other.set('k', 1)
  for (const name of ['keyprefix', 'prefix']) {
    assert.throws(() => new PostgresAdapter(db.pool(), /** @type {any} */ ({ [name]: 'mine:' })), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: new RegExp(`'options\\.${name}' is unknown; 'keyPrefix' is meant\\. Received 'mine:'`),
    })
  }
  assert.equal(await other.get('k'), 1)
})

test('any other unknown option is ignored, and so is an undefined one', async () => {
  const db = await database
  const options = /** @type {any} */ ({
    ...{ logger: console, timeout: 5, url: 'x', keyprefix: undefined, table: null, other: 1, retries: 3 },
    [Symbol('keyPrefix')]: 1,
  })
  for (const Class of Object.values(CLASSES)) new Class(db.pool(), options)
  const adapter = new PostgresAdapter(db.pool(), options)
  await (await adapter.lock('ignored', { ttl: 1_000, ...options })).release()
  assert.equal(await adapter.getOrSet('ignored', () => 1, options), 1)
  assert.equal(await new PostgresIdempotencyAdapter(db.pool()).run('ignored', () => 1, options), 1)
})
