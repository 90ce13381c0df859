// @ts-check
// @configurations last
// @without first: 100,000 rows in each table; here cli/ui and cli/ui-changes run
// What the page of `goscope-postgres ui` reads: pages of large tables, filters, live views, tables and servers that are away.
'use strict'

const assert = require('node:assert/strict')
const { before, test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { startProxy } = require('../support/proxy.js')
const { startPage } = require('../support/ui.js')
const { until } = require('../support/waiting.js')

const [database, empty] = [useDatabase(), useDatabase()]

const HOUR = 3_600_000
const ROWS = 100_000
/** Some of the rows of each table, by a part of their keys. */
const PART = 'k77'
const IN_PART = Array.from({ length: ROWS }, (_, n) => `k${n + 1}`).filter((key) => key.includes(PART)).length

/** Rows of many keys, made by the server. @type {Record<string, string>} */
const FILL = {
  locks: `INSERT INTO go_goscope_locks (key, owner, expires_at)
    SELECT 'big:lock:k'||n, 'w'||n%7, timezone('UTC', now()) + interval '1 day' + n * interval '1 s' FROM generate_series(1, ${ROWS}) AS n`,
  claims: `INSERT INTO go_goscope_locks (key, owner, expires_at)
    SELECT 'big:run:k'||n, 'w', timezone('UTC', now()) + interval '1 day' FROM generate_series(1, ${ROWS}) AS n`,
  circuits: `INSERT INTO go_goscope_circuit (key, state, failure_count)
    SELECT 'big:circuit:k'||n, (ARRAY['open', 'closed', 'half-open'])[1 + n % 3], n % 9 FROM generate_series(1, ${ROWS}) AS n`,
  cache: `INSERT INTO go_goscope_cache (key, value, expires_at)
    SELECT 'big:cache:k'||n, to_jsonb(repeat('x', n % 300)), CASE WHEN n % 2 = 0 THEN timezone('UTC', now()) + interval '1 day' END
      FROM generate_series(1, ${ROWS}) AS n`,
  tasks: `INSERT INTO go_goscope_checkpoints (id, task_id, sequence, timestamp, progress, data)
    SELECT 'c'||n, 'k'||n, 1, 0, 50, '{}' FROM generate_series(1, ${ROWS}) AS n`,
  results: `INSERT INTO go_goscope_idempotency (key, value) SELECT 'k'||n, '{}' FROM generate_series(1, ${ROWS}) AS n`,
}

/** @type {Awaited<typeof database>} */
let db
/** @type {import('pg').Pool} */
let pool

before(async () => {
  db = await database
  pool = db.pool({ connectionString: db.ownUrl })
  await new PostgresAdapter(pool).connect()
  await new PostgresIdempotencyAdapter(pool).connect()
  for (const sql of Object.values(FILL)) await db.query(sql)
  await db.query('ANALYZE')
})

/** @param {string[]} args */
const start = (...args) => startPage(args, { DATABASE_URL: db.ownUrl })

for (const [view, order, kept] of /** @type {[string, string, (row: any) => any][]} */ ([
  ['locks', 'key', ({ storedKey }) => storedKey],
  ['locks', 'expiry', ({ expiresAt }) => expiresAt],
  ['claims', 'key', ({ storedKey }) => storedKey],
  ['circuits', 'state', ({ state }) => ['open', 'half-open', 'closed'].indexOf(state)],
  ['tasks', 'key', ({ storedKey }) => storedKey],
  ['cache', 'size', ({ bytes }) => -bytes],
  ['cache', 'expiry', ({ expiresAt }) => expiresAt ?? 'never'],
  ['results', 'key', ({ storedKey }) => storedKey],
])) {
  test(`100,000 rows: ${view} by ${order}, page by page, each row once and in order`, async () => {
    const { page } = await start()
    /** @type {any[]} */
    const seen = []
    /** @type {Record<string, string>} */
    let after = {}
    let pages = 0
    for (;;) {
      const found = await page.rows(view, { filter: PART, order, rows: '200', ...after })
      assert.deepEqual(found.count, { rows: IN_PART, isMore: false })
      seen.push(...found.rows)
      pages++
      if (found.next === null) break
      after = { after: JSON.stringify(found.next) }
    }
    assert.equal(pages, Math.ceil(IN_PART / 200))
    assert.equal(new Set(seen.map(({ storedKey }) => storedKey)).size, IN_PART)
    const places = seen.map(kept)
    assert.deepEqual(
      places,
      places.toSorted((one, other) => (one < other ? -1 : one > other ? 1 : 0)),
    )
    const whole = await page.rows(view)
    assert.equal(whole.rows.length, 50)
    assert.ok(whole.count.rows >= ROWS && whole.count.rows < ROWS + 100, `${whole.count.rows}`)
  })
}

test('a filter is a part of the key or owner: %, _ and \\ match themselves, * is any text', async () => {
  const { page } = await start()
  const adapter = new PostgresAdapter(pool, { keyPrefix: 'lit%_\\:' })
  const keys = ['100%_\\done', '100%', 'under_score', 'underXscore', 'back\\slash', 'back/slash']
  for (const key of keys) await adapter.acquire(key, HOUR, `own_${key}%`)
  const found = async (/** @type {string} */ filter) =>
    (await page.rows('locks', { filter })).rows.map((/** @type {any} */ { key }) => key)
  assert.deepEqual(await found('100%_\\'), ['100%_\\done'])
  assert.deepEqual(await found('r_s'), ['under_score'])
  assert.deepEqual(await found('k\\s'), ['back\\slash'])
  assert.deepEqual(await found('under*score'), ['underXscore', 'under_score'])
  assert.deepEqual(await found('own_100%%'), ['100%'])
  assert.deepEqual(await found("'; DROP TABLE go_goscope_locks; --"), [])
  assert.deepEqual((await page.rows('locks', { filter: 'a\0b' })).failure.kind, 'refused')
})

test('--key-prefix shows only rows of that prefix, which is data and no pattern', async () => {
  const adapter = new PostgresAdapter(pool, { keyPrefix: 'p_%\\:' })
  await adapter.acquire('own', HOUR, 'me')
  await adapter.set('own', 1)
  const { page } = await start('--key-prefix', 'p_%\\:')
  for (const view of ['locks', 'cache']) {
    const { rows, count } = await page.rows(view)
    assert.deepEqual([rows.length, rows[0].key, count.rows], [1, 'own', 1], view)
  }
})

test('claims are not among the locks, nor locks among the claims', async () => {
  const { page } = await start()
  const results = new PostgresIdempotencyAdapter(pool, { keyPrefix: 'claims:' })
  const adapter = new PostgresAdapter(pool, { keyPrefix: 'claims:' })
  await adapter.acquire('run:a-lock', HOUR, 'me')
  await results.run('lock:a-run', async () => {
    const of = async (/** @type {string} */ view) =>
      (await page.rows(view, { filter: 'a-' })).rows.map((/** @type {any} */ { key }) => key)
    assert.deepEqual(await of('locks'), ['run:a-lock'])
    assert.deepEqual(await of('claims'), ['lock:a-run'])
  })
})

test('a task has its rate by the checkpoints that are kept, and its end by the application or by that rate', async () => {
  const { page } = await start()
  const adapter = new PostgresAdapter(pool, { keyPrefix: 'rates:' })
  const now = Date.now()
  const save = (/** @type {string} */ taskId, /** @type {number} */ sequence, /** @type {any} */ rest) =>
    adapter.save({
      id: `${taskId}-${sequence}`,
      taskId,
      sequence,
      timestamp: now - (4 - sequence) * 60_000,
      data: 1,
      ...rest,
    })
  for (const sequence of [1, 2, 3]) await save('steady', sequence, { progress: 10 * sequence })
  await save('estimated', 1, { progress: 10 })
  await save('estimated', 2, { progress: 20, estimatedTimeRemaining: 5_000 })
  await save('single', 1, { progress: 5 })
  await save('done', 1, { progress: 100 })
  const { rows } = await page.rows('tasks', { filter: 'rates:' })
  const of = (/** @type {string} */ name) => rows.find((/** @type {any} */ { taskId }) => taskId === `rates:${name}`)
  assert.deepEqual([of('steady').progressPerHour, of('steady').checkpoints], [600, 3])
  // 70 % are left, at 10 % a minute.
  assert.equal(Date.parse(of('steady').endsAt), now - 60_000 + 7 * 60_000)
  assert.equal(of('steady').estimatedBy, 'rate')
  assert.equal(Date.parse(of('estimated').endsAt), now - 2 * 60_000 + 5_000)
  assert.equal(of('estimated').estimatedBy, 'application')
  assert.deepEqual([of('single').progressPerHour, of('single').endsAt], [null, null])
  assert.equal(Date.parse(of('done').endsAt), now - 3 * 60_000)

  const first = await page.rows('checkpoints', { task: 'rates:steady', rows: '2' })
  const second = await page.rows('checkpoints', { task: 'rates:steady', rows: '2', after: JSON.stringify(first.next) })
  const sequences = [...first.rows, ...second.rows].map(({ sequence }) => sequence)
  assert.deepEqual([sequences, second.next], [[3, 2, 1], null])
})

test('the table of a PostgresCacheAdapter, if --table names it', async () => {
  const cache = new PostgresCacheAdapter(pool, { tableName: 'Own "cache"' })
  await cache.initialize()
  await cache.set('a', 1)
  const { page } = await start('--table', 'Own "cache"', '--table', 'another')
  assert.deepEqual((await page.ask('/api/session')).json().caches, ['Own "cache"', 'another'])
  assert.deepEqual(
    (await page.rows('cache', { table: 'Own "cache"' })).rows.map((/** @type {any} */ { key }) => key),
    ['a'],
  )
  assert.equal((await page.rows('cache', { table: 'another' })).failure.kind, 'absent')
  assert.match((await page.rows('cache', { table: 'pg_authid' })).failure.message, /is not among the tables/)
})

test('what a page asks for is checked', async () => {
  const { page } = await start()
  for (const [view, selection] of /** @type {[string, Record<string, string>][]} */ ([
    ['constructor', {}],
    ['locks', { order: 'owner' }],
    ['locks', { rows: '201' }],
    ['locks', { rows: '0' }],
    ['locks', { after: '[1' }],
    ['locks', { after: '["0; DROP TABLE go_goscope_locks", "k"]' }],
    ['locks', { after: '[0, 1]' }],
    ['locks', { filter: 'x'.repeat(1_001) }],
    ['circuits', { state: "open' OR true" }],
    ['checkpoints', {}],
  ])) {
    const answer = await page.ask(`/api/rows?${new URLSearchParams({ view, ...selection })}`)
    assert.equal(answer.status, 400, answer.text)
    const stream = await page.ask(`/api/events?${new URLSearchParams({ view, ...selection })}`)
    assert.equal(stream.status, 400)
  }
})

test('a view is live: locks come and go, breakers keep the states that were seen', async () => {
  const { page } = await start()
  const adapter = new PostgresAdapter(pool, { keyPrefix: 'live:' })
  const stream = page.look('locks', { filter: 'seen-' })
  await until('rows', () => stream.last('locks')?.rows.length === 0)
  const lock = await adapter.acquire('seen-1', HOUR, 'me')
  await until('the lock is there', () => stream.last('locks').rows[0]?.owner === 'me')
  await lock?.release()
  await until('and gone', () => stream.last('locks').rows.length === 0)
  stream.close()

  const circuits = page.look('circuits', { filter: 'flapping' })
  const states = () => (circuits.last('circuits')?.rows[0]?.history ?? []).map((/** @type {any} */ { state }) => state)
  await adapter.recordSuccess('flapping')
  await until('it is closed', () => states().length === 1)
  await adapter.recordFailure('flapping', 1)
  await until('it is open', () => states().length === 2)
  circuits.close()
  // Another view: changes are followed there, too.
  const other = page.look('overview')
  await until('the overview', () => other.last('status') !== undefined)
  await adapter.recordSuccess('flapping')
  const reads = () => other.events.filter(({ event }) => event === 'server').length
  const before = reads()
  await until('the changes are read', () => reads() > before + 1)
  other.close()
  const [row] = (await page.rows('circuits', { filter: 'flapping' })).rows
  assert.deepEqual(
    row.history.map((/** @type {any} */ { state }) => state),
    ['closed', 'open', 'closed'],
  )
})

test('nothing is read while no page looks, and once for two pages that look at the same', async () => {
  const proxy = await startProxy(db.ownUrl)
  const { page } = await startPage([], { DATABASE_URL: proxy.url })
  const idle = proxy.messages.length
  const streams = [page.look('locks', { filter: 'none' }), page.look('locks', { filter: 'none' })]
  const count = () => streams.map(({ events }) => events.filter(({ event }) => event === 'locks').length)
  await until('both have rows, twice', () => count().every((number) => number >= 2))
  assert.ok(proxy.messages.length > idle)
  assert.ok(Math.abs(count()[0] - count()[1]) <= 1, `${count()}`)
  const last = streams.map(({ last }) => last('locks'))
  assert.deepEqual(last[0], last[1])
  for (const { close } of streams) close()
  // A read may be under way.
  await until('the last read is over', async () => {
    const before = proxy.messages.length
    await new Promise((resolve) => setTimeout(resolve, 5_000))
    return proxy.messages.length === before
  })
})

test('a database that goes away is shown, and the page goes on by itself when it is back', async () => {
  const proxy = await startProxy(db.ownUrl)
  const { page } = await startPage(['--connect-timeout', '2'], { DATABASE_URL: proxy.url })
  const stream = page.look('locks', { filter: 'none' })
  await until('rows', () => stream.last('locks')?.rows !== undefined)
  proxy.refuse()
  proxy.cutAll()
  await until('the failure', () => stream.last('locks').failure?.kind === 'unreachable')
  assert.match(stream.last('locks').failure.message, /ECONN/)
  proxy.refuse(false)
  await until('rows again', () => stream.last('locks').rows !== undefined)
  stream.close()
})

test('connections that fall silent are given up, and the page goes on by itself', async () => {
  const proxy = await startProxy(db.ownUrl)
  const { page } = await startPage([], { DATABASE_URL: proxy.url })
  const stream = page.look('locks', { filter: 'none' })
  const all = ['locks', 'locks-count']
  const areShown = () => all.every((name) => stream.last(name)?.rows !== undefined)
  await until('rows and their number', areShown)
  proxy.swallow()
  proxy.stopSwallowing()
  const given = () => stream.events.find(({ data }) => /Query read timeout/.test(data.failure?.message))
  await until('a read is given up', given)
  assert.match(given()?.data.failure.advice, /query_timeout=60000 in the URL/)
  await until('rows and their number again', areShown)
  stream.close()
})

test('a table that is not there is shown as that, until it is there', async () => {
  const { ownUrl } = await empty
  const { page } = await startPage([], { DATABASE_URL: ownUrl })
  for (const view of ['locks', 'claims', 'circuits', 'tasks', 'cache', 'results']) {
    const { failure } = await page.rows(view)
    assert.deepEqual([failure.kind, /does not exist/.test(failure.message)], ['absent', true], view)
  }
  const stream = page.look('locks')
  await until('it is absent', () => stream.last('locks')?.failure?.kind === 'absent')
  const adapter = new PostgresAdapter((await empty).pool({ connectionString: ownUrl }))
  await adapter.connect()
  await until('there are no rows', () => stream.last('locks').rows?.length === 0)
  stream.close()
})
