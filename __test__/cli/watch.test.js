// @ts-check
// @configurations first
// `--watch`: redraws in place on a terminal, and restores it at the end. Programs get a document per line.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { noTerminal, startCommand, startOnTerminal } = require('../support/command.js')
const { useDatabase } = require('../support/database.js')
const { startProxy } = require('../support/proxy.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()
const HOUR = 3_600_000

const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l'
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l'
const INVERSE = '\x1b[7m'

async function start() {
  const db = await database
  const adapter = new PostgresAdapter(db.pool({ connectionString: db.ownUrl }))
  await adapter.connect()
  await db.query('TRUNCATE go_goscope_locks, go_goscope_circuit')
  return { db, adapter, env: { DATABASE_URL: db.ownUrl } }
}

/** @param {string} stdout */
const documents = (stdout) =>
  stdout
    .slice(0, stdout.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))

test('--json prints a document per line until Ctrl-C, which is no error', async () => {
  const { adapter, env } = await start()
  const command = startCommand(['locks', '--watch', '0.1', '--json'], env)
  await until('nothing is held', () => documents(command.output.stdout).length > 1)
  assert.deepEqual(documents(command.output.stdout)[0], [])
  const lock = await adapter.acquire('seen', HOUR, 'me')
  await until('the lock shows', () => documents(command.output.stdout).at(-1)[0]?.key === 'seen')
  await lock?.release()
  await until('its release shows', () => documents(command.output.stdout).at(-1).length === 0)
  command.child.kill('SIGINT')
  const { code, signal, stderr } = await command.ended
  assert.deepEqual([code, signal, stderr], [0, null, ''])
})

test('to a pipe, tables are printed one after the other', async () => {
  const { adapter, env } = await start()
  await adapter.acquire('k', HOUR, 'me')
  const command = startCommand(['locks', '-w', '0.1'], env)
  await until('three tables', () => command.output.stdout.split('KEY ').length > 3)
  command.child.kill('SIGTERM')
  const { code, stdout } = await command.ended
  assert.equal(code, 0)
  assert.match(stdout, /^(\d{4}-\d\d-\d\dT[\d:.]+Z\nKEY +OWNER +EXPIRES IN\nk +me +\d\d min.*\n\n)+/)
  assert.ok(!stdout.includes('\x1b'))
})

test('on a terminal: redraws in place, highlights changes, restores the terminal', { skip: noTerminal }, async () => {
  const { adapter, env } = await start()
  await adapter.recordFailure('payments', 3)
  const command = startOnTerminal(['circuits', '--watch', '0.1'], env)
  const frames = () => command.output.stdout.split('\x1b[H').slice(1)
  await until('two frames', () => frames().length > 2)
  assert.ok(command.output.stdout.startsWith(ENTER))
  // A growing age is not a change.
  for (const frame of frames()) assert.ok(!frame.includes(INVERSE), frame)
  await adapter.recordFailure('payments', 2)
  await until('the state changes in colour', () => frames().some((frame) => frame.includes(`${INVERSE}\x1b[31mopen`)))
  const count = frames().length
  await until('and is not new any more', () => frames().length > count + 2 && !frames().at(-2)?.includes(INVERSE))
  await adapter.recordSuccess('another')
  await until('a new row is pointed at', () => frames().some((frame) => frame.includes(`${INVERSE}another`)))
  command.type('\x03')
  const { code, stdout } = await command.ended
  assert.equal(code, 0)
  assert.ok(stdout.endsWith(LEAVE), JSON.stringify(stdout.slice(-60)))
  assert.equal(stdout.split(ENTER).length, 2)
})

test('if there are more rows than fit the terminal, it prints how many', { skip: noTerminal }, async () => {
  const { adapter, env } = await start()
  await Promise.all(Array.from({ length: 30 }, (_, n) => adapter.acquire(`k${n}`, HOUR, 'me')))
  const command = startOnTerminal(['locks', '--watch=0.1'], env, { rows: 10, columns: 40 })
  await until('a frame', () => command.output.stdout.split('\x1b[H').length > 2)
  command.type('\x03')
  const { stdout } = await command.ended
  const frame = stdout.split('\x1b[H')[1].split('\x1b[J')[0]
  assert.equal(frame.split('\r\n').length - 1, 9)
  assert.match(frame, /… 25 lines more/)
})

