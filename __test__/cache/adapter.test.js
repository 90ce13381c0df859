// @ts-check
// @configurations every
// What PostgresCacheAdapter does with its entries. tables.test.js tests its tables and indexes.
'use strict'

const assert = require('node:assert/strict')
const net = require('node:net')
const { test } = require('node:test')
const { Pool } = require('pg')
const { PostgresCacheAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { afterWait, assertLastsToItsEnd, assertLease } = require('../support/leases.js')
const { untilWritesSweep } = require('../support/waiting.js')

const cacheTables = ['patterns', 'cleared', 'cleared_not', 'sized', 'pruned', 'swept', 'ordered', 'trips']
const database = useDatabase({ cacheTables })
const pool = database.then((db) => db.pool())

/** @param {import('goscope-postgres').PostgresCacheAdapterOptions} [options] */
async function cache(options) {
  return new PostgresCacheAdapter(await pool, options)
}

/** @param {string} key */
async function row(key) {
  return (await (await database).query('SELECT value, expires_at, xmin, ctid FROM cache WHERE key = $1', [key]))[0]
}

test('get, set, has and delete, under keyPrefix and key with nothing between them', async () => {
  const adapter = await cache({ keyPrefix: 'app:' })
  assert.equal(await adapter.get('k'), null)
  assert.equal(await adapter.has('k'), false)
  assert.equal(await adapter.set('k', { a: [1, null] }), undefined)
  assert.deepEqual(await adapter.get('k'), { a: [1, null] })
  assert.equal(await adapter.has('k'), true)
  assert.deepEqual((await row('app:k')).value, { a: [1, null] })
  await adapter.set('k', null)
  assert.equal(await adapter.get('k'), null)
  assert.equal(await adapter.has('k'), true)
  assert.equal(await adapter.delete('k'), undefined)
  assert.equal(await adapter.delete('k'), undefined)
  assert.equal(await adapter.has('k'), false)
})

test("TTLs: none for absent, null, 0 and Infinity, else by the server's clock; overwriting replaces them", async () => {
  const db = await database
  const adapter = await cache()
  for (const ttl of /** @type {any[]} */ ([undefined, null, 0, Infinity])) {
    const since = await db.clock()
    await adapter.set('ttl', 1, 60_000)
    await assertLease(db, 'cache', 'ttl', { ttl: 60_000, since })
    await adapter.set('ttl', 1, ttl)
    assert.equal((await row('ttl')).expires_at, null)
  }
  for (const ttl of [-1, Number.NaN, -Infinity]) {
    await assert.rejects(adapter.set('ttl:refused', 1, ttl), {
      name: 'RangeError',
      code: 'ERR_OUT_OF_RANGE',
      message: /ttl/,
    })
  }
  assert.equal(await row('ttl:refused'), undefined)
  for (const isThere of [async () => (await adapter.get('ttl')) === 1, () => adapter.has('ttl')]) {
    await adapter.set('ttl', 1, 300)
    await assertLastsToItsEnd(db, 'cache', 'ttl', isThere)
  }
})

for (const keyPrefix of [undefined, 'a_p%:', 'back\\slash:', 'st*r:']) {
  test(`keys: * is the wildcard, and %, _ and \\ are literal, keyPrefix ${keyPrefix}`, async () => {
    const adapter = await cache({ tableName: 'patterns', keyPrefix })
    await adapter.clear()
    const names = ['user:1', 'user:2', 'user_1', 'userx1', '100%', '100x', 'a\\b', 'ab', 'a*b', ' ', '%', '\\']
    await Promise.all(names.map((name) => adapter.set(name, 1)))
    await adapter.set('user:over', 1, 0.001)
    /** @type {[any, string[]][]} */
    const patterns = [
      [undefined, names],
      [null, names],
      ['*', names],
      ['user:*', ['user:1', 'user:2']],
      ['*:*', ['user:1', 'user:2']],
      ['user_1', ['user_1']],
      ['user_*', ['user_1']],
      ['100%', ['100%']],
      ['*%', ['100%', '%']],
      ['a\\b', ['a\\b']],
      ['a*b', ['a\\b', 'ab', 'a*b']],
      ['a\\*', ['a\\b']],
      ['a\\', []],
      ['*\\', ['\\']],
      ['\\', ['\\']],
      ['%', ['%']],
      ['_', []],
      ['user', []],
      ['user:?', []],
      ['USER*', []],
    ]
    for (const [pattern, expected] of patterns) {
      assert.deepEqual((await adapter.keys(pattern)).sort(), expected.toSorted(), `pattern ${pattern}`)
    }
    if (keyPrefix) assert.deepEqual(await adapter.keys(`${keyPrefix}*`), [], 'the prefix is not part of a key')
  })
}

test('clear removes the entries under its prefix, and without a prefix everything in the table', async () => {
  const [all, one, two] = await Promise.all(
    ['', 'one:', 'one_'].map((keyPrefix) => cache({ tableName: 'cleared', keyPrefix })),
  )
  const others = await cache({ tableName: 'cleared_not' })
  await Promise.all([all, one, two, others].map((adapter) => adapter.set('k', 1)))
  assert.equal(await one.clear(), undefined)
  assert.deepEqual([await all.has('k'), await one.has('k'), await two.has('k')], [true, false, true])
  await all.clear()
  assert.deepEqual([await all.has('k'), await two.has('k'), await others.has('k')], [false, false, true])
})

test('stats: hits and misses are the gets of this instance, hitRatio their share', async () => {
  const adapter = await cache({ keyPrefix: 'stats:' })
  assert.deepEqual(await adapter.stats(), { hits: 0, misses: 0, size: 0, hitRatio: 0 })
  await adapter.set('null', null)
  await adapter.set('over', 1, 0.001)
  await Promise.all([adapter.get('null'), adapter.get('null'), adapter.get('missing'), adapter.get('null')])
  assert.deepEqual(await adapter.stats(), { hits: 3, misses: 1, size: 1, hitRatio: 0.75 })
  await adapter.get('over')
  await Promise.all([
    adapter.has('null'),
    adapter.has('missing'),
    adapter.keys(),
    adapter.delete('missing'),
    adapter.prune(),
  ])
  await assert.rejects(adapter.get(/** @type {any} */ ({})))
  assert.deepEqual(await adapter.stats(), { hits: 3, misses: 2, size: 1, hitRatio: 0.6 })
  const second = await cache({ keyPrefix: 'stats:' })
  assert.deepEqual(await second.stats(), { hits: 0, misses: 0, size: 1, hitRatio: 0 })
})

test('stats: size counts only the live entries under this prefix', async () => {
  const [all, prefixed, alike] = await Promise.all(
    ['', 'a_:', 'ab:'].map((keyPrefix) => cache({ tableName: 'sized', keyPrefix })),
  )
  await Promise.all(Array.from({ length: 7 }, (_, n) => prefixed.set(`${n}`, n)))
  await Promise.all(Array.from({ length: 4 }, (_, n) => alike.set(`${n}`, n, 60_000)))
  await (await database).query(`INSERT INTO sized (key, value, expires_at)
    SELECT 'a_:over' || n, '1', timezone('UTC', clock_timestamp()) - interval '1 second'
      FROM generate_series(1, 5) AS n`)
  assert.equal((await prefixed.stats()).size, 7)
  assert.equal((await alike.stats()).size, 4)
  assert.equal((await all.stats()).size, 11)
  assert.equal(typeof (await all.stats()).size, 'number')
})

test('prune removes the expired entries under its prefix, and returns their number', async () => {
  const [all, prefixed, alike] = await Promise.all(
    ['', 'a_:', 'ab:'].map((keyPrefix) => cache({ tableName: 'pruned', keyPrefix })),
  )
  assert.equal(await all.prune(), 0)
  await Promise.all([prefixed.set('endless', 1), prefixed.set('live', 1, 60_000), alike.set('live', 1, 60_000)])
  await (await database).query(`INSERT INTO pruned (key, value, expires_at)
    SELECT prefix || n, '1', timezone('UTC', clock_timestamp()) - interval '1 second'
      FROM generate_series(1, 100) AS n, (VALUES ('a_:'), ('ab:'), ('none')) AS of (prefix)`)
  assert.equal(await prefixed.prune(), 100)
  assert.equal(await prefixed.prune(), 0)
  assert.equal((await (await database).query('SELECT count(*)::int AS n FROM pruned'))[0].n, 203)
  assert.equal(await all.prune(), 200)
  assert.deepEqual(await all.keys(), ['a_:endless', 'a_:live', 'ab:live'])
})

test('expired rows are removed in bounded batches as a by-product of set', async () => {
  const adapter = await cache({ tableName: 'swept' })
  await adapter.set('live', 1, 60_000)
  await (await database).query(`INSERT INTO swept (key, value, expires_at)
    SELECT 'old' || n, '1', timezone('UTC', clock_timestamp()) - interval '1 second' FROM generate_series(1, 2000) AS n`)
  let left = 2000
  for (let sets = 0; left > 0; sets++) {
    assert.ok(sets < 100, `${left} are left after ${sets} sets`)
    await untilWritesSweep()
    await adapter.set('endless', sets)
    const [{ n }] = await (await database).query("SELECT count(*)::int AS n FROM swept WHERE key LIKE 'old%'")
    assert.ok(n < left && left - n <= 600, `${left - n} went at once`)
    left = n
  }
  assert.deepEqual(await adapter.keys(), ['endless', 'live'])
})

test('expiry is computed after the wait for an insert that is rolled back', async () => {
  const db = await database
  const adapter = await cache()
  await adapter.initialize()
  const holder = await db.hold("INSERT INTO cache (key, value) VALUES ('rolled-back', '1')")
  const { since } = await afterWait(db, holder, 'rollback', () => adapter.set('rolled-back', 'new', 60_000))
  // An entry may lose this much of its TTL while its insert waits.
  await assertLease(db, 'cache', 'rolled-back', { ttl: 60_000, since, tolerance: 50 })
})

test('calls keep their order, also those on the whole table', async () => {
  const adapter = await cache({ tableName: 'ordered' })
  const [, first, , listed, stats, , empty, pruned, , last] = await Promise.all([
    adapter.set('a', 1),
    adapter.get('a'),
    adapter.set('b', 2),
    adapter.keys(),
    adapter.stats(),
    adapter.clear(),
    adapter.keys(),
    adapter.prune(),
    adapter.set('a', 3),
    adapter.get('a'),
  ])
  assert.deepEqual([first, listed, stats.size, empty, pruned, last], [1, ['a', 'b'], 2, [], 0, 3])
})

test('reads write nothing', async () => {
  const adapter = await cache()
  await adapter.set('read', 1, 60_000)
  const { xmin, ctid } = await row('read')
  assert.equal(await adapter.get('read'), 1)
  assert.equal(await adapter.has('read'), true)
  await adapter.stats()
  const after = await row('read')
  assert.deepEqual([after.xmin, after.ctid], [xmin, ctid])
})

/** Forwards to the server, and counts the requests for an answer: each Sync or Query is a round trip. */
async function countingServer() {
  const target = new URL((await database).url)
  const counter = { trips: 0, url: '', stop: () => {} }
  /** @type {Set<net.Socket>} */
  const sockets = new Set()
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(target.port || 5432), target.hostname)
    let unread = Buffer.alloc(0)
    let started = false
    client.on('data', (data) => {
      unread = Buffer.concat([unread, data])
      // The first message has no type before its length.
      for (let at = started ? 1 : 0; unread.length >= at + 4; at = 1) {
        const length = at + unread.readInt32BE(at)
        if (unread.length < length) break
        if (started && 'SQ'.includes(String.fromCharCode(unread[0]))) counter.trips++
        started = true
        unread = unread.subarray(length)
      }
      upstream.write(data)
    })
    upstream.pipe(client)
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => {}))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  const url = new URL(target.href)
  url.hostname = '127.0.0.1'
  url.port = String(/** @type {net.AddressInfo} */ (server.address()).port)
  counter.url = url.href
  counter.stop = () => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return counter
}

test('get is one round trip', async () => {
  const counter = await countingServer()
  const counted = new Pool({ connectionString: counter.url, max: 1 })
  try {
    const adapter = new PostgresCacheAdapter(counted, { tableName: 'trips' })
    await adapter.initialize()
    await adapter.set('k', 1, 60_000)
    for (let n = 0; n < 5; n++) await adapter.get('k') // the statement is prepared
    const before = counter.trips
    for (let n = 0; n < 20; n++) assert.equal(await adapter.get('k'), 1)
    assert.equal(counter.trips - before, 20)
    // How one round trip appears in this count.
    await counted.query('SELECT 1')
    assert.equal(counter.trips - before, 21)
  } finally {
    await counted.end()
    counter.stop()
  }
})
