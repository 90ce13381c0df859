// @ts-check
// @configurations first
// A primary dies or is demoted under load, and its streaming standby is promoted. One adapter uses one URL with both
// hosts.
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')
const { PostgresAdapter } = require('goscope-postgres')
const { SOAK_MINUTES } = require('../support/figures.js')
const { STANDBY, startReplication } = require('../support/replication.js')
const { inTime, until } = require('../support/waiting.js')

const skip = process.platform === 'linux' ? false : 'the servers are found through /proc'

/** How often each failover runs, at least. A soak repeats it for its share of the minutes. */
const ROUNDS = Number(process.env.GOSCOPE_FAILOVERS ?? 1)
const SOAK_MS = (SOAK_MINUTES * 60_000) / 4
const APPLICATION = 'failover'
const SYNCHRONOUS = { synchronous_standby_names: STANDBY, synchronous_commit: 'on' }

/** Enough calls that there is load when the fault comes. */
const CALLS_BEFORE = 300
const CALLS_AFTER = 300

/**
 * The errors that a call may fail with while no server accepts writes: SQLSTATEs, Node's codes, and pg's message
 * without a code.
 */
const ALLOWED =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|57P0[123]|08006|08003|25006|ERR_GOSCOPE_TARGET_SESSION|Connection terminated unexpectedly|Connection terminated due to connection timeout)$/

/**
 * @param {Record<string, string>} settings
 * @param {(replication: Awaited<ReturnType<typeof startReplication>>, load: Load) => Promise<void>} work
 */
async function withLoad(settings, work) {
  const end = performance.now() + SOAK_MS
  for (let round = 0; round < ROUNDS || performance.now() < end; round++) {
    const replication = await startReplication(settings)
    const load = new Load(replication.url)
    try {
      await load.start()
      await work(replication, load)
    } finally {
      await load.stop()
      await replication.stop()
    }
  }
}

/** Writers that each repeat one call for ever, and record what was acknowledged. */
class Load {
  acknowledged = 0
  lastSuccess = 0
  /** When the first call that was made after `mark()` succeeded. */
  firstSuccess = 0
  #mark = Infinity
  /** @type {Map<string, number>} */
  failures = new Map()
  /** The last acknowledged value of each key. */
  /** @type {Map<string, number>} */
  values = new Map()
  /** @type {Map<string, number>} */
  counts = new Map()
  /** @type {Set<string>} */
  locks = new Set()
  /** @type {Map<string, number>} */
  checkpoints = new Map()
  #ends = false
  /** @type {Promise<void>[]} */
  #writers = []

  /** @param {string} url */
  constructor(url) {
    this.adapter = new PostgresAdapter({
      connectionString: url,
      max: 4,
      application_name: APPLICATION,
      connectionTimeoutMillis: 20_000,
    })
  }

