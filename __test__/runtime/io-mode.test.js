// @ts-check
// @configurations last
// @without first: an addon that counts which thread reads, which is built for this; here the Rust tests of mode_choice run
// Which thread reads the server's answers. The addon is built once more for this test: it counts the reads of the event
// loop's thread.
'use strict'

const assert = require('node:assert/strict')
const { after, before, test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { buildProbeAddon } = require('../support/probe-addon.js')
const { startScript } = require('../support/script.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()
const built = buildProbeAddon(after)
built.catch(() => {}) // each test reports it

// Where there is no libuv that can watch a socket, the worker reads every answer.
const skip = process.platform === 'win32' && 'the event loop watches no sockets on Windows'

before(async () => {
  const adapter = new PostgresAdapter((await database).pool())
  await adapter.set('stuck', 0)
  await adapter.disconnect()
})

const CALLS = 200

/**
 * Starts a program with `gets()`, which makes calls one after the other, and `readsDuring(calls)`, which counts the reads
 * of the event loop's thread.
 *
 * @param {string} body
 */
async function start(body) {
  process.env.GOSCOPE_POSTGRES_NATIVE = await built
  return startScript(
    (await database).url,
    `
    const probe = require(process.env.GOSCOPE_POSTGRES_NATIVE)
    const readsDuring = async (calls) => {
      const before = probe.readsOnLoop()
      await calls()
      return probe.readsOnLoop() - before
    }
    const gets = async () => { for (let n = 0; n < ${CALLS}; n++) await adapter.get('free') }
    const waitsForLock = async () => {
      const sql = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
      return (await pool.query(sql)).rowCount > 0
    }
    ${body}
    await adapter.disconnect()`,
  )
}

test('calls one after the other: the event loop reads the answers', { skip }, async () => {
  const { code, stderr, said } = await (await start('await gets(); say(await readsDuring(gets))')).ended
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  assert.ok(said[0] >= CALLS / 2, `${said[0]} reads for ${CALLS} calls`)
})

for (const [title, calls] of [
  ['calls one after the other', 'gets()'],
  // Their answers come together, so there are fewer reads than calls.
  ['16 calls at a time', 'Promise.all(Array.from({ length: 16 }, gets))'],
]) {
  test(`while one call is stuck on a row lock, ${title}: the event loop reads the answers`, { skip }, async () => {
    const db = await database
    const holder = await db.hold("SELECT FROM go_goscope_cache WHERE key = 'cache:stuck' FOR UPDATE", [])
    const running = await start(`
      await gets()
      let settled = false
      const stuck = adapter.set('stuck', 1).then(() => { settled = true })
      await until(waitsForLock)
      const reads = await readsDuring(() => ${calls})
      say({ reads, settled })
      await stuck`)
    await until('the figures', () => running.said().length > 0 || running.child.exitCode !== null)
    await holder.commit()
    const { code, stderr, said } = await running.ended
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
    const [{ reads, settled }] = said
    assert.equal(settled, false, 'the row is still locked')
    assert.ok(reads >= CALLS / 2, `${reads} reads for ${CALLS} calls`)
  })
}
