// @ts-check
// @configurations first
// The output of the commands does not depend on settings of the role or the database.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { after, test } = require('node:test')
const { PostgresAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { runCommand } = require('../support/command.js')
const { administer, useDatabase } = require('../support/database.js')
const { grants, urlAs } = require('../support/route.js')

const made = useDatabase()

const [plain, odd] = ['plain', 'odd'].map((name) => `goscope_${name}_${crypto.randomBytes(6).toString('hex')}`)
const SETTINGS = {
  extra_float_digits: '-15',
  DateStyle: "'SQL, DMY'",
  IntervalStyle: 'sql_standard',
  TimeZone: "'Asia/Kathmandu'",
  bytea_output: 'escape',
  lc_messages: "'C'",
  lc_monetary: "'C'",
  lc_numeric: "'C'",
  lc_time: "'C'",
  quote_all_identifiers: 'on',
  standard_conforming_strings: 'off',
  search_path: '"none here", "odd; ""schema""", public',
}
const roles = administer(`CREATE ROLE ${plain} LOGIN PASSWORD 'secret'; CREATE ROLE ${odd} LOGIN PASSWORD 'secret';
  ${Object.entries(SETTINGS)
    .map(([name, value]) => `ALTER ROLE ${odd} SET ${name} = ${value};`)
    .join('\n')}`)
after(() => administer(`DROP ROLE IF EXISTS ${plain}; DROP ROLE IF EXISTS ${odd}`))

const COMMANDS = [
  ['doctor'],
  ['status'],
  ['locks', '--all'],
  ['circuits'],
  ['locks', 'show', 'held'],
  ['circuits', '--sort', '-last-failure'],
  ['cache'],
  ['cache', 'list', '--sort', 'expiry'],
  ['cache', 'show', 'entry'],
  ['idempotency'],
  ['idempotency', 'show', 'result'],
  ['checkpoints', 'show', 'short'],
  ['checkpoints'],
  ['checkpoints', '--task', `t${'x'.repeat(3000)}`],
]

/** The greatest time between two runs, in milliseconds: far more than any stall. */
const APART = 120_000

/**
 * Fails unless two answers are equal, except for the elapsed time and the role's name.
 *
 * @param {any} one
 * @param {any} other
 * @param {string} where
 */
function sameButForTime(one, other, where) {
  if (one !== null && typeof one === 'object') {
    assert.deepEqual(Object.keys(other ?? {}), Object.keys(one), where)
    // A missing table would be created in the first schema of the search path. The right to create it depends on that.
    for (const key of Object.keys(one).filter((key) => !/^(schema|mayCreate)$/.test(key)))
      sameButForTime(one[key], other[key], `${where}.${key}`)
  } else if (typeof one === 'number' && /Ms$/.test(where)) {
    assert.ok(Math.abs(one - other) < APART, `${where}: ${one} and ${other}`)
  } else if (typeof one === 'string') {
    const plainly = (/** @type {string} */ text) =>
      text
        .replaceAll(odd, plain)
        .replace(/session in \S+,/, 'session in …,')
        .replace(/[\d.]+ ms/, '… ms')
        .replace(/\d+ of \d+ are open/, '… are open')
    assert.equal(plainly(other), plainly(one), where)
  } else if (!/connections$|\.total$/.test(where)) {
    assert.equal(other, one, where)
  }
}

test('each command prints the same as with the usual settings', async () => {
  await roles
  const db = await made
  await db.query('CREATE SCHEMA "odd; ""schema"""')
  const pool = db.pool({ connectionString: db.ownUrl })
  const adapter = new PostgresAdapter(pool)
  await adapter.connect()
  const results = new PostgresIdempotencyAdapter(pool)
  await results.connect()
  await adapter.acquire('held', 86_400_000, 'me')
  await adapter.acquire('ever', 60_000, 'me')
  await adapter.recordFailure('broken', 1)
  await adapter.set('entry', { a: 1 }, 86_400_000)
  await adapter.set('always', 1)
  await results.set('result', 1, 86_400_000)
  const data = {
    id: `c${'y'.repeat(3000)}`,
    taskId: `t${'x'.repeat(3000)}`,
    sequence: 12,
    timestamp: 1_750_000_123_456,
  }
  await adapter.save({ ...data, progress: 33.25, data: {}, estimatedTimeRemaining: 1234567 })
  await adapter.save({ ...data, id: 'short', taskId: 'short', progress: 99.5, data: {} })
  await db.query("UPDATE go_goscope_locks SET expires_at = 'infinity' WHERE key LIKE '%ever'")
  await db.query('ANALYZE')
  for (const role of [plain, odd]) await db.query(`${grants(role)}; GRANT USAGE ON SCHEMA "odd; ""schema""" TO ${role}`)
  for (const command of COMMANDS) {
    const [usual, other] = await Promise.all(
      [plain, odd].map((role) => runCommand([...command, '--json'], { DATABASE_URL: urlAs(db.ownUrl, role) })),
    )
    const where = command.join(' ')
    assert.deepEqual([usual.stderr, other.stderr], ['', ''], where)
    assert.equal(other.code, usual.code, where)
    sameButForTime(JSON.parse(usual.stdout), JSON.parse(other.stdout), where)
  }
  const { stdout } = await runCommand(['schema', '--missing'], { DATABASE_URL: urlAs(db.ownUrl, odd) })
  assert.equal(stdout, '-- Nothing is missing.\n')
  await db.query(`DROP OWNED BY ${plain}; DROP OWNED BY ${odd}`)
})
