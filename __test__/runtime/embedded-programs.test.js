// @ts-check
// @configurations last
// @without first: other runtimes, a deep folder and fake timers; here runtime/embedded runs
// The throwaway server in programs other than plain Node: other runtimes, a deep temporary folder, fake timers.
'use strict'

const assert = require('node:assert/strict')
const { execFile, execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, mock, test } = require('node:test')
const { promisify } = require('node:util')
const { startPostgres } = require('goscope-postgres/embedded')
const { bun, deno, missing } = require('../support/runtimes.js')
const { until } = require('../support/waiting.js')

const root = path.join(__dirname, '../..')

/** Starts a server, uses it over TCP and its Unix socket, and stops it or just exits. */
const program = (/** @type {boolean} */ stops) => `
  const { startPostgres } = require(${JSON.stringify(path.join(root, 'embedded.js'))})
  const { PostgresAdapter } = require(${JSON.stringify(path.join(root, 'index.js'))})
  startPostgres().then(async (server) => {
    const { password } = new URL(server.url)
    const socket = { host: server.socketDirectory, port: server.port, user: 'postgres', database: 'postgres', password }
    for (const at of [server.url, socket]) {
      const adapter = new PostgresAdapter(at)
      await adapter.set('x', 1)
      if ((await adapter.get('x')) !== 1) throw new Error('not read back')
      await adapter.disconnect()
    }
    if (${stops}) await server.stop()
    console.log(JSON.stringify(server))
  })`

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-programs-'))
after(() => fs.rmSync(folder, { recursive: true, force: true }))
// The server's user, if it is another one, must be able to enter it.
fs.chmodSync(folder, 0o755)

/**
 * @param {string} runtime
 * @param {string[]} args
 * @param {boolean} stops
 * @param {NodeJS.ProcessEnv} [env]
 */
async function run(runtime, args, stops, env = process.env) {
  const file = path.join(folder, `${stops ? 'stops' : 'ends'}.cjs`)
  fs.writeFileSync(file, program(stops))
  const { stdout } = await promisify(execFile)(runtime, [...args, file], { cwd: root, timeout: 200_000, env })
  return JSON.parse(stdout)
}

/** @param {{ pid: number, socketDirectory: string, logFile: string }} server */
async function untilGone({ pid, socketDirectory, logFile }) {
  await until('the end of the server and its folders', () => {
    const isThere = [socketDirectory, path.dirname(logFile)].some((each) => fs.existsSync(each))
    return !isThere && !fs.existsSync(`/proc/${pid}`)
  })
}

for (const [name, runtime, args] of /** @type {[string, () => string, string[]][]} */ ([
  ['Bun', bun, []],
  ['Deno', deno, ['run', '--allow-all']],
])) {
  for (const stops of [true, false]) {
    test(`in ${name} a server ${stops ? 'is stopped' : 'ends with its process'}`, { skip: missing }, async () => {
      await untilGone(await run(runtime(), args, stops))
    })
  }
}

test('with a temporary folder of 100 characters, whose sockets would have paths that are too long', {
  skip: process.platform === 'win32',
}, async () => {
  const deep = path.join(folder, 'd'.repeat(100 - folder.length - 1))
  assert.equal(deep.length, 100)
  fs.mkdirSync(deep)
  for (const stops of [true, false]) {
    const server = await run(process.execPath, [], stops, { ...process.env, TMPDIR: deep })
    assert.ok(server.logFile.startsWith(deep))
    assert.equal(path.dirname(server.socketDirectory), '/tmp')
    await untilGone(server)
  }
  assert.deepEqual(fs.readdirSync(deep), [])
})

test('under fake timers, also if the process that keeps the server was killed', {
  skip: process.platform !== 'linux',
}, async () => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'setImmediate', 'Date'], now: 0 })
  try {
    const server = await startPostgres()
    const keeper = execFileSync('ps', ['-o', 'ppid=', '-p', String(server.pid)], { encoding: 'utf8' })
    process.kill(Number(keeper), 'SIGKILL')
    await server.stop()
    assert.equal(fs.existsSync(server.logFile), false)
  } finally {
    mock.timers.reset()
  }
})
