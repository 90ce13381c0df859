// @ts-check
// @configurations first
// What the page of `goscope-postgres ui --allow-changes` changes: exactly what it has shown, and only for its own pages.
'use strict'

const assert = require('node:assert/strict')
const { before, beforeEach, test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { Page, startPage } = require('../support/ui.js')

const database = useDatabase()

const HOUR = 3_600_000
const PREFIX = 'shop_%:'
const LONG = 'k'.repeat(5_000)

/** @type {Awaited<typeof database>} */
let db
/** @type {PostgresAdapter} */
let adapter
/** @type {PostgresIdempotencyAdapter} */
let results
/** @type {PostgresCacheAdapter} */
let cache
/** @type {Awaited<ReturnType<typeof startPage>>} */
let started
/** @type {Page} */
let page

before(async () => {
  db = await database
  const pool = db.pool({ connectionString: db.ownUrl })
  adapter = new PostgresAdapter(pool, { keyPrefix: PREFIX })
  results = new PostgresIdempotencyAdapter(pool, { keyPrefix: PREFIX })
  cache = new PostgresCacheAdapter(pool, { tableName: 'own' })
  await adapter.connect()
  await results.connect()
  await cache.initialize()
  started = await startPage(['--allow-changes', '--table', 'own'], { DATABASE_URL: db.ownUrl })
  page = started.page
})

beforeEach(() =>
  db.query('TRUNCATE go_goscope_locks, go_goscope_circuit, go_goscope_cache, go_goscope_idempotency, own'),
)

/**
 * Looks at a change, and makes it.
 *
 * @param {Record<string, string>} wanted
 */
async function make(wanted) {
  const { seen, failure, ...preview } = await page.preview(wanted)
  assert.equal(failure, undefined)
  const answer = await page.change({ ...wanted, seen })
  return { preview, status: answer.status, made: answer.json() }
}

test('release: shows the holder, frees the lock, and leaves one alone that has changed hands', async () => {
  const wanted = { kind: 'release', storedKey: `${PREFIX}lock:nightly` }
  await adapter.acquire('nightly', HOUR, 'worker-1')
  const { preview, status, made } = await make(wanted)
  assert.deepEqual([preview.key, preview.keyPrefix, preview.button], ['nightly', PREFIX, 'Release'])
  assert.match(preview.sentences.join(' '), /held by worker-1, and expires in \d+ min.* Its holder is not notified/)
  assert.deepEqual([status, made], [200, { done: 'Released', key: 'nightly' }])
  assert.ok(await adapter.acquire('nightly', HOUR, 'worker-2'))

  const { seen } = await page.preview(wanted)
  await adapter.forceRelease('nightly')
  await adapter.acquire('nightly', HOUR, 'worker-3')
  const late = await page.change({ ...wanted, seen })
  assert.equal(late.status, 409)
  assert.match(late.json().failure.message, /Nothing was changed/)
  assert.equal((await adapter.holder('nightly'))?.owner, 'worker-3')

  await adapter.forceRelease('nightly')
  assert.match((await page.preview(wanted)).failure.message, /not there any more/)
})

test('release of a claim: another process may do the work', async () => {
  /** @type {(value: string) => void} */
  let finish = () => {}
  const first = results.run('order-1', () => new Promise((resolve) => (finish = resolve))).catch(() => {})
  await untilClaimed()
  const { made } = await make({ kind: 'release-claim', storedKey: `${PREFIX}run:order-1` })
  assert.deepEqual(made, { done: 'Released', key: 'order-1' })
  assert.equal((await page.rows('claims')).rows.length, 0)
  finish('late')
  await first
})

async function untilClaimed() {
  while ((await page.rows('claims')).rows.length === 0);
}

test('reset: a breaker is closed, without failures, and its times stay', async () => {
  await adapter.recordSuccess('payments')
  for (let failure = 0; failure < 3; failure++) await adapter.recordFailure('payments', 3)
  const before = await adapter.getState('payments')
  assert.equal(before?.state, 'open')
  const { preview, made } = await make({ kind: 'reset', storedKey: `${PREFIX}circuit:payments` })
  assert.match(preview.sentences.join(' '), /It is open, with 3 failures\..*becomes closed, with 0 failures/)
  assert.equal(made.done, 'Reset')
  assert.deepEqual(await adapter.getState('payments'), { ...before, state: 'closed', failureCount: 0 })
})

test('a breaker that has failed once more since it was shown is left alone', async () => {
  await adapter.recordFailure('mail', 1)
  const wanted = { kind: 'reset', storedKey: `${PREFIX}circuit:mail` }
  const { seen } = await page.preview(wanted)
  await adapter.recordFailure('mail', 1)
  assert.equal((await page.change({ ...wanted, seen })).status, 409)
  assert.equal((await adapter.getState('mail'))?.state, 'open')
})

test('delete: a cached value, one in a table of its own, and a result, and nothing beside them', async () => {
  await adapter.set('a', 1)
  await adapter.set('b', 2, HOUR)
  await cache.set('a', 1)
  await results.set('a', 1, HOUR)
  const { preview } = await make({ kind: 'delete-cached', storedKey: `${PREFIX}cache:b` })
  assert.match(preview.sentences.join(' '), /It has \d+ B, and expires in .* computes it again/)
  assert.deepEqual([await adapter.get('a'), await adapter.get('b'), await cache.get('a')], [1, null, 1])
  await make({ kind: 'delete-cached', storedKey: 'a', table: 'own' })
  assert.deepEqual([await adapter.get('a'), await cache.get('a')], [1, null])
  const result = await make({ kind: 'delete-result', storedKey: `${PREFIX}a` })
  assert.match(result.preview.sentences.join(' '), /does its work once more/)
  assert.deepEqual([await results.get('a'), await adapter.get('a')], [null, 1])
})

test('keys of any kind: what looks like markup or a pattern, and one that is stored as a digest', async () => {
  for (const key of [
    '<img src=x onerror=alert(1)>',
    "'; DROP TABLE go_goscope_locks; --",
    '%',
    'ключ 漢字',
    '\u202e\x1b[2J',
  ]) {
    await adapter.acquire(key, HOUR, key)
    await adapter.acquire('another', HOUR, 'me')
    const { rows } = await page.rows('locks', { filter: key })
    const row = rows.find((/** @type {any} */ each) => each.key === key)
    assert.equal((await make({ kind: 'release', storedKey: row.storedKey })).made.key, key)
    assert.equal((await adapter.holder('another'))?.owner, 'me')
  }
  await adapter.set(LONG, 1)
  const [entry] = (await page.rows('cache')).rows
  assert.equal(entry.key, LONG)
  await make({ kind: 'delete-cached', storedKey: entry.storedKey })
  assert.equal(await adapter.has(LONG), false)
  // Its key is stored nowhere.
  await adapter.acquire(LONG, HOUR, 'me')
  const lock = (await page.rows('locks')).rows.find((/** @type {any} */ { key }) => key === null)
  assert.match(
    (await page.preview({ kind: 'release', storedKey: lock.storedKey })).failure.message,
    /key of this row is not known/,
  )
  assert.equal((await adapter.holder(LONG))?.owner, 'me')
})

test('a change needs the origin, the cookie, the token and the type of a page of this server', async () => {
  const wanted = { kind: 'release', storedKey: `${PREFIX}lock:kept` }
  await adapter.acquire('kept', HOUR, 'me')
  const { seen } = await page.preview(wanted)
  const status = async (/** @type {Record<string, string | undefined>} */ headers) =>
    (await page.change({ ...wanted, seen }, headers)).status
  for (const origin of ['https://evil.example', 'null', 'http://localhost:1', '', undefined])
    assert.equal(await status({ origin }), 403, origin)
  assert.equal(await status({ 'x-change-token': undefined }), 403)
  assert.equal(await status({ 'x-change-token': '' }), 403)
  assert.equal(await status({ 'x-change-token': 'a'.repeat(32) }), 403)
  assert.equal(await status({ 'content-type': undefined }), 415)
  assert.equal(await status({ 'content-type': 'text/plain' }), 415)
  assert.equal(await status({ 'content-type': 'application/x-www-form-urlencoded' }), 415)
  assert.equal(await status({ 'sec-fetch-site': 'cross-site' }), 403)
  assert.equal(await status({ host: 'evil.example' }), 421)
  assert.equal(await status({ cookie: '' }), 401)
  // Another browser that has been let in has a token of its own.
  const other = new Page(page.origin)
  await other.signIn(String(started.token))
  assert.equal(await status({ 'x-change-token': await other.changeToken() }), 403)
  for (const method of ['GET', 'PUT', 'DELETE']) assert.equal((await page.ask('/api/change', { method })).status, 405)
  assert.equal((await adapter.holder('kept'))?.owner, 'me')
  assert.equal(await status({}), 200)
})

test('what is to be changed is checked', async () => {
  for (const wanted of [
    {},
    [],
    { kind: 'drop', storedKey: 'k' },
    { kind: 'constructor', storedKey: 'k' },
    { kind: 'release' },
    { kind: 'release', storedKey: 1 },
    { kind: 'release', storedKey: 'a\0' },
    { kind: 'delete-cached', storedKey: 'k', table: 'pg_authid' },
    { kind: 'release', storedKey: 'x'.repeat(100_000) },
  ]) {
    assert.equal((await page.change(wanted)).status, 400, JSON.stringify(wanted).slice(0, 80))
  }
})
