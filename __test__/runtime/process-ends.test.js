// @ts-check
// @configurations first, last
// The process ends in the middle of its calls, in every possible way, and it has child processes.
'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { useDatabase } = require('../support/database.js')
const { runScript, startScript } = require('../support/script.js')
const { variants } = require('../support/variants.js')
const { inTime, until } = require('../support/waiting.js')

const database = useDatabase()

/** Calls for ever, few or many at a time. Each value records its own length, and is reported when acknowledged. */
const WRITERS = `
  await adapter.connect()
  for (let n = 0; n < input.writers; n++) {
    const write = async () => {
      for (let turn = 1; ; turn++) {
        await adapter.set(input.prefix + n, { turn, text: 'x'.repeat(turn % 5000), length: turn % 5000 })
        say([n, turn])
      }
    }
    write().catch(() => {})
  }`

/**
 * @param {string} body what runs after the writers have started
 * @param {string} prefix
 * @param {number} writers
 */
async function startWriters(body, prefix, writers) {
  const { url } = await database
  return startScript(url, `${WRITERS}; ${body}`, { input: { prefix, writers }, application: prefix })
}

/**
 * Checks that each value is whole and not older than the acknowledged one, and that the server has no session of the
 * process left.
 *
 * @param {string} prefix
 * @param {any[]} said
 */
async function assertWhole(prefix, said) {
  const db = await database
  await until('the end of its sessions', async () => {
    const left = await db.query('SELECT FROM pg_stat_activity WHERE application_name = $1', [prefix])
    return left.length === 0
  })
  const sql = 'SELECT key, value FROM go_goscope_cache WHERE starts_with(key, $1)'
  const rows = await db.query(sql, [`cache:${prefix}`])
  const found = new Map(rows.map(({ key, value }) => [key.slice(`cache:${prefix}`.length), value]))
  for (const { text, length } of found.values()) assert.equal(text.length, length, 'a write is whole')
  let acknowledged = 0
  for (const each of said.filter(Array.isArray)) {
    acknowledged++
    const value = found.get(String(each[0]))
    assert.ok(value && value.turn >= each[1], `turn ${each[1]} of writer ${each[0]} was acknowledged`)
  }
  return acknowledged
}

/** The moments at which the process ends itself. */
const MOMENTS = [
  'await sleep(100); END',
  'adapter.get("x").then(() => { END }); await new Promise(() => {})',
  'process.nextTick(() => { END }); await new Promise(() => {})',
]

for (const writers of [1, 40]) {
  test(`SIGTERM and SIGKILL during writes, ${writers} at a time: acknowledged values are stored whole`, async () => {
    let acknowledged = 0
    for (const signal of /** @type {const} */ (['SIGTERM', 'SIGKILL', 'SIGINT'])) {
      const prefix = `${signal}${writers}:`
      const running = await startWriters('', prefix, writers)
      await until('some writes', () => running.said().length > 100)
      running.child.kill(signal)
      const { signal: end, stderr, said } = await running.ended
      assert.deepEqual([end, stderr], [signal, ''])
      acknowledged += await assertWhole(prefix, said)
    }
    console.log(`# figure: ${writers} writers killed three times: ${acknowledged} acknowledged, none lost or half done`)
  })

  test(`SIGTERM with a handler that disconnects, ${writers} at a time: calls finish, then it ends`, async () => {
    const prefix = `graceful${writers}:`
    const running = await startWriters(
      "process.once('SIGTERM', async () => { await adapter.disconnect(); say('disconnected') })",
      prefix,
      writers,
    )
    await until('some writes', () => running.said().length > 100)
    running.child.kill('SIGTERM')
    const { code, signal, said, stderr } = await inTime('its end', running.ended)
    assert.deepEqual([code, signal, stderr, said.at(-1)], [0, null, '', 'disconnected'])
    await assertWhole(prefix, said)
  })

  test(`process.exit and an uncaught error in the middle, ${writers} at a time`, async () => {
    for (const [n, [end, expected]] of /** @type {[string, number][]} */ ([
      ['process.exit(7)', 7],
      ['process.exitCode = 8; process.exit()', 8],
      ["throw new Error('on purpose')", 1],
      ['process.reallyExit(9)', 9],
    ]).entries()) {
      for (const when of variants(MOMENTS)) {
        const prefix = `exit${writers}:${n}${when.length}:`
        const body = when.replace('END', end)
        const { code, signal, said } = await (await startWriters(body, prefix, writers)).ended
        assert.deepEqual({ code, signal }, { code: expected, signal: null }, `${end}, ${when}`)
        await assertWhole(prefix, said)
      }
    }
  })
}

test('process.exit while connecting, while disconnecting, with a pool of each kind', async () => {
  const { url } = await database
  for (const start of [
    'adapter.connect()',
    'adapter.disconnect()',
    "await adapter.get('x'); adapter.disconnect()",
    "new PostgresAdapter(url).get('x')",
    "await adapter.get('x'); new PostgresAdapter(url).get('x'); adapter.get('x')",
  ]) {
    const { code, signal, stderr } = await startScript(url, `${start}; process.exit(5)`).ended
    assert.deepEqual({ code, signal, stderr }, { code: 5, signal: null, stderr: '' }, start)
  }
})

test('cluster: the primary and its workers use the package, each with connections of its own', async () => {
  const { url } = await database
  const said = await runScript(
    url,
    `
    const cluster = require('node:cluster')
    const counts = (await Promise.all(Array.from({ length: 20 }, () => adapter.recordFailure('cluster', 1e6))))
    cluster.setupPrimary({ exec: require('node:path').resolve('__test__/support/counting.js'), execArgv: [], args: [url, 'cluster', '20'] })
    const workers = Array.from({ length: 3 }, () => cluster.fork())
    await Promise.all(workers.map((worker) => new Promise((resolve) => {
      worker.on('message', (received) => counts.push(...received)).process.once('close', resolve)
    })))
    counts.push(await adapter.recordFailure('cluster', 1e6))
    say(counts.sort((a, b) => a - b))
    await adapter.disconnect()`,
  )
  assert.deepEqual(
    said[0],
    Array.from({ length: 81 }, (_, n) => n + 1),
  )
})

test('fork: children of a process with calls in flight, some of them killed', async () => {
  const { url } = await database
  const said = await runScript(
    url,
    `
    const { fork } = require('node:child_process')
    const own = Array.from({ length: 200 }, () => adapter.recordFailure('fork', 1e6))
    const child = (rounds) => fork('__test__/support/counting.js', [url, 'fork', String(rounds)])
    const kept = Array.from({ length: 2 }, () => child(20))
    const killed = Array.from({ length: 2 }, () => child(1e9))
    const received = kept.map((each) => new Promise((resolve) => each.once('message', resolve)))
    const counts = (await Promise.all([...received, ...own])).flat()
    for (const each of killed) {
      const ended = new Promise((resolve) => each.once('exit', resolve))
      each.kill('SIGKILL')
      await ended
    }
    const last = await adapter.recordFailure('fork', 1e6)
    say([counts.length, new Set(counts).size, last > Math.max(...counts)])
    await adapter.disconnect()`,
  )
  assert.deepEqual(said[0], [240, 240, true])
})
