// @ts-check
// @configurations first
// The command's output about tables: exact for programs, and safe on a terminal, which must not obey stored keys.
'use strict'

const assert = require('node:assert/strict')
const { before, test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { noTerminal, runCommand, startOnTerminal } = require('../support/command.js')
const { useDatabase } = require('../support/database.js')

const [database, zoned, empty] = Array.from({ length: 3 }, () => useDatabase())

const HOUR = 3_600_000
/** Would clear the screen, set a colour, reverse the line, move the cursor back, and end the line. */
const HOSTILE = 'a\x1b[2Jb\x9b31mc\u202ed\re\nf\x07'
const LONG = 'k'.repeat(5_000)

/** @type {string} */
let url

before(async () => {
  const db = await database
  url = db.ownUrl
  const pool = db.pool({ connectionString: url })
  const plain = new PostgresAdapter(pool)
  const shop = new PostgresAdapter(pool, { keyPrefix: 'shop_%:' })
  await plain.connect()
  await plain.acquire('nightly', HOUR, 'worker-1')
  await plain.acquire(HOSTILE, HOUR, HOSTILE)
  await plain.acquire('漢字', HOUR, '👩‍👩‍👧')
  await plain.acquire(LONG, HOUR, 'long')
  await shop.acquire('nightly', 2 * HOUR, 'worker-2')
  // After every sweep: this is the last write.
  await db.query(`INSERT INTO go_goscope_locks VALUES ('lock:old', 'gone', timezone('UTC', now()) - interval '1 hour')`)

  await plain.recordFailure('payments', 1)
  await plain.setState('mail', { state: 'half-open', failureCount: 7, lastFailureTime: Date.now() + 2 * HOUR })
  await shop.recordSuccess('stock')

  for (const sequence of [1, 2, 3]) {
    const at = Date.now() - (4 - sequence) * HOUR
    await plain.save({
      id: `i-${sequence}`,
      taskId: 'import',
      sequence,
      timestamp: at,
      progress: sequence * 20,
      data: sequence,
    })
  }
  const odd = { sequence: 1, timestamp: Date.now(), progress: 250, data: null, estimatedTimeRemaining: 90_000 }
  await plain.save({ id: LONG, taskId: 't'.repeat(4_000), ...odd })
  await shop.save({ id: 'x', taskId: 'export', ...odd })

  await plain.set('small', 1)
  await plain.set(
    'large',
    Array.from({ length: 2_000 }, (_, n) => n * 7919),
    HOUR,
  )
  await plain.set(LONG, 1)
  await shop.set('small', 1, HOUR)
  await db.query(`INSERT INTO go_goscope_cache VALUES ('cache:old', '1', timezone('UTC', now()) - interval '1 minute')`)

  const cache = new PostgresCacheAdapter(pool, { tableName: 'Sessions' })
  await cache.initialize()
  await cache.set('s:1', 1)

  const results = new PostgresIdempotencyAdapter(pool)
  await results.connect()
  await results.set('r', 1)
})

/** @param {string[]} args */
async function jsonOf(...args) {
  const { code, stdout, stderr } = await runCommand([...args, '--json'], { DATABASE_URL: url })
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout)
}

/** @param {string[]} args */
async function textOf(...args) {
  const { code, stdout, stderr } = await runCommand(args, { DATABASE_URL: url })
  assert.equal(code, 0, stderr)
  return stdout
}

/** @param {any[]} rows */
const keysOf = (rows) => rows.map(({ key }) => key)