test('the terminal is restored if the command ends with an error', { skip: noTerminal }, async () => {
  const { db, adapter, env } = await start()
  const command = startOnTerminal(['locks', '--watch', '0.1'], env)
  await until('a frame', () => command.output.stdout.includes('\x1b[H'))
  await db.query('DROP TABLE go_goscope_locks')
  const { code, stdout } = await command.ended
  assert.equal(code, 1)
  const [, after] = stdout.split(LEAVE)
  assert.match(after, /goscope-postgres: relation "go_goscope_locks" does not exist/)
  await adapter.connect()
})

test('if the server becomes unreachable, it retries', async () => {
  const { db, adapter } = await start()
  await adapter.acquire('k', HOUR, 'me')
  const proxy = await startProxy(db.ownUrl)
  const command = startCommand(['locks', '--watch', '0.1', '--json'], { DATABASE_URL: proxy.url })
  await until('a document', () => documents(command.output.stdout).length > 0)
  proxy.refuse()
  proxy.cutAll()
  await until('it says so', () => /ECONNRE\w+.*; trying again\n/.test(command.output.stderr))
  const seen = documents(command.output.stdout).length
  proxy.refuse(false)
  await until('documents again', () => documents(command.output.stdout).length > seen + 1)
  command.child.kill('SIGINT')
  const { code, stdout } = await command.ended
  assert.equal(code, 0)
  assert.ok(documents(stdout).every(([lock]) => lock.key === 'k'))
})

test('connections that fall silent are given up, and it goes on', async () => {
  const { db, adapter } = await start()
  await adapter.acquire('k', HOUR, 'me')
  const proxy = await startProxy(db.ownUrl)
  const command = startCommand(['locks', '--watch', '0.1', '--json'], { DATABASE_URL: proxy.url })
  await until('a document', () => documents(command.output.stdout).length > 0)
  proxy.swallow()
  proxy.stopSwallowing()
  await until('it says so', () => /Query read timeout.*; trying again\n/.test(command.output.stderr))
  const seen = documents(command.output.stdout).length
  await until('documents again', () => documents(command.output.stdout).length > seen + 1)
  command.child.kill('SIGINT')
  assert.equal((await command.ended).code, 0)
})

test('a query_timeout in the URL has precedence, and a command that ends by itself has none', async () => {
  const { db, env } = await start()
  const url = new URL(db.ownUrl)
  url.searchParams.set('query_timeout', '100')
  const held = await db.hold('LOCK go_goscope_locks')
  const once = startCommand(['locks'], env)
  const short = startCommand(['locks', '--watch', '0.1'], { DATABASE_URL: url.href })
  const usual = startCommand(['locks', '--watch', '0.1'], env)
  for (const { child, ended, output } of [short, usual]) {
    await until('it is given up', () => /Query read timeout/.test(output.stderr))
    child.kill('SIGINT')
    await ended
  }
  await held.rollback()
  const { code, stderr } = await once.ended
  assert.deepEqual([code, stderr], [0, ''])
})

test('on a terminal the last table stays, with the error above it', { skip: noTerminal }, async () => {
  const { db, adapter } = await start()
  await adapter.acquire('kept-in-sight', HOUR, 'me')
  const proxy = await startProxy(db.ownUrl)
  const command = startOnTerminal(['locks', '--watch', '0.1'], { DATABASE_URL: proxy.url }, { columns: 120 })
  const frames = () => command.output.stdout.split('\x1b[H').slice(1)
  await until('a frame', () => frames().length > 1)
  proxy.refuse()
  proxy.cutAll()
  await until('it says so', () =>
    frames().some((frame) => /ECONNRE\w+.*trying again.*\r\n.*kept-in-sight/s.test(frame)),
  )
  proxy.refuse(false)
  await until('it is over', () => /every 0\.1 s/.test(frames().at(-2) ?? ''))
  command.type('\x03')
  assert.equal((await command.ended).code, 0)
})

for (const name of ['status', 'checkpoints', 'cache', 'doctor']) {
  test(`${name} can be watched, too`, async () => {
    const { env } = await start()
    const command = startCommand([name, '--watch', '0.1', '--json'], env)
    await until('two documents', () => documents(command.output.stdout).length > 1)
    command.child.kill('SIGINT')
    assert.equal((await command.ended).code, 0)
  })
}
