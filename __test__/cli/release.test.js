// @ts-check
// @configurations first
// `goscope-postgres release`: frees exactly the lock that was shown, and only after a confirmation.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { noTerminal, runCommand, startOnTerminal } = require('../support/command.js')
const { useDatabase } = require('../support/database.js')
const { until } = require('../support/waiting.js')
const { urlAs } = require('../support/route.js')

const [database, narrow] = [useDatabase(), useDatabase()]
const HOUR = 3_600_000

/** @param {import('goscope-postgres').PersistenceAdapterOptions} [options] */
async function start(options) {
  const db = await database
  const adapter = new PostgresAdapter(db.pool({ connectionString: db.ownUrl }), options)
  await adapter.connect()
  const env = { DATABASE_URL: db.ownUrl }
  const isFree = async (/** @type {string} */ key) =>
    (await db.query('SELECT FROM go_goscope_locks WHERE key = $1', [`${options?.keyPrefix ?? ''}lock:${key}`]))
      .length === 0
  return { db, adapter, env, isFree }
}

test('--yes releases the lock, and names its owner', async () => {
  const { adapter, env, isFree } = await start()
  await adapter.acquire('stuck', HOUR, 'worker-1')
  const { code, stdout, stderr } = await runCommand(['release', 'stuck', '--yes'], env)
  assert.deepEqual([code, stdout, stderr], [0, "Released 'stuck', which was worker-1's.\n", ''])
  assert.ok(await isFree('stuck'))
  assert.ok(await adapter.acquire('stuck', HOUR, 'worker-2'))
})

test('--json prints the released lock', async () => {
  const { adapter, env } = await start()
  await adapter.acquire('json', HOUR, 'me')
  const { code, stdout } = await runCommand(['release', 'json', '-y', '--json'], env)
  const { lock, ...rest } = JSON.parse(stdout)
  assert.deepEqual([code, rest], [0, { key: 'json', released: true }])
  assert.deepEqual([lock.owner, lock.state, lock.storedKey], ['me', 'held', 'lock:json'])
})

test('a key may have any length, or look like an option', async () => {
  const { adapter, env } = await start()
  for (const key of ['x'.repeat(5_000), '--yes', 'a*b%_\\', 'ключ 漢字']) {
    assert.ok(await adapter.acquire(key, HOUR, 'me'))
    const { code, stderr } = await runCommand(['release', '--yes', '--', key], env)
    assert.equal(code, 0, stderr)
    assert.ok(await adapter.acquire(key, HOUR, 'another'))
  }
})

test('a key, and a prefix, that are too long for a narrow column', async () => {
  const db = await narrow
  await db.query('CREATE TABLE go_goscope_locks (key VARCHAR(100) PRIMARY KEY, owner TEXT, expires_at TIMESTAMPTZ)')
  const env = { DATABASE_URL: db.ownUrl }
  for (const keyPrefix of ['', 'app:', 'p'.repeat(80)]) {
    const adapter = new PostgresAdapter(db.pool({ connectionString: db.ownUrl }), { keyPrefix })
    for (const key of ['short', 'x'.repeat(99)]) {
      assert.ok(await adapter.acquire(key, HOUR, 'me'))
      const listed = await runCommand(['locks', '--json', '-p', keyPrefix], env)
      assert.deepEqual(
        JSON.parse(listed.stdout).map((/** @type {any} */ lock) => lock.owner),
        ['me'],
        listed.stderr,
      )
      const { code, stderr } = await runCommand(['release', key, '--yes', '-p', keyPrefix], env)
      assert.equal(code, 0, stderr)
      assert.ok(await adapter.acquire(key, HOUR, 'another'))
      await adapter.forceRelease(key)
    }
  }
})

test('a missing lock: exit code 1, and a hint at another prefix', async () => {
  const { adapter, env, isFree } = await start({ keyPrefix: 'shop:' })
  await adapter.acquire('elsewhere', HOUR, 'me')
  const missing = await runCommand(['release', 'elsewhere', '--yes'], env)
  assert.deepEqual([missing.code, missing.stdout], [1, ''])
  assert.match(missing.stderr, /there is no lock 'elsewhere'\n {2}There is one under the prefix 'shop:'/)
  const none = await runCommand(['release', 'nowhere', '--yes', '-p', 'shop:'], env)
  assert.deepEqual(
    [none.code, none.stderr],
    [1, "goscope-postgres: there is no lock 'nowhere' under the prefix 'shop:'\n"],
  )
  assert.equal(await isFree('elsewhere'), false)
  assert.equal((await runCommand(['release', 'elsewhere', '--yes', '-p', 'shop:'], env)).code, 0)
  assert.equal(await isFree('elsewhere'), true)
})

