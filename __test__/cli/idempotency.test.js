// @ts-check
// @configurations first
// `goscope-postgres idempotency`: results, claims of runs under way, and the deletion of a result.
'use strict'

const assert = require('node:assert/strict')
const { before, test } = require('node:test')
const { PostgresIdempotencyAdapter } = require('goscope-postgres')
const { runCommand } = require('../support/command.js')
const { useDatabase } = require('../support/database.js')
const { until } = require('../support/waiting.js')

const [database, alone, none] = Array.from({ length: 3 }, () => useDatabase())

const HOUR = 3_600_000
const LONG = 'k'.repeat(5_000)
const HOSTILE = 'a\x1b[2Jb'

/** @type {string} */
let url
/** @type {PostgresIdempotencyAdapter} */
let plain
/** @type {PostgresIdempotencyAdapter} */
let shop

before(async () => {
  const db = await database
  url = db.ownUrl
  const pool = db.pool({ connectionString: url })
  plain = new PostgresIdempotencyAdapter(pool)
  shop = new PostgresIdempotencyAdapter(pool, { keyPrefix: 'shop_%:' })
  await plain.connect()
  await shop.connect()
  await plain.set('mail-1', [null, { sent: true }], HOUR)
  await plain.set('mail-2', 'x'.repeat(500))
  await plain.set(HOSTILE, 1)
  await shop.set(LONG, { long: true })
  await shop.set('order-1', 1, 2 * HOUR)
})

/** @param {string[]} args */
const run = (...args) => runCommand(args, { DATABASE_URL: url })

/** @param {string[]} args */
async function jsonOf(...args) {
  const { code, stdout, stderr } = await run(...args, '--json')
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout)
}

/**
 * While a run is under way.
 *
 * @param {PostgresIdempotencyAdapter} adapter
 * @param {string} key
 * @param {() => Promise<void>} look
 */
async function during(adapter, key, look) {
  /** @type {(value: unknown) => void} */
  let finish = () => {}
  let isRunning = false
  const running = adapter.run(key, () => {
    isRunning = true
    return new Promise((resolve) => (finish = resolve))
  })
  await until('the run is under way', () => isRunning)
  try {
    await look()
  } finally {
    finish('done')
    await running
  }
}

test('the list has results and claims, and is the default', async () => {
  await during(shop, 'order-2', async () => {
    const runs = await jsonOf('idempotency')
    assert.deepEqual(
      runs
        .filter((/** @type {any} */ { key }) => !key.includes('\x01'))
        .map((/** @type {any} */ { key, keyPrefix, state }) => [key, keyPrefix, state])
        .slice(0, 4),
      [
        [HOSTILE, '', 'result'],
        ['mail-1', '', 'result'],
        ['mail-2', '', 'result'],
        ['shop_%:order-1', '', 'result'],
      ],
    )
    const mail = runs.find((/** @type {any} */ { key }) => key === 'mail-1')
    assert.deepEqual([mail.owner, mail.storedKey, mail.bytes > 0], [null, 'mail-1', true])
    assert.ok(mail.expiresInMs > 0 && mail.expiresInMs <= HOUR)
    const claim = runs.find((/** @type {any} */ { state }) => state === 'claim')
    assert.deepEqual([claim.key, claim.keyPrefix, claim.storedKey], ['order-2', 'shop_%:', 'shop_%:run:order-2'])
    assert.deepEqual([claim.bytes, typeof claim.owner, claim.expiresInMs > 0], [null, 'string', true])
    const { stdout } = await run('idempotency', 'list')
    assert.match(stdout, /^KEY +STATE +SIZE +EXPIRES IN\n/)
    assert.match(stdout, /^mail-2 +result +\d+ B +never$/m)
    assert.match(stdout, /^shop_%: {2}order-2 +claim +– +\d+ s$/m)
    assert.doesNotMatch(stdout, /(?!\n)\p{Cc}/u)
  })
})

test('the list by prefix, pattern, limit, order, and with those that have expired', async () => {
  const keys = async (/** @type {string[]} */ ...args) =>
    (await jsonOf('idempotency', ...args)).map((/** @type {any} */ { key }) => key)
  await during(shop, 'order-3', async () => {
    const claim = async () => (await jsonOf('idempotency', '-p', 'shop_%:', '-m', 'order-3'))[0]
    assert.deepEqual([(await claim()).state, (await claim()).key], ['claim', 'order-3'])
    assert.deepEqual(await keys('-p', 'shop_%:', '--sort', '-state', '-m', 'order-*'), [
      'order-1',
      'order-2',
      'order-3',
    ])
    assert.deepEqual(await keys('-p', 'shop_%:', '--sort', 'state', '-m', 'order-*'), ['order-3', 'order-1', 'order-2'])
    // A claim has no size: it comes last in both directions.
    for (const sort of ['size', '-size']) assert.equal((await keys('-p', 'shop_%:', '--sort', sort)).at(-1), 'order-3')
  })
  assert.deepEqual(await keys('-p', 'shop__:'), [])
  assert.deepEqual(await keys('--match', 'mail%'), [])
  assert.deepEqual(await keys('--match', 'mail*', '--reverse'), ['mail-2', 'mail-1'])
  assert.deepEqual(await keys('--match', 'mail*', '--sort=-size'), ['mail-2', 'mail-1'])
  assert.deepEqual(await keys('--match', 'mail*', '--sort', 'expiry'), ['mail-1', 'mail-2'])
  // After every sweep: this is the last write.
  const db = await database
  await db.query("INSERT INTO go_goscope_idempotency VALUES ('old', '1', now() - interval '1 hour')")
  assert.ok((await keys('--all')).includes('old'))
  assert.ok(!(await keys()).includes('old'))
  assert.equal(
    (await jsonOf('idempotency', '-p', 'shop_%:')).some((/** @type {any} */ { key }) => key === LONG),
    true,
  )
  const { stdout, stderr } = await run('idempotency', '--json', '-n', '1', '-m', 'mail*')
  assert.deepEqual([JSON.parse(stdout).length, /More rows match than the 1 shown/.test(stderr)], [1, true])
})

