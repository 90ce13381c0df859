// @ts-check
// @configurations first
// `--sort`, `--reverse` and `--limit` of the lists: the server sorts and limits, with 100,000 rows in each table.
'use strict'

const assert = require('node:assert/strict')
const { before, test } = require('node:test')
const { PostgresAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { runCommand } = require('../support/command.js')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()
const ROWS = 100_000

/** @type {string} */
let url

// In each table, the order by any column is that of the number, or the opposite, and not that of the keys.
before(async () => {
  const db = await database
  url = db.ownUrl
  const pool = db.pool({ connectionString: url })
  await new PostgresAdapter(pool).connect()
  await new PostgresIdempotencyAdapter(pool).connect()
  const key = (/** @type {string} */ namespace) => `'${namespace}' || md5(n::text)`
  const later = "timezone('UTC', now()) + interval '1 day' + n * interval '1 second'"
  const earlier = "timezone('UTC', now()) - n * interval '1 second'"
  const rows = `FROM generate_series(1, ${ROWS}) AS n`
  await db.query(`
    INSERT INTO go_goscope_locks (key, owner, expires_at) SELECT ${key('lock:')}, to_char(n, 'FM000000'), ${later} ${rows};
    INSERT INTO go_goscope_circuit (key, state, failure_count, last_failure_time, last_success_time)
      SELECT ${key('circuit:')}, CASE WHEN n > ${ROWS / 2} THEN 'open' ELSE 'closed' END, n, ${earlier},
             CASE WHEN n > 10 THEN ${earlier} END ${rows};
    INSERT INTO go_goscope_cache (key, value, expires_at) SELECT ${key('cache:')}, '1', ${later} ${rows};
    INSERT INTO go_goscope_idempotency (key, value, expires_at) SELECT ${key('')}, '1', (${later}) AT TIME ZONE 'UTC' ${rows};
    INSERT INTO go_goscope_checkpoints (id, task_id, sequence, timestamp, progress, data, estimated_time_remaining)
      SELECT ${key('')}, md5('task' || n % 1000), n, n * 1000::int8, n / 1000.0, '1', CASE WHEN n > 10 THEN n END ${rows};
    UPDATE go_goscope_cache SET value = to_jsonb(repeat('x', 100)) WHERE key = 'cache:' || md5('7');
    ANALYZE`)
})

/** @param {string[]} args */
async function list(...args) {
  const { code, stdout, stderr } = await runCommand([...args, '--json'], { DATABASE_URL: url })
  assert.equal(code, 0, stderr)
  return { rows: JSON.parse(stdout), stderr }
}

/** The first rows, by a field. @param {string} field @param {string[]} args */
async function firstBy(field, ...args) {
  const { rows, stderr } = await list(...args, '--limit', '3')
  assert.equal(rows.length, 3)
  assert.match(stderr, /More rows match than the 3 shown: see --limit and --match/)
  return rows.map((/** @type {any} */ row) => row[field])
}

const LAST = [ROWS, ROWS - 1, ROWS - 2]
const owners = (/** @type {number[]} */ numbers) => numbers.map((n) => String(n).padStart(6, '0'))

test('locks, by each column and in both directions, in each form of a direction', async () => {
  assert.deepEqual(await firstBy('owner', 'locks', '--sort', 'expiry'), owners([1, 2, 3]))
  assert.deepEqual(await firstBy('owner', 'locks', '--sort', '-expiry'), owners(LAST))
  assert.deepEqual(await firstBy('owner', 'locks', '--sort', 'owner'), owners([1, 2, 3]))
  for (const descending of [['--sort', '-owner'], ['--sort=-owner'], ['--sort', 'owner', '--reverse']])
    assert.deepEqual(await firstBy('owner', 'locks', ...descending), owners(LAST), descending.join(' '))
  assert.deepEqual(await firstBy('owner', 'locks', '--sort', '-owner', '-r'), owners([1, 2, 3]))
})

test('the order of keys is the usual one; --reverse alone turns it round', async () => {
  for (const args of [['locks'], ['cache', 'list'], ['idempotency']]) {
    const usual = await firstBy('key', ...args)
    assert.deepEqual(usual, [...usual].sort())
    const reversed = await firstBy('key', ...args, '--reverse')
    assert.deepEqual(reversed, [...reversed].sort().reverse())
    assert.ok(usual[2] < reversed[2])
    assert.deepEqual(await firstBy('key', ...args, '--sort', '-key'), reversed)
  }
})

test('circuits: those without a value come last in both directions', async () => {
  const failures = (/** @type {string[]} */ ...args) => firstBy('failureCount', 'circuits', ...args)
  assert.deepEqual(await failures('--sort', '-failures'), LAST)
  assert.deepEqual(await failures('--sort', 'last-failure'), LAST)
  assert.deepEqual(await failures('--sort', 'last-success'), LAST)
  assert.deepEqual(await failures('--sort', '-last-failure'), [1, 2, 3])
  assert.deepEqual(await failures('--sort', '-last-success'), [11, 12, 13])
  const states = (/** @type {string[]} */ ...args) => firstBy('state', 'circuits', ...args)
  assert.deepEqual([(await states())[0], (await states('--reverse'))[0]], ['open', 'closed'])
  assert.deepEqual(
    await failures('--sort', 'failures', '--state', 'open'),
    [1, 2, 3].map((n) => ROWS / 2 + n),
  )
})

test('cache and idempotency', async () => {
  const [largest] = await firstBy('bytes', 'cache', 'list', '--sort', '-size')
  const [smallest] = await firstBy('bytes', 'cache', 'list', '--sort', 'size')
  assert.ok(largest > 100 && smallest < 100)
  for (const command of [['cache', 'list'], ['idempotency']]) {
    const began = performance.now()
    const [soonest] = await firstBy('expiresInMs', ...command, '--sort', 'expiry')
    const [latest] = await firstBy('expiresInMs', ...command, '--sort', '-expiry')
    // What passes between the two is less for the second.
    const [apart, passed] = [(ROWS - 1) * 1000, performance.now() - began]
    assert.ok(latest - soonest <= apart + 1 && latest - soonest >= apart - passed - 1, `${latest} - ${soonest}`)
  }
})

test('checkpoints: of all tasks, and of one', async () => {
  const sequences = (/** @type {string[]} */ ...args) => firstBy('sequence', 'checkpoints', ...args)
  for (const column of ['sequence', 'progress', 'saved', 'left']) {
    assert.deepEqual(await sequences('--sort', `-${column}`), LAST, column)
    assert.deepEqual(
      await sequences('--sort', column),
      [1, 2, 3].map((n) => ROWS - 1000 + n),
      column,
    )
  }
  const [{ taskId }] = (await list('checkpoints', '--sort', '-sequence', '--limit', '1')).rows
  const ofOne = (/** @type {string[]} */ ...args) => sequences('--task', taskId, ...args)
  assert.deepEqual(await ofOne(), [ROWS, ROWS - 1000, ROWS - 2000])
  assert.deepEqual(await ofOne('--reverse'), [1000, 2000, 3000])
  assert.deepEqual(await ofOne('--sort', 'progress'), [1000, 2000, 3000])
  const tasks = await firstBy('taskId', 'checkpoints', '--sort', '-task')
  assert.deepEqual(tasks, [...tasks].sort().reverse())
})

test('all rows are listed if the limit allows it, and then no row is said to be left out', async () => {
  const { rows, stderr } = await list('locks', '--sort', 'owner', '--limit', String(ROWS))
  assert.deepEqual([rows.length, rows.at(-1).owner, stderr], [ROWS, String(ROWS), ''])
})