test('without a terminal and without --yes: exit code 2, and nothing is released', async () => {
  const { adapter, env, isFree } = await start()
  await adapter.acquire('asked', HOUR, 'me')
  for (const input of [undefined, 'y\n']) {
    const { code, stdout, stderr } = await runCommand(['release', 'asked'], env, { input })
    assert.deepEqual([code, stdout], [2, ''])
    assert.match(stderr, /there is no terminal to ask.*\n.*--yes/)
  }
  assert.equal(await isFree('asked'), false)
})

test('on a terminal it asks, and releases only after a yes', { skip: noTerminal }, async () => {
  const { adapter, env, isFree } = await start()
  await adapter.acquire('mine', HOUR, 'evil\x1b[2J')
  const answers = /** @type {[string, boolean][]} */ ([
    ['n\r', false],
    ['\r', false],
    ['yo\r', false],
    ['\x03', false],
    ['\x04', false],
    ['y\r', true],
  ])
  for (const [keys, isYes] of answers) {
    const command = startOnTerminal(['release', 'mine'], env, { columns: 200 })
    await until('it asks', () => command.output.stdout.includes('Release it? [y/N]'))
    assert.match(command.output.stdout, /'mine'\r\n {2}It is held by evil\\x1b\[2J, and expires in \d\d min/)
    assert.match(command.output.stdout, /holder is not notified/)
    command.type(keys)
    const { code, stdout } = await command.ended
    assert.equal(code, isYes ? 0 : 1, `${JSON.stringify(keys)}: ${stdout}`)
    assert.equal(await isFree('mine'), isYes)
    assert.match(stdout, isYes ? /Released 'mine'/ : /goscope-postgres: not released/)
  }
})

test('a lock that changes its holder before the answer stays with the new holder', { skip: noTerminal }, async () => {
  const { db, adapter, env } = await start()
  await adapter.acquire('moving', HOUR, 'first')
  const command = startOnTerminal(['release', 'moving'], env, { columns: 200 })
  await until('it asks', () => command.output.stdout.includes('[y/N]'))
  await adapter.forceRelease('moving')
  const second = await adapter.acquire('moving', HOUR, 'second')
  command.type('y\r')
  const { code, stdout } = await command.ended
  assert.equal(code, 1)
  assert.match(stdout, /'moving' was not released: it has just been taken by second/)
  assert.equal(await second?.isValid(), true)
  await db.query("DELETE FROM go_goscope_locks WHERE key = 'lock:moving'")
})

test('a lock with a waiter is released, even if the waiter acquires it at once', async () => {
  const { adapter, env } = await start()
  for (let round = 0; round < 5; round++) {
    await adapter.acquire('waited for', HOUR, 'old')
    const waiting = adapter.lock('waited for', { ttl: HOUR, owner: 'next' })
    const { code, stdout, stderr } = await runCommand(['release', 'waited for', '--yes'], env)
    assert.deepEqual([code, stdout, stderr], [0, "Released 'waited for', which was old's.\n", ''])
    const lease = await waiting
    assert.equal(await lease.isValid(), true)
    await lease.release()
  }
})

test('a holder that acquires the lock meanwhile keeps it: --yes frees only the lock that was found', async () => {
  const { adapter, env } = await start()
  for (let round = 0; round < 5; round++) {
    await adapter.acquire('hot', HOUR, `old-${round}`)
    const owners = Array.from({ length: 20 }, (_, n) => `new-${round}-${n}`)
    let isOver = false
    const taken = (async () => {
      while (!isOver) {
        for (const owner of owners) {
          const handle = await adapter.acquire('hot', HOUR, owner)
          if (handle) return handle
        }
      }
      return undefined
    })()
    const { code, stdout, stderr } = await runCommand(['release', 'hot', '--yes'], env)
    isOver = true
    const handle = await taken
    // The command either names the next holder, or it ended before there was one. That holder still has the lock.
    assert.ok(code === 0 || /just been taken by new-/.test(stderr), stdout + stderr)
    if (handle) assert.equal(await handle.isValid(), true)
    await adapter.forceRelease('hot')
  }
})

test('without the right to delete: the server’s error, exit code 1', async () => {
  const { db, adapter } = await start()
  await adapter.acquire('kept', HOUR, 'me')
  const role = `goscope_reader_${db.name.slice(-12)}`
  await db.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT SELECT ON go_goscope_locks TO ${role}`)
  try {
    const url = urlAs(db.ownUrl, role)
    const { code, stderr } = await runCommand(['release', 'kept', '--yes'], { DATABASE_URL: url })
    assert.equal(code, 1)
    assert.match(stderr, /permission denied for table go_goscope_locks \(42501\)\n {2}The role has not the right/)
    assert.equal((await runCommand(['locks'], { DATABASE_URL: url })).code, 0)
  } finally {
    await db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
  }
})
