// @ts-check
// @configurations first
// The command line of `goscope-postgres`: options stand anywhere, and `--` ends them.
'use strict'

const assert = require('node:assert/strict')
const { before, test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { runCommand } = require('../support/command.js')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()
const HOUR = 3_600_000

/** @type {string} */
let url

before(async () => {
  const db = await database
  url = db.ownUrl
  const adapter = new PostgresAdapter(db.pool({ connectionString: url }))
  await adapter.connect()
  for (const key of ['a', 'b', 'c', '--yes', 'show']) await adapter.acquire(key, HOUR, 'me')
  await adapter.recordFailure('payments', 1)
})

/** @param {string[]} args */
async function keysOf(args) {
  const { code, stdout, stderr } = await runCommand(args)
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout).map((/** @type {any} */ { key }) => key)
}

test('options stand before the command, behind it, or on both sides', async () => {
  for (const args of [
    ['--url', url, 'locks', '--limit', '2', '--json'],
    ['locks', '--limit', '2', '--json', '--url', url],
    ['--limit', '2', '--json', '-u', url, 'locks'],
    ['--json', '--limit=2', 'locks', 'list', `--url=${url}`],
    ['-n2', 'locks', '--json', 'list', '-u', url],
    ['locks', '-n', '2', 'list', '--json', '--url', url],
  ]) {
    assert.deepEqual(await keysOf(args), ['--yes', 'a'], args.join(' '))
  }
})

test('options before a command that only some commands have, and whose value is a command’s name', async () => {
  assert.deepEqual(await keysOf(['--state', 'open', 'circuits', '--json', '-u', url]), ['payments'])
  assert.deepEqual(await keysOf(['--sort', '-key', '-m', 'locks', 'locks', '--json', '-u', url]), [])
  assert.deepEqual(await keysOf(['--sort', '-key', '--url', url, 'locks', '--json', '-n', '1']), ['show'])
})

test('options stand before, between and behind the words of a subcommand and its argument', async () => {
  for (const args of [
    ['--url', url, 'locks', 'show', 'a', '--json'],
    ['locks', '--json', 'show', '--url', url, 'a'],
    ['locks', 'show', '--json', 'a', '--url', url],
    ['--json', 'locks', '--url', url, 'show', '--', 'a'],
  ]) {
    const { code, stdout, stderr } = await runCommand(args)
    assert.deepEqual([code, stderr], [0, ''], args.join(' '))
    assert.equal(JSON.parse(stdout).key, 'a')
  }
})

test('-- ends the options, and only the first words name the command', async () => {
  for (const [args, key] of /** @type {[string[], string][]} */ ([
    [['locks', 'show', '--json', '-u', url, '--', '--yes'], '--yes'],
    [['locks', 'show', '--json', '-u', url, 'show'], 'show'],
  ])) {
    const { code, stdout, stderr } = await runCommand(args)
    assert.equal(code, 0, stderr)
    assert.equal(JSON.parse(stdout).key, key)
  }
  const { code, stderr } = await runCommand(['locks', 'show', '-u', url, '--', 'a', '--json'])
  assert.deepEqual([code, /locks show takes <key>/.test(stderr)], [2, true])
})

test('--help and --version count wherever they stand', async () => {
  const { stdout } = await runCommand(['locks', 'show', '--help'])
  for (const args of [
    ['--help', 'locks', 'show'],
    ['locks', '--help', 'show'],
    ['locks', 'show', 'a', '-h', '--json'],
  ]) {
    assert.deepEqual(await runCommand(args), { code: 0, signal: null, stdout, stderr: '' }, args.join(' '))
  }
  assert.match((await runCommand(['--verbose', '--version'])).stdout, /^\d+\.\d+\.\d+/)
})
