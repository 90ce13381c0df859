// @ts-check
// @configurations every
// PostgresAdapter.keys and clear: patterns, prefixes, what is listed and what is removed.
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()
const pool = database.then((db) => db.pool())

/** `clear` without a prefix removes everything, and `keys` without one reads much. So they use a separate database. */
const ownDatabase = useDatabase()

/** @param {string} [keyPrefix] */
async function cache(keyPrefix) {
  return new PostgresAdapter(await pool, { keyPrefix })
}

const NAMES = ['user:1', 'user:2', 'user_1', 'userx1', '100%', '100x', 'a\\b', 'axb', 'ü:1', '🙂:1', ' ', 'user:1\n']

/** What SQL's LIKE makes of each pattern. @type {[any, string[]][]} */
const PATTERNS = [
  [undefined, NAMES],
  [null, NAMES],
  ['%', NAMES],
  ['user:1', ['user:1']],
  ['user:%', ['user:1', 'user:2', 'user:1\n']],
  ['user_1', ['user:1', 'user_1', 'userx1']],
  ['user\\_1', ['user_1']],
  ['100_', ['100%', '100x']],
  ['100\\%', ['100%']],
  ['%\\%%', ['100%']],
  ['a\\\\b', ['a\\b']],
  ['a\\xb', ['axb']],
  ['%1', ['user:1', 'user_1', 'userx1', 'ü:1', '🙂:1']],
  ['_:1', ['ü:1', '🙂:1']],
  ['__:1', []],
  ['_', [' ']],
  ['USER:%', []],
  ['*', []],
  ['user:[12]', []],
  ["x' OR '1'='1", []],
]

for (const keyPrefix of [undefined, 'app:', 'a_p%:', 'back\\slash:', "it's:"]) {
  test(`keys applies SQL's LIKE patterns to the keys as given, keyPrefix ${keyPrefix}`, async () => {
    const adapter = new PostgresAdapter((await ownDatabase).pool({ max: 2 }), { keyPrefix })
    await adapter.clear()
    await Promise.all(NAMES.map((name) => adapter.set(name, name)))
    for (const [pattern, expected] of PATTERNS) {
      assert.deepEqual((await adapter.keys(pattern)).sort(), expected.toSorted(), `pattern ${pattern}`)
    }
    for (const hidden of ['cache:%', '%cache:%', ...(keyPrefix ? [`${keyPrefix}%`] : [])]) {
      assert.deepEqual(await adapter.keys(hidden), [], `neither prefix nor namespace is part of a key: ${hidden}`)
    }
  })
}

test('a pattern that ends in a lone backslash rejects as in SQL, and affects no other call', async () => {
  const adapter = await cache('lone:')
  await adapter.set('abc', 1)
  const results = await Promise.allSettled([
    adapter.get('abc'),
    adapter.keys('ab\\'),
    adapter.keys('ab_'),
    adapter.set('other', 2),
    adapter.keys('\\'),
  ])
  assert.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code)),
    [1, '22025', ['abc'], undefined, '22025'],
  )
  assert.deepEqual(await adapter.keys('ab\\\\'), [])
})

test('expired keys are left out', async () => {
  const adapter = await cache('expired:')
  await adapter.set('endless', 1)
  await adapter.set('live', 1, 60_000)
  await adapter.set('over', 1, 0.001)
  await (await database).query(`INSERT INTO go_goscope_cache VALUES
    ('expired:cache:long over', '1', timezone('UTC', clock_timestamp()) - interval '1 millisecond')`)
  await sleep(1)
  assert.deepEqual(await adapter.keys(), ['endless', 'live'])
  assert.deepEqual(await adapter.keys('%over'), [])
})

test('a key with a null is listed', async () => {
  const adapter = await cache('nulls:')
  await adapter.set('null', null)
  assert.deepEqual(await adapter.keys(), ['null'])
})

test('keys of other prefixes are not listed, with or without a prefix', async () => {
  const own = (await ownDatabase).pool({ max: 2 })
  const adapters = ['', 'a:', 'a', 'a:b:', 'ca', 'cach'].map((keyPrefix) => new PostgresAdapter(own, { keyPrefix }))
  await adapters[0].clear()
  await Promise.all(adapters.map((adapter, n) => adapter.set(`of ${n}`, n)))
  for (const [n, adapter] of adapters.entries()) {
    assert.deepEqual(await adapter.keys(), [`of ${n}`])
    assert.deepEqual(await adapter.keys('%'), [`of ${n}`])
  }
})

test('clear removes the entries of its prefix, and nothing else', async () => {
  const adapters = await Promise.all(['one:', 'one', 'one:two:', 'two:', ''].map(cache))
  const [cleared, ...others] = adapters
  await Promise.all(adapters.map((adapter, n) => adapter.set('cleared?', n, 60_000)))
  assert.equal(await cleared.clear(), undefined)
  assert.deepEqual(await cleared.keys(), [])
  assert.equal(await cleared.get('cleared?'), null)
  for (const [n, adapter] of others.entries()) assert.equal(await adapter.get('cleared?'), n + 1)
  assert.equal(await cleared.clear(), undefined)
})

test('clear without a prefix removes all cached values, of every prefix, and only these', async () => {
  const own = (await ownDatabase).pool({ max: 2 })
  const plain = new PostgresAdapter(own)
  const prefixed = new PostgresAdapter(own, { keyPrefix: 'app:' })
  for (const adapter of [plain, prefixed]) {
    await adapter.connect()
    await adapter.set('value', 1)
    await adapter.acquire('lock', 60_000, 'me')
    await adapter.recordFailure('circuit', 5)
    await adapter.save({ id: 'checkpoint', taskId: 'task', sequence: 1, timestamp: 1, progress: 1, data: 1 })
  }
  await plain.clear()
  const counts = await (await ownDatabase).query(`
    SELECT (SELECT count(*)::int FROM go_goscope_cache) AS cache, (SELECT count(*)::int FROM go_goscope_locks) AS locks,
           (SELECT count(*)::int FROM go_goscope_circuit) AS circuits,
           (SELECT count(*)::int FROM go_goscope_checkpoints) AS checkpoints`)
  assert.deepEqual(counts, [{ cache: 0, locks: 2, circuits: 2, checkpoints: 2 }])
})

test('clear with a prefix leaves locks, circuits and checkpoints of the same prefix alone', async () => {
  const adapter = await cache('mixed:')
  await adapter.set('value', 1)
  const lock = await adapter.acquire('lock', 60_000)
  await adapter.recordFailure('circuit', 5)
  await adapter.save({ id: 'checkpoint', taskId: 'task', sequence: 1, timestamp: 1, progress: 1, data: 1 })
  await adapter.clear()
  assert.equal(await adapter.has('value'), false)
  assert.equal(await lock?.isValid(), true)
  assert.equal((await adapter.getState('circuit'))?.failureCount, 1)
  assert.equal((await adapter.load('checkpoint'))?.data, 1)
})

test('clear keeps its place among the calls on the keys, and keys sees all earlier calls', async () => {
  const adapter = await cache('order:')
  const [, , , listed, , empty, , , last] = await Promise.all([
    adapter.set('a', 1),
    adapter.set('b', 2),
    adapter.set('a', 3),
    adapter.keys(),
    adapter.clear(),
    adapter.keys(),
    // It waits for the earlier keys calls. A write of a key would not.
    adapter.clear(),
    adapter.set('c', 4),
    adapter.keys(),
  ])
  assert.deepEqual([listed, empty, last], [['a', 'b'], [], ['c']])
})
