// @ts-check
// @configurations first
// `circuits reset` and `cache delete`: they show what will happen, ask, and change exactly that.
'use strict'

const assert = require('node:assert/strict')
const { before, test } = require('node:test')
const { PostgresAdapter, PostgresCacheAdapter } = require('goscope-postgres')
const { noTerminal, runCommand, startOnTerminal } = require('../support/command.js')
const { useDatabase } = require('../support/database.js')
const { urlAs } = require('../support/route.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()
const HOUR = 3_600_000
const PREFIX = 'shop_%:'
const LONG = 'k'.repeat(5_000)

/** @type {Record<string, string>} */
let env
/** @type {PostgresAdapter} */
let plain
/** @type {PostgresAdapter} */
let shop
/** @type {PostgresCacheAdapter} */
let own

before(async () => {
  const db = await database
  env = { DATABASE_URL: db.ownUrl }
  const pool = db.pool({ connectionString: db.ownUrl })
  plain = new PostgresAdapter(pool)
  shop = new PostgresAdapter(pool, { keyPrefix: PREFIX })
  own = new PostgresCacheAdapter(pool, { tableName: 'own' })
  await plain.connect()
  await own.initialize()
})

/** @param {string[]} args */
const run = (...args) => runCommand(args, env)

test('circuits reset --yes closes the breaker, and leaves its times and other breakers', async () => {
  await plain.recordSuccess('payments')
  for (const adapter of [plain, shop]) await adapter.recordFailure('payments', 1)
  const before = await plain.getState('payments')
  const { code, stdout, stderr } = await run('circuits', 'reset', 'payments', '--yes')
  assert.deepEqual([code, stdout, stderr], [0, "Reset the circuit breaker 'payments'.\n", ''])
  assert.deepEqual(await plain.getState('payments'), { ...before, state: 'closed', failureCount: 0 })
  assert.equal((await shop.getState('payments'))?.state, 'open')
  const json = JSON.parse((await run('circuits', 'reset', 'payments', '-y', '--json', '-p', PREFIX)).stdout)
  assert.deepEqual(
    [json.key, json.reset, json.circuit.state, json.circuit.keyPrefix],
    ['payments', true, 'open', PREFIX],
  )
  assert.equal((await shop.getState('payments'))?.state, 'closed')
})

test('cache delete --yes deletes the entry, also in a table of its own and under a long key, and no other', async () => {
  for (const key of ['a', 'b', LONG]) await plain.set(key, 1)
  await shop.set('a', 1)
  await own.set('a', 1)
  const { code, stdout, stderr } = await run('cache', 'delete', 'a', '--yes')
  assert.deepEqual([code, stdout, stderr], [0, "Deleted the cached value 'a'.\n", ''])
  assert.deepEqual(await Promise.all([plain.has('a'), plain.has('b'), shop.has('a'), own.has('a')]), [
    false,
    true,
    true,
    true,
  ])
  const { entry, ...rest } = JSON.parse((await run('cache', 'delete', 'a', '-y', '--json', '--table', 'own')).stdout)
  assert.deepEqual([rest, entry.key, entry.value], [{ key: 'a', deleted: true }, 'a', undefined])
  assert.equal((await run('cache', 'delete', 'a', '-y', '-p', PREFIX)).code, 0)
  assert.equal((await run('cache', 'delete', LONG, '-y')).code, 0)
  assert.deepEqual(await Promise.all([shop.has('a'), own.has('a'), plain.has(LONG), plain.has('b')]), [
    false,
    false,
    false,
    true,
  ])
})

test('what is absent: exit code 1, and a hint at another prefix', async () => {
  await shop.recordFailure('mail', 1)
  await shop.set('theirs', 1)
  for (const [args, wanted] of /** @type {[string[], RegExp][]} */ ([
    [['circuits', 'reset', 'mail'], /there is no circuit breaker 'mail'\n {2}There is one under the prefix 'shop_%:'/],
    [['circuits', 'reset', 'none'], /there is no circuit breaker 'none'\n$/],
    [['cache', 'delete', 'theirs'], /there is no cached value 'theirs'\n {2}There is one under the prefix 'shop_%:'/],
    [['cache', 'delete', 'theirs', '-p', 'x:'], /there is no cached value 'theirs' under the prefix 'x:'/],
    [['cache', 'delete', 'theirs', '--table', 'own'], /there is no cached value 'theirs'\n$/],
  ])) {
    for (const more of [['--yes'], ['--yes', '--json'], []]) {
      const { code, stdout, stderr } = await run(...args, ...more)
      assert.deepEqual([code, stdout], [1, ''], stderr)
      assert.match(stderr, wanted)
    }
  }
  assert.equal((await shop.getState('mail'))?.state, 'open')
})

test('without a terminal and without --yes: exit code 2, and nothing is changed', async () => {
  await plain.recordFailure('asked', 1)
  await plain.set('asked', 1)
  for (const [args, verb] of /** @type {[string[], string][]} */ ([
    [['circuits', 'reset', 'asked'], 'reset'],
    [['cache', 'delete', 'asked'], 'delete'],
  ])) {
    for (const input of [undefined, 'y\n']) {
      const { code, stdout, stderr } = await runCommand(args, env, { input })
      assert.deepEqual([code, stdout], [2, ''])
      assert.match(stderr, new RegExp(`there is no terminal to ask whether to ${verb} 'asked'\\n.*--yes`))
    }
  }
  assert.deepEqual([(await plain.getState('asked'))?.state, await plain.has('asked')], ['open', true])
})

/** @param {string[]} args */
async function asking(...args) {
  const command = startOnTerminal(args, env, { columns: 200 })
  await until('it asks', () => command.output.stdout.includes('[y/N]'))
  return command
}

test('on a terminal it shows what will happen, and changes only after a yes', { skip: noTerminal }, async () => {
  const key = 'evil\x1b[2J'
  await plain.set(key, 1, HOUR)
  await plain.recordFailure(key, 1)
  for (const [keys, isYes] of /** @type {[string, boolean][]} */ ([
    ['n\r', false],
    ['\x03', false],
    ['y\r', true],
  ])) {
    const resetting = await asking('circuits', 'reset', key)
    assert.match(
      resetting.output.stdout,
      /'evil\\x1b\[2J'\r\n {2}It is open, with 1 failure\.\r\n {2}It becomes closed.*\r\n.*Reset it\?/,
    )
    const deleting = await asking('cache', 'delete', key)
    assert.match(
      deleting.output.stdout,
      /'evil\\x1b\[2J'\r\n {2}It has \d+ B, and expires in .*\r\n.*computes it again\.\r\n.*Delete it\?/,
    )
    for (const [command, done] of /** @type {const} */ ([
      [resetting, 'reset'],
      [deleting, 'deleted'],
    ])) {
      command.type(keys)
      const { code, stdout } = await command.ended
      assert.equal(code, isYes ? 0 : 1, stdout)
      assert.match(stdout, isYes ? new RegExp(`${done} the `, 'i') : new RegExp(`goscope-postgres: not ${done}`))
    }
    assert.equal(await plain.has(key), !isYes)
    assert.equal((await plain.getState(key))?.state, isYes ? 'closed' : 'open')
  }
})

test('what has changed since it was shown is left alone', { skip: noTerminal }, async () => {
  await plain.recordFailure('moving', 1)
  await plain.set('moving', 1)
  const [resetting, deleting] = [await asking('circuits', 'reset', 'moving'), await asking('cache', 'delete', 'moving')]
  await plain.recordFailure('moving', 1)
  await plain.set('moving', 'another value')
  for (const command of [resetting, deleting]) {
    command.type('y\r')
    const { code, stdout } = await command.ended
    assert.equal(code, 1)
    assert.match(stdout, /Nothing was changed: it is not as it was shown any more/)
  }
  assert.deepEqual([(await plain.getState('moving'))?.failureCount, await plain.get('moving')], [2, 'another value'])

  // As many failures, and as many bytes.
  await plain.set('moving', 12)
  const again = [await asking('circuits', 'reset', 'moving'), await asking('cache', 'delete', 'moving')]
  await plain.recordSuccess('moving')
  await plain.recordFailure('moving', 1)
  await plain.recordFailure('moving', 1)
  await plain.set('moving', 13)
  for (const command of again) {
    command.type('y\r')
    const { code, stdout } = await command.ended
    assert.deepEqual([code, /it is not as it was shown any more/.test(stdout)], [1, true], stdout)
  }
  assert.deepEqual([(await plain.getState('moving'))?.failureCount, await plain.get('moving')], [2, 13])

  const late = await asking('cache', 'delete', 'moving')
  await plain.delete('moving')
  late.type('y\r')
  const { code, stdout } = await late.ended
  assert.deepEqual([code, /Nothing was changed: it is not there any more/.test(stdout)], [1, true])
})

test('without the right to write: the server’s error, exit code 1', async () => {
  const db = await database
  await plain.recordFailure('kept', 1)
  await plain.set('kept', 1)
  const role = `goscope_reader_${db.name.slice(-12)}`
  await db.query(
    `CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT SELECT ON go_goscope_circuit, go_goscope_cache TO ${role}`,
  )
  try {
    const reader = { DATABASE_URL: urlAs(db.ownUrl, role) }
    for (const args of [
      ['circuits', 'reset', 'kept', '-y'],
      ['cache', 'delete', 'kept', '-y'],
    ]) {
      const { code, stdout, stderr } = await runCommand(args, reader)
      assert.deepEqual([code, stdout], [1, ''])
      assert.match(stderr, /permission denied for table go_goscope_\w+ \(42501\)/)
    }
  } finally {
    await db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
  }
  assert.deepEqual([(await plain.getState('kept'))?.state, await plain.has('kept')], ['open', true])
})