test('claims: key, owner and remaining time of the runs under way', async () => {
  assert.equal((await run('idempotency', 'claims')).stdout, 'No runs are under way.\n')
  await during(shop, 'order-4', async () => {
    await during(plain, 'mail-4', async () => {
      const claims = await jsonOf('idempotency', 'claims')
      assert.deepEqual(
        claims.map((/** @type {any} */ { key, keyPrefix, state }) => [key, keyPrefix, state]),
        [
          ['mail-4', '', 'held'],
          ['order-4', 'shop_%:', 'held'],
        ],
      )
      assert.ok(claims.every((/** @type {any} */ { owner, expiresInMs }) => owner.length > 0 && expiresInMs > 0))
      const { stdout } = await run('idempotency', 'claims', '-p', 'shop_%:')
      assert.match(stdout, /^KEY +OWNER +EXPIRES IN\norder-4 +\S+ +\d+ s\n$/)
      const [first] = await jsonOf('idempotency', 'claims', '--sort', '-key', '--limit', '1')
      assert.equal(first.key, 'order-4')
    })
  })
})

test('show: the stored value', async () => {
  assert.deepEqual((await jsonOf('idempotency', 'show', 'mail-1')).value, [null, { sent: true }])
  assert.deepEqual((await jsonOf('idempotency', 'show', LONG, '-p', 'shop_%:')).value, { long: true })
  assert.match(
    (await run('idempotency', 'show', 'mail-1')).stdout,
    /^key +mail-1\n.*\n\n\[\n {2}null,\n {2}\{\n {4}"sent": true\n/s,
  )
  const other = await run('idempotency', 'show', 'order-1')
  assert.deepEqual([other.code, other.stdout], [1, ''])
  assert.match(other.stderr, /there is no result 'order-1'\n {2}There is 'shop_%:order-1'\./)
  assert.equal((await run('idempotency', 'show', 'order-1', '-p', 'shop_%:')).code, 0)
  assert.equal((await run('idempotency', 'show', 'shop_%:order-1')).code, 0)
  const near = await run('idempotency', 'show', '1', '-p', 'shop_%:')
  assert.equal(near.stderr, "goscope-postgres: there is no result '1' under the prefix 'shop_%:'\n")
  const db = await database
  await db.query(`INSERT INTO go_goscope_locks VALUES ('run:mail-9', 'me', timezone('UTC', now()) - interval '1 hour')`)
  const stale = await run('idempotency', 'show', 'mail-9')
  assert.equal(stale.stderr, "goscope-postgres: there is no result 'mail-9'\n")
  await db.query(`DELETE FROM go_goscope_locks WHERE key = 'run:mail-9'`)
  await during(plain, 'mail-5', async () => {
    const { code, stderr } = await run('idempotency', 'show', 'mail-5')
    assert.equal(code, 1)
    assert.match(stderr, /there is no result 'mail-5'\n {2}A run with this key is under way, claimed by \S+\.\n/)
  })
})

test('delete: the next run with the key does the work again', async () => {
  let runs = 0
  const work = async () => ++runs
  await plain.run('again', work)
  await plain.run('again', work)
  assert.equal(runs, 1)
  const refused = await run('idempotency', 'delete', 'again')
  assert.deepEqual([refused.code, refused.stdout], [2, ''])
  assert.match(refused.stderr, /no terminal to ask whether to delete 'again'\n.*--yes/)
  const { code, stdout, stderr } = await run('idempotency', 'delete', 'again', '--yes')
  assert.deepEqual([code, stdout, stderr], [0, "Deleted the result 'again'.\n", ''])
  await plain.run('again', work)
  assert.equal(runs, 2)
  const { result, ...rest } = await jsonOf('idempotency', 'delete', 'again', '-y')
  assert.deepEqual([rest, result.key, result.state], [{ key: 'again', deleted: true }, 'again', 'live'])
  const absent = await run('idempotency', 'delete', 'again', '-y')
  assert.deepEqual([absent.code, absent.stderr], [1, "goscope-postgres: there is no result 'again'\n"])
  assert.equal((await run('idempotency', 'delete', LONG, '-y', '-p', 'shop_%:')).code, 0)
  assert.equal(await shop.get(LONG), null)
})

test('without a table for claims there are only results; without one for results it fails', async () => {
  const db = await alone
  await db.query('CREATE TABLE go_goscope_idempotency (key TEXT PRIMARY KEY, value JSONB, expires_at TIMESTAMPTZ)')
  await db.query("INSERT INTO go_goscope_idempotency VALUES ('r', '1')")
  const { code, stdout } = await runCommand(['idempotency', '--json'], { DATABASE_URL: db.ownUrl })
  assert.deepEqual([code, JSON.parse(stdout).length], [0, 1])
  const missing = await runCommand(['idempotency'], { DATABASE_URL: (await none).ownUrl })
  assert.equal(missing.code, 1)
  assert.match(missing.stderr, /"go_goscope_idempotency" does not exist \(42P01\)/)
})
