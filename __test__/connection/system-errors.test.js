// @ts-check
// @configurations first
// Every error of the operating system has Node's code, number and call.
'use strict'

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const { promisify } = require('node:util')
const util = require('node:util')
const { failuresOfBoth } = require('../support/drivers.js')

const skip = process.platform === 'win32' ? 'it has no Unix sockets' : false

const fields = (/** @type {any} */ { code, errno, syscall, address, message }) => ({
  code,
  errno,
  syscall,
  address,
  message,
})

for (const [title, host, code] of [
  ['a socket directory that is a file', __filename, 'ENOTDIR'],
  ['a socket directory that is not there', '/nowhere/at/all', 'ENOENT'],
  ['a socket that is a file', 'file', 'ECONNREFUSED'],
]) {
  test(title, { skip }, async (t) => {
    const fs = require('node:fs')
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-errors-'))
    t.after(() => fs.rmSync(directory, { recursive: true }))
    fs.writeFileSync(path.join(directory, '.s.PGSQL.5432'), '')
    const [theirs, ours] = await failuresOfBoth({ host: host === 'file' ? directory : host, port: 5432, user: 'x' })
    assert.equal(ours.code, code)
    assert.deepEqual(fields(ours), fields(theirs))
  })
}

/** Uses up its descriptors, and prints the errors of both drivers for a connection attempt. */
const WITHOUT_DESCRIPTORS = `
const fs = require('node:fs')
const { Pool } = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const config = { host: '127.0.0.1', port: 1, user: 'x' }
const fieldsOf = ({ code, errno, syscall }) => ({ code, errno, syscall })
async function main() {
  const adapter = new PostgresAdapter(new Pool(config))
  const pool = new Pool(config)
  const both = () => Promise.all([pool.query('SELECT 1').catch(fieldsOf), adapter.has('x').catch(fieldsOf)])
  const before = await both()
  const open = []
  try { for (;;) open.push(fs.openSync('/dev/null')) } catch {}
  const without = await both()
  open.forEach((file) => fs.closeSync(file))
  console.log(JSON.stringify({ before, without }))
}
main()
`

test('no descriptor is left for a socket: EMFILE', { skip }, async () => {
  const { stdout } = await promisify(execFile)(
    '/bin/sh',
    ['-c', 'ulimit -n 120 && exec "$0" -e "$1"', process.execPath, WITHOUT_DESCRIPTORS],
    { cwd: path.join(__dirname, '../..') },
  )
  const { before, without } = JSON.parse(stdout)
  assert.equal(before[1].code, 'ECONNREFUSED')
  assert.deepEqual(before[1], before[0])
  assert.equal(without[1].code, 'EMFILE')
  assert.deepEqual(without[1], without[0])
})

/** Uses up its descriptors before the first of these calls. */
const FIRST_CALLS_WITHOUT_DESCRIPTORS = `
const fs = require('node:fs')
const { PostgresAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const config = { host: '127.0.0.1', port: 1, user: 'x' }
const [adapter, results] = [new PostgresAdapter(config), new PostgresIdempotencyAdapter(config)]
const open = []
async function main() {
  await adapter.has('x').catch(() => {})
  try { for (;;) open.push(fs.openSync('/dev/null')) } catch {}
  const calls = [
    adapter.getOrSet('key', () => 'computed', { onError: 'compute' }),
    adapter.lock('key', { ttl: 1000 }),
    results.run('key', () => 1),
  ]
  const outcomes = await Promise.allSettled(calls)
  open.forEach((file) => fs.closeSync(file))
  console.log(JSON.stringify(outcomes.map(({ value, reason }) => value ?? [reason.code, reason.syscall])))
}
main()
`

test('no descriptor is left at the first lock(), run() and getOrSet(): none of our files is read at that time', {
  skip,
}, async () => {
  const { stdout } = await promisify(execFile)(
    '/bin/sh',
    ['-c', 'ulimit -n 120 && exec "$0" -e "$1"', process.execPath, FIRST_CALLS_WITHOUT_DESCRIPTORS],
    { cwd: path.join(__dirname, '../..') },
  )
  const [computed, lock, run] = JSON.parse(stdout)
  assert.equal(computed, 'computed')
  for (const [code, syscall] of [lock, run]) {
    assert.equal(code, 'EMFILE')
    assert.notEqual(syscall, 'open')
  }
})

test('every system error has the name that Node gives it', () => {
  const { systemErrors } = require('../../lib/system-errors.js')
  const names = systemErrors()
  for (const number of Object.values(os.constants.errno)) {
    if (process.platform !== 'win32') assert.equal(names[number], nameOf(number), String(number))
    assert.match(names[number], /^E[A-Z0-9]+$/)
  }
})

/** @param {number} number */
function nameOf(number) {
  const name = util.getSystemErrorName(-number)
  // Node has no name for a few of the system's errors.
  const own = Object.entries(os.constants.errno).find(([, known]) => known === number)?.[0]
  return /^E[A-Z0-9]+$/.test(name) ? name : own
}
