// @ts-check
// @configurations first
// The event loop is blocked. While few calls are in flight, the loop's own thread executes them, so a call could be
// left waiting here: the runtime's worker must take over, and hand the work back later.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { runScript, startScript } = require('../support/script.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-blocked-'))
after(() => fs.rmSync(folder, { recursive: true, force: true }))

/** Ways for a program to block its event loop until a file exists. */
const BLOCKS = {
  'a busy loop': 'while (!fs.existsSync(input.file));',
  'Atomics.wait': `
    const cell = new Int32Array(new SharedArrayBuffer(4))
    while (!fs.existsSync(input.file)) Atomics.wait(cell, 0, 0, 20)`,
  'a synchronous child process':
    "require('node:child_process').execFileSync('sh', ['-c', 'until [ -e \"$0\" ]; do sleep 0.02; done', input.file])",
}

/**
 * Waits until the cache's table holds so many keys under a prefix.
 *
 * @param {ReturnType<typeof startScript>} running
 * @param {string} prefix
 * @param {number} count
 */
async function carriedOut(running, prefix, count) {
  const db = await database
  await until('the calls are executed', async () => {
    assert.equal(running.child.exitCode, null, 'the process has ended')
    const sql = 'SELECT count(*)::int AS n FROM go_goscope_cache WHERE starts_with(key, $1)'
    const rows = await db.query(sql, [`cache:${prefix}`]).catch(() => [{ n: 0 }])
    return rows[0].n === count
  })
}

for (const [way, block] of Object.entries(BLOCKS)) {
  for (const calls of [1, 8, 200]) {
    test(`${way}, with ${calls} in flight: they execute during it and settle after it`, async () => {
      const db = await database
      const prefix = `${way.replaceAll(/\W/g, '')}${calls}:`
      const file = path.join(folder, prefix)
      const running = startScript(
        db.url,
        `
        await adapter.connect()
        for (let n = 0; n < 3; n++) await adapter.get('warm')
        const calls = Array.from({ length: input.calls }, (_, n) => adapter.set(input.prefix + n, n))
        await null // the synchronous part of each call is done
        await null
        ${block}
        await Promise.all(calls)
        say(await adapter.get(input.prefix + (input.calls - 1)))
        await adapter.disconnect()`,
        { input: { file, calls, prefix } },
      )
      const [{ ended }] = [running]
      await carriedOut(running, prefix, calls)
      assert.deepEqual(running.said(), [], 'the event loop was blocked all the time')
      fs.writeFileSync(file, '')
      const { code, signal, stderr, said } = await ended
      assert.deepEqual({ code, signal, stderr, said }, { code: 0, signal: null, stderr: '', said: [calls - 1] })
    })
  }
}

test('an extension requested before the loop blocks takes effect while it is blocked', async () => {
  const db = await database
  const file = path.join(folder, 'extend')
  const running = startScript(
    db.url,
    `
    const handle = await adapter.acquire('blocked', 3_600_000, 'me')
    const extended = handle.extend(7_200_000)
    await null
    await null
    while (!fs.existsSync(input.file));
    say(await extended)
    await adapter.disconnect()`,
    { input: { file } },
  )
  await until('the extension', async () => {
    const sql = `SELECT FROM go_goscope_locks
      WHERE key = 'lock:blocked' AND expires_at > timezone('UTC', now()) + interval '90 minutes'`
    return (await db.query(sql).catch(() => [])).length === 1
  })
  fs.writeFileSync(file, '')
  assert.deepEqual((await running.ended).said, [true])
})

test('few calls, many, and few again, with a loop that stalls at random: order and answers are right', async () => {
  const rounds = 60
  const [answers] = await runScript(
    (await database).url,
    `
    await adapter.connect()
    let seed = 12345
    const random = (n) => ((seed = (seed * 1103515245 + 12345) % 2147483648) >>> 12) % n
    const stall = (ms) => { const end = performance.now() + ms; while (performance.now() < end); }
    const adapters = [adapter, new PostgresAdapter(new pg.Pool({ connectionString: url, max: 2 }), { keyPrefix: 'two:' })]
    let calls = 0, wrong = 0
    for (let round = 0; round < input.rounds; round++) {
      for (const [a, each] of adapters.entries()) {
        const many = [1, 2, 60, 70, 300][random(5)]
        const pending = []
        for (let n = 0; n < many; n++) {
          const key = 'k' + random(20)
          const value = round * 1000 + n
          pending.push(each.set(key, value), each.get(key).then((got) => { if (got !== value) wrong++ }))
          if (random(40) === 0) { await null; stall(random(25)) }
        }
        if (random(3) === 0) stall(random(30))
        await Promise.all(pending)
        calls += pending.length
      }
    }
    say({ calls, wrong })
    for (const each of adapters) await each.disconnect()`,
    { input: { rounds } },
  )
  console.log(`# figure: ${answers.calls} calls between stalls, ${answers.wrong} answers out of order`)
  assert.equal(answers.wrong, 0)
})

