// @ts-check
// @configurations first, last
// Each example program runs, and prints its output.txt. The application of examples/compose runs in two processes.
'use strict'

const assert = require('node:assert/strict')
const { execFile, spawn, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { promisify } = require('node:util')
const { useDatabase } = require('../support/database.js')
const { variants } = require('../support/variants.js')

const root = path.join(__dirname, '..', '..')
const examples = path.join(root, 'examples')
// These are tested elsewhere: `npm run demo`, packaging/hosts, integrations/examples, and below.
const ELSEWHERE = ['compose', 'demo', 'hosts', 'integrations']

const names = fs.readdirSync(examples).filter((name) => !ELSEWHERE.includes(name))
for (const name of variants(names, 3)) {
  test(`examples/${name}`, () => {
    const program = path.join(examples, name, 'main.js')
    // A server of its own, as on the machine of a reader who tries it.
    const { DATABASE_URL: _, ...env } = process.env
    const run = spawnSync(process.execPath, [program], { cwd: root, env, encoding: 'utf8', timeout: 120_000 })
    assert.equal(run.status, 0, `${run.stdout}${run.stderr}`)
    assert.equal(run.stderr, '')
    const expected = fs.readFileSync(path.join(examples, name, 'output.txt'), 'utf8')
    assert.equal(run.stdout, expected)
  })
}

const database = useDatabase()

// On Linux, each address of 127.0.0.0/8 is the machine's own, and the last one is not that of localhost.
test('the server of examples/graceful-shutdown is reached by the checks of a host, on every interface or on HOST', {
  skip: process.platform !== 'linux' && 'needs a second address',
}, async () => {
  const { url } = await database
  const program = path.join(examples, 'graceful-shutdown/server.js')
  for (const [host, isReached] of /** @type {[string | undefined, boolean][]} */ ([
    [undefined, true],
    ['127.0.0.1', false],
  ])) {
    const { HOST: _, ...given } = process.env
    const env = { ...given, ...(host && { HOST: host }), DATABASE_URL: url, PORT: '0', DRAIN_MS: '0' }
    const server = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = await once(server.stdout, 'data')
    const port = /\d+/.exec(String(line))?.[0]
    const status = (/** @type {string} */ address) =>
      fetch(`http://${address}:${port}/ready`).then(
        (response) => response.status,
        () => 0,
      )
    assert.equal(await status('127.0.0.1'), 200)
    assert.equal(await status('127.0.0.2'), isReached ? 200 : 0)
    server.kill('SIGTERM')
    await once(server, 'exit')
  }
})

test('examples/compose: of two processes one makes each report, and no visit is lost', async () => {
  const { url } = await database
  const run = async (/** @type {string} */ name) => {
    const env = { ...process.env, DATABASE_URL: url, HOSTNAME: name, ROUNDS: '3' }
    const program = path.join(examples, 'compose/app.js')
    return (await promisify(execFile)(process.execPath, [program], { env, timeout: 60_000 })).stdout
  }
  const lines = (await Promise.all(['Ada', 'Bob'].map(run))).join('').trim().split('\n')
  for (const round of [1, 2, 3]) {
    const made = lines.filter((line) => line.endsWith(`makes report ${round}`))
    assert.equal(made.length, 1, lines.join('\n'))
    const [maker] = String(made[0]).split(' ')
    assert.equal(lines.filter((line) => line.endsWith(`has report ${round} by ${maker}`)).length, 2)
  }
  const visits = lines.flatMap((line) => /is visit (\d+)$/.exec(line)?.[1] ?? [])
  assert.deepEqual(visits.map(Number).sort(), [1, 2, 3, 4, 5, 6])
})