test('locks --json', async () => {
  const locks = await jsonOf('locks')
  assert.deepEqual(keysOf(locks), [null, HOSTILE, 'nightly', '漢字', 'nightly'])
  const [long, , nightly, , shops] = locks
  const { expiresAt, expiresInMs, ...rest } = nightly
  assert.deepEqual(rest, {
    key: 'nightly',
    keyPrefix: '',
    storedKey: 'lock:nightly',
    owner: 'worker-1',
    state: 'held',
    hasWaiters: null,
  })
  assert.ok(expiresInMs > 0 && expiresInMs <= HOUR)
  assert.match(expiresAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  assert.ok(Math.abs(Date.parse(expiresAt) - Date.now() - HOUR) < HOUR / 2)
  assert.deepEqual([shops.keyPrefix, shops.storedKey], ['shop_%:', 'shop_%:lock:nightly'])
  assert.ok(long.storedKey.startsWith('lock:\u0001#'))
})

test('locks: expired locks, and selection by prefix, pattern and limit', async () => {
  const all = await jsonOf('locks', '--all')
  assert.equal(all.length, 6)
  const old = all.find((/** @type {any} */ { key }) => key === 'old')
  assert.equal(old.state, 'expired')
  assert.ok(old.expiresInMs < -HOUR + 60_000 && old.expiresInMs > -2 * HOUR)
  assert.deepEqual(keysOf(await jsonOf('locks', '--key-prefix', 'shop_%:')), ['nightly'])
  assert.deepEqual(await jsonOf('locks', '--key-prefix', 'shop__:'), [])
  assert.equal((await jsonOf('locks', '--key-prefix', '')).length, 4)
  assert.deepEqual(keysOf(await jsonOf('locks', '--match', 'night*')), ['nightly', 'nightly'])
  assert.deepEqual(await jsonOf('locks', '--match', 'night%'), [])
  assert.deepEqual(await jsonOf('locks', '--match', 'night'), [])
  const { stdout, stderr } = await runCommand(['locks', '--json', '--limit', '2'], { DATABASE_URL: url })
  assert.equal(JSON.parse(stdout).length, 2)
  assert.match(stderr, /More rows match than the 2 shown/)
  assert.equal((await runCommand(['locks', '--json', '--limit', '5'], { DATABASE_URL: url })).stderr, '')
})

test('locks: text output', async () => {
  const lines = (await textOf('locks', '--all')).split('\n')
  assert.match(lines[0], /^KEY +OWNER +EXPIRES IN$/)
  assert.match(lines.join('\n'), /^nightly +worker-1 +\d\d min( \d+ s)?$/m)
  assert.match(lines.join('\n'), /^shop_%: {2}nightly +worker-2 +1 h \d\d min$/m)
  assert.match(lines.join('\n'), /^old +gone +expired 1 h.* ago$/m)
  assert.match(lines.join('\n'), /^\(digest\) [\w-]{43} +long /m)
})

test('keys and owners never reach the terminal as control sequences', async () => {
  const views = [await textOf('locks'), (await runCommand(['locks', '--json'], { DATABASE_URL: url })).stdout]
  const { stderr } = await runCommand(['release', `${HOSTILE}?`, '--yes'], { DATABASE_URL: url })
  for (const text of [...views, stderr]) assert.doesNotMatch(text, /(?!\n)\p{Cc}|[\u202a-\u202e]/u)
  assert.ok(views[0].includes('a\\x1b[2Jb\\x9b31mc\\u202ed\\re\\nf\\x07'), views[0])
})

test('columns fit a terminal, wide characters counted twice', { skip: noTerminal }, async () => {
  const { stdout } = await startOnTerminal(['locks'], { DATABASE_URL: url, NO_COLOR: '1' }, { columns: 60 }).ended
  const lines = stdout.trimEnd().split('\r\n')
  for (const line of lines.slice(0, 3)) assert.ok(line.length <= 60, line)
  assert.match(stdout, /…/)
  const ends = (/** @type {string} */ line) =>
    line.replace(/漢字|👩‍👩‍👧/gu, (wide) => (wide === '漢字' ? '....' : '..')).length
  const wide = lines.find((line) => line.startsWith('漢字')) ?? ''
  assert.equal(ends(wide), lines[0].length, `${lines[0]}\n${wide}`)
})

test('colours are printed only if they are wanted', { skip: noTerminal }, async () => {
  const coloured = /\p{Cc}\[31mopen/u
  const env = { DATABASE_URL: url }
  assert.doesNotMatch((await runCommand(['circuits'], env)).stdout, coloured)
  assert.match((await runCommand(['circuits'], { ...env, FORCE_COLOR: '1' })).stdout, coloured)
  assert.match((await startOnTerminal(['circuits'], env).ended).stdout, coloured)
  assert.doesNotMatch((await startOnTerminal(['circuits'], { ...env, NO_COLOR: '1' }).ended).stdout, coloured)
  assert.doesNotMatch((await startOnTerminal(['circuits'], { ...env, TERM: 'dumb' }).ended).stdout, coloured)
})

test('circuits', async () => {
  const circuits = await jsonOf('circuits')
  assert.deepEqual(
    circuits.map((/** @type {any} */ { key, state, failureCount }) => [key, state, failureCount]),
    [
      ['payments', 'open', 1],
      ['mail', 'half-open', 7],
      ['stock', 'closed', 0],
    ],
  )
  const [payments, mail, stock] = circuits
  assert.ok(payments.lastFailureAgoMs >= 0 && payments.lastFailureAgoMs < HOUR)
  assert.deepEqual([payments.lastSuccessAt, payments.lastSuccessAgoMs], [null, null])
  assert.ok(mail.lastFailureAgoMs < 0)
  assert.deepEqual([stock.keyPrefix, stock.storedKey], ['shop_%:', 'shop_%:circuit:stock'])
  assert.deepEqual(keysOf(await jsonOf('circuits', '--state', 'open')), ['payments'])
  assert.deepEqual(keysOf(await jsonOf('circuits', '-m', '*a*')), ['payments', 'mail'])
  const text = await textOf('circuits')
  assert.match(text, /^payments +open +1 +\d.* ago +–$/m)
  assert.match(text, /^mail +half-open +7 +in 1 h \d+ min +–$/m)
  assert.equal(await textOf('circuits', '-p', 'nobody', '-s', 'open'), 'No circuit breakers are open.\n')
})

test('checkpoints: the newest of each task, and all of one task', async () => {
  const tasks = await jsonOf('checkpoints')
  assert.deepEqual(
    tasks.map((/** @type {any} */ { taskId, id, checkpoints }) => [taskId, id, checkpoints]),
    [
      ['import', 'i-3', 3],
      ['shop_%:export', 'shop_%:x', 1],
      ['t'.repeat(4_000), LONG, 1],
    ],
  )
  assert.deepEqual([tasks[0].sequence, tasks[0].progress, tasks[0].estimatedTimeRemainingMs], [3, 60, null])
  assert.ok(Math.abs(tasks[0].savedAgoMs - HOUR) < HOUR / 2)
  const all = await jsonOf('checkpoints', '--task', 'import')
  assert.deepEqual(
    all.map((/** @type {any} */ { id }) => id),
    ['i-3', 'i-2', 'i-1'],
  )
  const [shops] = await jsonOf('checkpoints', '-p', 'shop_%:')
  assert.deepEqual([shops.taskId, shops.id], ['export', 'x'])
  const text = await textOf('checkpoints')
  assert.match(text, /^import +i-3 +3 +██████░░░░ 60 % +(1 h|59 min).* ago +– +\d+ B +3$/m)
  assert.match(text, /^shop_%:export .* ██████████ 250 % .* 1 min 30 s +/m)
})

test('cache: counts, sizes and the largest entries', async () => {
  const cache = await jsonOf('cache')
  assert.deepEqual([cache.table, cache.live, cache.withoutExpiry, cache.expired], ['public.go_goscope_cache', 4, 2, 1])
  assert.equal(cache.largest[0].key, 'large')
  assert.equal(
    cache.bytes,
    Number((await (await database).query('SELECT sum(pg_column_size(value)) AS n FROM go_goscope_cache'))[0].n),
  )
  assert.ok(cache.largest.some((/** @type {any} */ { key }) => key === LONG))
  assert.equal((await jsonOf('cache', '-p', 'shop_%:')).live, 1)
  assert.match(await textOf('cache'), /^live +4, of which 2 without expiry$/m)
})

test('cache --keys', async () => {
  assert.deepEqual(keysOf(await jsonOf('cache', '--keys', '-p', '')), [LONG, 'large', 'small'])
  const all = await jsonOf('cache', '--keys', '--all', '-p', '')
  assert.deepEqual(
    all.map((/** @type {any} */ { key, state }) => [key, state]),
    [
      [LONG, 'live'],
      ['large', 'live'],
      ['old', 'expired'],
      ['small', 'live'],
    ],
  )
  assert.deepEqual(keysOf(await jsonOf('cache', '--keys', '-m', 'k*k')), [LONG])
  assert.match(await textOf('cache', '--keys'), /^small +\d+ B +never$/m)
})

test('cache --table: the table of a PostgresCacheAdapter, under its exact name', async () => {
  assert.equal((await jsonOf('cache', '--table', 'Sessions')).table, 'public.Sessions')
  assert.deepEqual(keysOf(await jsonOf('cache', '--table', 'public.Sessions', '--keys')), ['s:1'])
  const missing = await runCommand(['cache', '--table', 'sessions'], { DATABASE_URL: url })
  assert.equal(missing.code, 1)
  assert.match(missing.stderr, /"sessions" does not exist \(42P01\)/)
})

test('status', async () => {
  const { server, tables, connections } = await jsonOf('status')
  assert.deepEqual(
    tables.map((/** @type {any} */ { name, rows, counts }) => [
      name,
      rows,
      counts.held ?? counts.open ?? counts.live ?? counts.tasks,
    ]),
    [
      ['go_goscope_locks', 6, 5],
      ['go_goscope_circuit', 3, 1],
      ['go_goscope_cache', 5, 4],
      ['go_goscope_checkpoints', 5, 3],
      ['go_goscope_idempotency', 1, 1],
    ],
  )
  assert.ok(server.versionNumber >= 130_000)
  assert.ok(connections.total >= 1 && connections.max >= connections.total)
  const text = await textOf('status')
  assert.match(text, /^go_goscope_locks +6 +[\d.]+ KiB +5 held, 1 expired$/m)
  assert.match(text, /^go_goscope_circuit +3 +[\d.]+ KiB +1 open, 1 half-open, 1 closed$/m)
  assert.match(text, /^server +PostgreSQL \d+/m)
})

test('status does not count a large table, and marks the number as an estimate', async () => {
  const db = await empty
  await new PostgresAdapter(db.pool({ connectionString: db.ownUrl })).connect()
  await db.query(`INSERT INTO go_goscope_locks
    SELECT 'lock:' || n, 'o', now() + interval '1 hour' FROM generate_series(1, 201000) AS n`)
  await db.query('ANALYZE go_goscope_locks')
  const { stdout } = await runCommand(['status'], { DATABASE_URL: db.ownUrl })
  // An estimate, which autovacuum can renew at any time.
  assert.match(stdout, /^go_goscope_locks +~\d{3},\d{3} +\d+(\.\d)? MiB +too large to count$/m)
  await db.query('TRUNCATE go_goscope_locks')
})

test('empty tables are reported as empty', async () => {
  const db = await empty
  await new PostgresAdapter(db.pool({ connectionString: db.ownUrl })).connect()
  const run = async (/** @type {string[]} */ ...args) => (await runCommand(args, { DATABASE_URL: db.ownUrl })).stdout
  assert.equal(await run('locks'), 'No locks are held.\n')
  assert.equal(await run('locks', '--json'), '[]\n')
  assert.equal(await run('circuits'), 'No circuit breakers.\n')
  assert.equal(await run('checkpoints'), 'No checkpoints.\n')
  assert.equal(await run('cache', '--keys'), 'No entries.\n')
  assert.match(await run('cache'), /^live +0, of which 0 without expiry$/m)
})

test('other column types, and a server in another time zone, give the same times', async () => {
  const db = await zoned
  await db.query(
    'CREATE TABLE go_goscope_locks (key VARCHAR(255) PRIMARY KEY, owner VARCHAR(255), expires_at TIMESTAMPTZ)',
  )
  const adapter = new PostgresAdapter(db.pool({ connectionString: db.ownUrl, options: '-c TimeZone=Asia/Tokyo' }))
  await adapter.connect()
  await adapter.acquire('k', HOUR, 'me')
  await adapter.acquire('never', HOUR, 'me')
  await db.query("UPDATE go_goscope_locks SET expires_at = 'infinity' WHERE key = 'lock:never'")
  for (const TZ of ['UTC', 'America/New_York']) {
    const { stdout } = await runCommand(['locks', '--json'], { DATABASE_URL: db.ownUrl, TZ })
    const [k, never] = JSON.parse(stdout)
    assert.ok(k.expiresInMs > 0 && k.expiresInMs <= HOUR)
    assert.ok(Math.abs(Date.parse(k.expiresAt) - Date.now() - HOUR) < HOUR / 2)
    assert.deepEqual([never.state, never.expiresAt, never.expiresInMs], ['held', null, null])
  }
})

test('locks: a permit of a semaphore is shown by its number', async () => {
  const pool = (await database).pool()
  const lease = await new PostgresAdapter(pool).semaphore('uploads', 2).acquire({ ttl: HOUR, renew: false })
  assert.match(await textOf('locks', '--key-prefix', ''), /uploads \(permit 1\)/)
  const row = (await jsonOf('locks')).find((/** @type {any} */ { owner }) => owner === lease.owner)
  assert.deepEqual([row.key, row.storedKey], [null, 'lock:\u0001#1:uploads'])
  await lease.release()
})