test('values larger than any socket buffer, one at a time and many: the socket buffers fill and drain', async () => {
  const adapter = new PostgresAdapter((await database).pool({ max: 2 }))
  await adapter.connect()
  const large = (/** @type {number} */ n) => `${n}${'x'.repeat(3 << 20)}`
  for (let n = 0; n < 3; n++) {
    await adapter.set('large', large(n))
    assert.equal(await adapter.get('large'), large(n))
  }
  const keys = Array.from({ length: 12 }, (_, n) => n)
  const small = keys.map((n) => adapter.set(`small${n}`, n))
  await Promise.all([...keys.map((n) => adapter.set(`large${n % 4}`, large(n))), ...small])
  const found = await Promise.all(keys.map((n) => adapter.get(`large${n % 4}`)))
  assert.deepEqual(
    found.map((value) => String(value).slice(0, 2)),
    keys.map((n) => large(8 + (n % 4)).slice(0, 2)),
  )
  assert.deepEqual(await Promise.all(keys.map((n) => adapter.get(`small${n}`))), keys)
  await adapter.disconnect()
})

test('a continuation that blocks the loop does not stop the calls queued behind it', async () => {
  const db = await database
  const prefix = 'behind:'
  const file = path.join(folder, prefix)
  const running = startScript(
    db.url,
    `
    await adapter.connect()
    for (let n = 0; n < 3; n++) await adapter.get('warm')
    const answered = () => {
      say('answered')
      ${BLOCKS['a busy loop']}
    }
    const first = adapter.set(input.prefix + 'first', 0).then(answered)
    for (let turn = 0; turn < 10; turn++) await null // it is in flight, and the event loop has not advanced
    const behind = Array.from({ length: 3 }, (_, n) => adapter.set(input.prefix + n, n))
    await Promise.all([first, ...behind])
    await adapter.disconnect()`,
    { input: { file, prefix } },
  )
  await carriedOut(running, prefix, 4)
  fs.writeFileSync(file, '')
  const { code, signal, stderr, said } = await running.ended
  assert.deepEqual({ code, signal, stderr, said }, { code: 0, signal: null, stderr: '', said: ['answered'] })
})

test('a call stuck on a row lock and the call behind it: they execute while the loop is blocked', async () => {
  const db = await database
  const file = path.join(folder, 'stuck')
  const warm = new PostgresAdapter(db.pool())
  await warm.set('stuck', 0)
  await warm.disconnect()
  const holder = await db.hold("SELECT FROM go_goscope_cache WHERE key = 'cache:stuck' FOR UPDATE", [])
  const running = startScript(
    db.url,
    `
    await adapter.connect()
    const calls = [adapter.set('stuck', 1), adapter.set('stuck', 2)]
    // Other calls are answered meanwhile, so the event loop's thread has the work of the others.
    for (const end = Date.now() + 500; Date.now() < end; ) await adapter.get('free')
    say('blocked')
    ${BLOCKS['a busy loop']}
    await Promise.all(calls)
    await adapter.disconnect()`,
    { input: { file } },
  )
  await until('the loop is blocked', () => running.said().length > 0 || running.child.exitCode !== null)
  await holder.commit()
  await until('the calls are executed', async () => {
    const [row] = await db.query("SELECT value::text FROM go_goscope_cache WHERE key = 'cache:stuck'")
    return row.value === '2'
  })
  fs.writeFileSync(file, '')
  const { code, signal, stderr, said } = await running.ended
  assert.deepEqual({ code, signal, stderr, said }, { code: 0, signal: null, stderr: '', said: ['blocked'] })
})