  async start() {
    await this.adapter.connect()
    for (let n = 0; n < 4; n++) {
      const [key, task] = [`key${n}`, `task${n}`]
      this.#repeat(async (turn) => {
        await this.adapter.set(key, turn)
        this.values.set(key, turn)
      })
      this.#repeat(async () => {
        this.counts.set(key, await this.adapter.recordFailure(key, 1_000_000_000))
      })
      this.#repeat(async (turn) => {
        const lock = `${key}:${turn}`
        assert.ok(await this.adapter.acquire(lock, 3_600_000, `owner of ${lock}`), `${lock} is held by this owner only`)
        this.locks.add(lock)
      })
      this.#repeat(async (turn) => {
        const checkpoint = {
          id: `${task}:${turn}`,
          taskId: task,
          sequence: turn,
          timestamp: turn,
          progress: 1,
          data: turn,
        }
        await this.adapter.save(checkpoint)
        this.checkpoints.set(task, turn)
      })
    }
    await this.goesOn(CALLS_BEFORE)
  }

  /** @param {(turn: number) => Promise<void>} call */
  #repeat(call) {
    const run = async () => {
      for (let turn = 1; !this.#ends; turn++) {
        const made = performance.now()
        try {
          await call(turn)
          this.acknowledged++
          if (made > this.#mark && this.firstSuccess === 0) this.firstSuccess = performance.now()
        } catch (/** @type {any} */ error) {
          if (error instanceof assert.AssertionError) throw error
          const what = error.code ?? error.message
          this.failures.set(what, (this.failures.get(what) ?? 0) + 1)
          await sleep(5)
        }
      }
    }
    this.#writers.push(run())
  }

  /** Calls made from here on are after the fault. */
  mark() {
    this.#mark = performance.now()
    return this.#mark
  }

  /** @param {number} calls that must succeed from here on */
  async goesOn(calls) {
    const enough = this.acknowledged + calls
    await Promise.race([until(`${calls} calls`, () => this.acknowledged >= enough), Promise.all(this.#writers)])
  }

  async stop() {
    this.#ends = true
    await inTime('the end of the writers', Promise.all(this.#writers))
    await this.adapter.disconnect()
  }

  /** Stops, and counts the acknowledged writes that this server lacks. */
  async lostOn(/** @type {{ query: (sql: string) => Promise<any[]> }} */ server) {
    this.#ends = true
    await inTime('the end of the writers', Promise.all(this.#writers))
    const read = async (/** @type {string} */ sql) => new Map((await server.query(sql)).map(({ k, v }) => [k, v]))
    const values = await read('SELECT substr(key, 7) AS k, value::text::int AS v FROM go_goscope_cache')
    const counts = await read('SELECT substr(key, 9) AS k, failure_count AS v FROM go_goscope_circuit')
    const locks = await read('SELECT substr(key, 6) AS k, owner AS v FROM go_goscope_locks')
    const last = await read('SELECT task_id AS k, max(sequence)::int AS v FROM go_goscope_checkpoints GROUP BY task_id')
    let lost = 0
    for (const [key, value] of this.values) if (!((values.get(key) ?? 0) >= value)) lost++
    for (const [key, count] of this.counts) if (!((counts.get(key) ?? 0) >= count)) lost++
    for (const lock of this.locks) if (locks.get(lock) !== `owner of ${lock}`) lost++
    for (const [task, sequence] of this.checkpoints) if (!((last.get(task) ?? 0) >= sequence)) lost++
    return lost
  }

  /** Reports the failures, and checks that each is an expected one. */
  said() {
    const strange = [...this.failures.keys()].filter((what) => !ALLOWED.test(what))
    assert.deepEqual(strange, [], 'failures with another cause than that no server accepts writes')
    return [...this.failures].map(([what, count]) => `${what} ${count}`).join(', ') || 'none'
  }
}

/**
 * @param {string} title
 * @param {Load} load
 * @param {number} promoted
 * @param {number} lost
 */
function print(title, load, promoted, lost, violations = lost) {
  const after = Math.max(0, load.firstSuccess - promoted).toFixed(0)
  const counts = `${load.acknowledged} operations, 1 faults, ${violations} violations`
  console.log(`# figure: ${title}: ${counts}; ${lost} lost, first success ${after} ms after the promotion`)
  console.log(`# note: failures meanwhile: ${load.said()}`)
}

test('synchronous: the primary dies under load; acknowledged writes are there, and their locks are held', {
  skip,
}, async () => {
  await withLoad(SYNCHRONOUS, async (replication, load) => {
    const { primary, standby } = replication
    await primary.kill()
    const promoted = await replication.promote()
    load.mark()
    await load.goesOn(CALLS_AFTER)

    // The old primary comes back. It is the first host and accepts no writes, so no connection may stay on it.
    await primary.start({ default_transaction_read_only: 'on', synchronous_standby_names: '' })
    await standby.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [
      APPLICATION,
    ])
    await load.goesOn(CALLS_AFTER)
    await until('the new connections', async () => (await standby.sessions(APPLICATION)) > 0)
    await until('no session is left on the old primary', async () => (await primary.sessions(APPLICATION)) === 0)
    const lost = await load.lostOn(standby)
    print('synchronous failover', load, promoted, lost)
    assert.equal(lost, 0)
  })
})

test('synchronous: without its standby the primary acknowledges nothing', { skip }, async () => {
  await withLoad(SYNCHRONOUS, async (replication, load) => {
    await replication.cutOff()
    let answered = false
    const waiting = load.adapter.set('unheard', 1).then(
      () => (answered = true),
      (error) => error,
    )
    // The statement waits for the standby. A client that took the call to be done would be seen here.
    await until('it waits for the standby', async () => {
      const waits = await replication.primary.query("SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
      return waits.length > 0
    })
    assert.equal(answered, false)
    await replication.primary.kill()
    const promoted = await replication.promote()
    load.mark()
    await load.goesOn(CALLS_AFTER)
    const outcome = await inTime('the end of the call', waiting)
    if (outcome !== true) assert.match(outcome.code ?? outcome.message, ALLOWED)
    const lost = await load.lostOn(replication.standby)
    print('synchronous failover to a standby that was cut off', load, promoted, lost)
    assert.equal(lost, 0)
  })
})

test('asynchronous: the adapter continues with the new primary; writes that the standby had not received are lost', {
  skip,
}, async () => {
  await withLoad({}, async (replication, load) => {
    assert.ok(await load.adapter.acquire('kept', 3_600_000, 'first'))
    await replication.caughtUp()
    await replication.cutOff()
    // Acknowledged by a server that is about to be lost, and the lock with it.
    assert.ok(await load.adapter.acquire('lost', 3_600_000, 'first'))
    await load.goesOn(CALLS_BEFORE)
    await replication.primary.kill()
    const promoted = await replication.promote()
    load.mark()
    await load.goesOn(CALLS_AFTER)
    assert.equal(await load.adapter.acquire('kept', 1_000, 'second'), null)
    assert.ok(
      await load.adapter.acquire('lost', 1_000, 'second'),
      'docs/locks.md: a lock in a commit that a failover loses is lost',
    )
    const lost = await load.lostOn(replication.standby)
    print('asynchronous failover to a standby that was cut off', load, promoted, lost, 0)
  })
})

test('a primary that becomes read-only under its connections: they move to the new one, and nothing is lost', {
  skip,
}, async () => {
  await withLoad({}, async (replication, load) => {
    const { primary, standby } = replication
    await primary.query('ALTER SYSTEM SET default_transaction_read_only = on')
    await primary.query('SELECT pg_reload_conf()')
    await until('the old primary refuses a call', () => load.failures.size > 0)
    await replication.caughtUp()
    const promoted = await replication.promote()
    load.mark()
    await load.goesOn(CALLS_AFTER)
    await until('no session is left on the old primary', async () => (await primary.sessions(APPLICATION)) === 0)
    assert.ok((await standby.sessions(APPLICATION)) > 0)
    const lost = await load.lostOn(standby)
    print('switch-over by 25006', load, promoted, lost)
    assert.equal(lost, 0)
  })
})
