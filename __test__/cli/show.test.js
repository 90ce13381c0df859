// @ts-check
// @configurations first
// `show` of the command: one lock, circuit breaker, cached value or checkpoint, with its whole value.
'use strict'

const assert = require('node:assert/strict')
const { before, test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')
const { noTerminal, runCommand, startOnTerminal } = require('../support/command.js')
const { useDatabase } = require('../support/database.js')

const [database, old] = [useDatabase(), useDatabase()]

const HOUR = 3_600_000
const LONG = 'k'.repeat(5_000)
/** Would clear the screen and set a colour. */
const HOSTILE = 'a\x1b[2Jb\x9b31mc\u202ed\u061ce\u200bf'
/** More digits than a JavaScript number has. */
const EXACT = '{"big": 12345678901234567890.125, "list": [1, {}], "text": "a\\u001b[2Jb\x9b31mc"}'

/** @type {string} */
let url

before(async () => {
  const db = await database
  url = db.ownUrl
  const pool = db.pool({ connectionString: url })
  const plain = new PostgresAdapter(pool)
  const shop = new PostgresAdapter(pool, { keyPrefix: 'shop_%:' })
  await plain.connect()
  for (const key of ['nightly', HOSTILE, LONG]) await plain.acquire(key, HOUR, 'worker-1')
  await shop.acquire('orders', HOUR, 'worker-2')
  await plain.recordFailure('payments', 1)
  await shop.recordFailure('stock', 5)
  await plain.set('small', { a: [1] }, HOUR)
  await plain.set(LONG, { long: true })
  await shop.set('shared', 'theirs')
  await plain.set('nothing', null)
  await db.query('INSERT INTO go_goscope_cache (key, value) VALUES ($1, $2)', ['cache:exact', EXACT])
  const cache = new PostgresCacheAdapter(pool, { tableName: 'Sessions' })
  await cache.initialize()
  await cache.set('s:1', [1])
  const checkpoint = { sequence: 1, timestamp: Date.now() - HOUR, progress: 40 }
  await plain.save({ ...checkpoint, id: 'i-1', taskId: 'import', data: { at: 1 } })
  await plain.save({
    ...checkpoint,
    id: 'i-2',
    taskId: 'import',
    sequence: 2,
    data: [2],
    estimatedTimeRemaining: 90_000,
  })
  await plain.save({ ...checkpoint, id: LONG, taskId: 't'.repeat(4_000), data: { deep: [{}] } })
  await shop.save({ ...checkpoint, id: 'x', taskId: 'export', data: 'x' })
  // After every sweep: this is the last write.
  await db.query(`INSERT INTO go_goscope_cache VALUES ('cache:old', '1', timezone('UTC', now()) - interval '1 hour')`)
})

/** @param {string[]} args */
const run = (...args) => runCommand(args, { DATABASE_URL: url })

/** @param {string[]} args */
async function jsonOf(...args) {
  const { code, stdout, stderr } = await run(...args, '--json')
  assert.deepEqual([code, stderr], [0, ''])
  return JSON.parse(stdout)
}

test('a lock', async () => {
  const { expiresAt, expiresInMs, ...lock } = await jsonOf('locks', 'show', 'nightly')
  const expected = { key: 'nightly', keyPrefix: '', storedKey: 'lock:nightly', owner: 'worker-1', state: 'held' }
  assert.deepEqual(lock, { ...expected, hasWaiters: null })
  assert.ok(expiresInMs > 0 && expiresInMs <= HOUR)
  assert.ok(Date.parse(expiresAt))
  const { code, stdout } = await run('locks', 'show', 'orders', '-p', 'shop_%:')
  assert.equal(code, 0)
  assert.match(stdout, /^key {9}orders\nowner {7}worker-2\nexpires in {2}\d\d min.*\n$/)
})

test('a key that is too long for an index is known, since it is given', async () => {
  assert.equal((await jsonOf('locks', 'show', LONG)).key, LONG)
  assert.deepEqual((await jsonOf('cache', 'show', LONG)).value, { long: true })
})

test('a circuit breaker', async () => {
  const circuit = await jsonOf('circuits', 'show', 'payments')
  assert.deepEqual([circuit.key, circuit.state, circuit.failureCount], ['payments', 'open', 1])
  assert.match((await run('circuits', 'show', 'payments')).stdout, /^state +open\nfailures +1\n/m)
})

test('a cached value: every number exactly, in text and as JSON', async () => {
  const text = (await run('cache', 'show', 'exact')).stdout
  assert.match(text, /^key +exact\nsize +\d+ B\nexpires in {2}never\n\n\{\n/)
  const json = (await run('cache', 'show', 'exact', '--json')).stdout
  for (const output of [text, json]) assert.match(output, /"big": 12345678901234567890\.125,\n/)
  const { value, ...entry } = JSON.parse(json)
  assert.deepEqual(value, JSON.parse(EXACT))
  assert.deepEqual([entry.key, entry.state, entry.expiresAt], ['exact', 'live', null])
  // As JSON.stringify writes it, in the document too.
  assert.equal(json.replace('12345678901234567890.125', '0').replace('\\u009b', '\x9b'), stringified(json))
  assert.deepEqual((await jsonOf('cache', 'show', 'nothing')).value, null)
  assert.deepEqual((await jsonOf('cache', 'show', 's:1', '--table', 'Sessions')).value, [1])
  assert.deepEqual((await jsonOf('cache', 'show', 'shared', '-p', 'shop_%:')).value, 'theirs')
})

/** @param {string} json */
const stringified = (json) => `${JSON.stringify(JSON.parse(json.replace('12345678901234567890.125', '0')), null, 2)}\n`

test('an entry that has expired is shown as expired', async () => {
  const { state, expiresInMs, value } = await jsonOf('cache', 'show', 'old')
  assert.deepEqual([state, value, expiresInMs < 0], ['expired', 1, true])
  assert.match((await run('cache', 'show', 'old')).stdout, /^expires in {2}expired 1 h.* ago$/m)
})

test('a checkpoint, by the id that the list shows', async () => {
  const { savedAt, savedAgoMs, bytes, ...checkpoint } = await jsonOf('checkpoints', 'show', 'i-2')
  const expected = {
    taskId: 'import',
    id: 'i-2',
    sequence: 2,
    progress: 40,
    estimatedTimeRemainingMs: 90_000,
    data: [2],
  }
  assert.deepEqual(checkpoint, expected)
  assert.ok(savedAgoMs >= HOUR && bytes > 0 && Date.parse(savedAt))
  const long = await jsonOf('checkpoints', 'show', LONG)
  assert.deepEqual([long.taskId, long.data], ['t'.repeat(4_000), { deep: [{}] }])
  assert.equal((await jsonOf('checkpoints', 'show', 'x', '-p', 'shop_%:')).data, 'x')
  assert.equal((await jsonOf('checkpoints', 'show', 'shop_%:x')).taskId, 'shop_%:export')
  const { stdout } = await run('checkpoints', 'show', 'i-1')
  assert.match(stdout, /^task +import\n.*progress +████░░░░░░ 40 %\n.*\n\{\n {2}"at": 1\n\}\n$/s)
})

test('control characters in keys, owners and values are escaped', async () => {
  for (const args of [
    ['locks', 'show', HOSTILE],
    ['locks', 'show', HOSTILE, '--json'],
    ['cache', 'show', 'exact'],
    ['cache', 'show', 'exact', '--json'],
    ['cache', 'show', HOSTILE],
  ]) {
    const { stdout, stderr } = await run(...args)
    assert.notEqual(stdout + stderr, '')
    assert.doesNotMatch(stdout + stderr, /(?!\n)[\p{Cc}\p{Cf}]/u)
  }
  assert.equal((await jsonOf('locks', 'show', HOSTILE)).key, HOSTILE)
})

for (const [args, message, hint] of /** @type {[string[], string, RegExp?][]} */ ([
  [['locks', 'show', 'orders'], "there is no lock 'orders'", /under the prefix 'shop_%:': see --key-prefix/],
  [['locks', 'show', 'order_'], "there is no lock 'order_'"],
  [['locks', 'show', 'nightly', '-p', 'shop__:'], "there is no lock 'nightly' under the prefix 'shop__:'", /prefix ''/],
  [['circuits', 'show', 'stock'], "there is no circuit breaker 'stock'", /under the prefix 'shop_%:'/],
  [['circuits', 'show', 'absent'], "there is no circuit breaker 'absent'"],
  [['cache', 'show', 'shared'], "there is no cached value 'shared'", /under the prefix 'shop_%:'/],
  [['cache', 'show', 's:2', '--table', 'Sessions'], "there is no cached value 's:2'"],
  [['checkpoints', 'show', 'import'], "there is no checkpoint 'import'", /a task of this id, .* newest .* 'i-2'/],
  [['checkpoints', 'show', 'i-3'], "there is no checkpoint 'i-3'"],
])) {
  test(`absent, exit code 1: ${args.join(' ')}`, async () => {
    for (const more of [[], ['--json'], ['--watch', '0.1']]) {
      const { code, stdout, stderr } = await run(...args, ...more)
      assert.deepEqual([code, stdout], [1, ''])
      const [first, second] = stderr.split('\n')
      assert.equal(first, `goscope-postgres: ${message}`)
      assert.match(second, hint ?? /^$/)
    }
  })
}

test('checkpoints --task of no task: exit code 1 and a message, on stderr', async () => {
  const absent = await run('checkpoints', '--task', 'absent')
  assert.deepEqual([absent.code, absent.stdout], [1, ''])
  assert.equal(absent.stderr, "There are no checkpoints of a task 'absent'\n")
  const json = await run('checkpoints', '--task', 'absent', '--json')
  assert.deepEqual([json.code, json.stdout, json.stderr], [1, '[]\n', absent.stderr])
  assert.match((await run('checkpoints', '--task', 'export')).stderr, /There is 'shop_%:export': see --key-prefix/)
  assert.match((await run('checkpoints', '-t', 'import', '-m', 'x*')).stderr, /'import' whose id is like 'x\*'/)
  assert.equal(
    (await run('checkpoints', '--task', 'a\nThere is b')).stderr,
    "There are no checkpoints of a task 'a\\nThere is b'\n",
  )
  assert.equal((await run('checkpoints', '--task', 'import')).code, 0)
  // No tasks at all are no failure.
  assert.equal((await run('checkpoints', '--match', 'absent*')).code, 0)
})

test('--watch of one row', { skip: noTerminal }, async () => {
  const watching = startOnTerminal(['locks', 'show', 'nightly', '--watch', '0.1'], { DATABASE_URL: url })
  const { until } = require('../support/waiting.js')
  await until('it is shown', () => /goscope-postgres locks show.*owner.*worker-1/s.test(watching.output.stdout))
  watching.type('\x03')
  assert.equal((await watching.ended).code, 0)
})

test('a TEXT column in place of JSONB: the JSON text as it is, and any other text as a string', async () => {
  const db = await old
  await db.query(
    'CREATE TABLE go_goscope_cache (key TEXT PRIMARY KEY, value TEXT, expires_at TIMESTAMP, accessed_at TIMESTAMP)',
  )
  await db.query(`INSERT INTO go_goscope_cache VALUES ('cache:json', '{"n":1.50}'), ('cache:text', 'not {json')`)
  const shown = async (/** @type {string} */ key) =>
    (await runCommand(['cache', 'show', key], { DATABASE_URL: db.ownUrl })).stdout
  assert.match(await shown('json'), /\n\{\n {2}"n": 1\.50\n\}\n$/)
  assert.match(await shown('text'), /\n"not \{json"\n$/)
})
