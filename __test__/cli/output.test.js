// @ts-check
// @configurations first
// The command's output: tables, and what happens if it cannot be written (/dev/full acts as a full disk).
'use strict'

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { before, test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { bar } = require('../../cli/checkpoint.js')
const { View } = require('../../cli/view.js')
const { useDatabase } = require('../support/database.js')

const program = path.join(__dirname, '../../bin/goscope-postgres.js')
const skip = fs.existsSync('/dev/full') ? false : 'needs /dev/full'

const database = useDatabase()

before(async () => {
  const adapter = new PostgresAdapter((await database).pool())
  await adapter.connect()
  await adapter.disconnect()
})

/**
 * @param {string[]} args
 * @param {'stdout' | 'stderr'} full which of the two is on the full disk
 */
async function run(args, full) {
  const disk = fs.openSync('/dev/full', 'w')
  const env = { ...process.env, DATABASE_URL: (await database).url }
  const child = spawn(process.execPath, [program, ...args], {
    env,
    stdio: ['ignore', full === 'stdout' ? disk : 'pipe', full === 'stderr' ? disk : 'pipe'],
  })
  fs.closeSync(disk)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (data) => (output += data))
  const code = await new Promise((resolve) => child.once('close', resolve))
  return { code, output }
}

test('a table has any number of rows', () => {
  const rows = Array.from({ length: 300_000 }, (_, number) => ({ name: `k${number}` }))
  const text = new View().table([{ title: 'KEY', cell: ({ name }) => name }], rows)
  assert.ok(text.endsWith('k299999\n'))
})

test('any finite progress is shown as a number', () => {
  for (const [progress, shown] of [
    [1e308, '1e+308 %'],
    [-1e308, '-1e+308 %'],
    [33.3333, '33.3 %'],
    [Number.NaN, 'NaN %'],
  ])
    assert.ok(bar(progress).endsWith(` ${shown}`), `${progress}`)
})

for (const args of [
  ['--version'],
  ['--help'],
  ['locks', '--help'],
  ['schema'],
  ['schema', '--missing'],
  ['status'],
  ['locks', '--json'],
  ['doctor'],
  ['locks', '--watch', '1'],
  ['locks', '--watch', '1', '--json'],
]) {
  test(`${args.join(' ')} on a full disk reports it in one line, and exits with 1`, { skip }, async () => {
    const { code, output } = await run(args, 'stdout')
    assert.equal(output, 'goscope-postgres: the output could not be written: the disk is full (ENOSPC)\n')
    assert.equal(code, 1)
  })
}

test('the exit code stays the same if messages cannot be written', { skip }, async () => {
  assert.deepEqual(await run(['frobnicate'], 'stderr'), { code: 2, output: '' })
})
