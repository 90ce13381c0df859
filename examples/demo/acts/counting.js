// @ts-check
'use strict'

const { setTimeout: delay } = require('node:timers/promises')

const PROCESSES = 6
const ROUNDS = 40
const TOTAL = PROCESSES * ROUNDS
// Well beyond the few milliseconds of a turn: a lock is a lease, and who outlives it no longer holds it.
const TURN_TTL = 60_000
const ORPHAN_TTL = 1500

const title = 'Counting under a lock, whose holder is killed'

/** @typedef {Awaited<ReturnType<import('../crew.js').Crew['start']>>[number]} Member */

/** @param {import('../stage.js').Stage} stage */
async function run(stage) {
  await stage.pool.query('CREATE TABLE demo_counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL)')
  const [victim, ...counters] = await stage.crew.start('counting', PROCESSES + 1)
  if (!victim) throw new Error('there is no process to kill')
  stage.note(`${PROCESSES} processes add 1 to a row ${ROUNDS} times each, by a SELECT and then an UPDATE`)

  await count(stage, counters, false)
  const unguarded = await counted(stage)
  stage.note(`without the lock ${TOTAL - unguarded} of ${TOTAL} updates were lost; now with it`)

  /** @type {any} */
  let orphan
  const turns = await count(stage, counters, true, async () => {
    orphan = await victim.ask('hold')
    await victim.kill()
    stage.note(`${victim.name} was killed with ${victim.signal} while it held the lock; its row is still there:`)
    stage.note(`  ${orphan.row}`)
  })
  await Promise.all(counters.map((counter) => counter.dismiss()))

  const guarded = await counted(stage)
  const next = turns.find(({ found }) => found === orphan.found)
  const held = next ? next.at - orphan.askedAt : Infinity
  const waits = turns.map(({ wait }) => wait).sort((a, b) => a - b)
  stage.note(`wait for a turn: median ${ms(waits[TOTAL / 2])}, longest ${ms(waits.at(-1))}, behind the killed holder`)
  stage.claim('no update was lost under the lock', guarded === TOTAL, `${guarded} of ${TOTAL}`)
  stage.claim(
    `the killed holder's lock came back after its ${ORPHAN_TTL} ms`,
    victim.signal === 'SIGKILL' && held >= ORPHAN_TTL && held < Infinity,
    `${ms(held)} by the server's clock`,
  )
}

/** @typedef {{ wait: number, found: number, at: number }} Turn */

/**
 * @param {import('../stage.js').Stage} stage
 * @param {Member[]} counters
 * @param {boolean} guarded
 * @param {() => Promise<void>} [halfway]
 * @returns {Promise<Turn[]>}
 */
async function count(stage, counters, guarded, halfway) {
  await stage.pool.query(
    "INSERT INTO demo_counter VALUES ('clicks', 0) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
  )
  const rows = counters.map(({ name }) => ({ name, done: 0, total: ROUNDS, text: '' }))
  return await stage.watch('increments', rows, async () => {
    /** @type {(value?: unknown) => void} */
    let reachHalf = () => {}
    const interlude = new Promise((resolve) => (reachHalf = resolve)).then(halfway)
    const working = counters.map((counter, at) =>
      counter.ask('increment', { guarded }, ({ done, text }) => {
        Object.assign(rows[at] ?? {}, { done, text })
        if (rows.reduce((sum, row) => sum + row.done, 0) >= TOTAL / 2) reachHalf()
      }),
    )
    /** @type {any[]} */
    const [, ...turns] = await Promise.all([interlude, ...working])
    return turns.flat()
  })
}

/** @param {import('../stage.js').Stage} stage */
async function counted(stage) {
  const { rows } = await stage.pool.query("SELECT value FROM demo_counter WHERE name = 'clicks'")
  return rows[0].value
}

/** @param {number | undefined} milliseconds */
const ms = (milliseconds = 0) => `${milliseconds.toFixed(1)} ms`

// What the processes do

/**
 * @param {import('../worker.js').Work} work
 * @param {{ guarded: boolean }} order
 */
async function increment({ pool, adapter, progress }, { guarded }) {
  /** @type {Turn[]} */
  const turns = []
  for (let done = 1; done <= ROUNDS; done++) {
    if (guarded) progress({ done: done - 1, text: 'waiting for the lock' })
    const asked = performance.now()
    const lock = guarded ? await poll(() => adapter.acquire('counter', TURN_TTL)) : undefined
    const wait = performance.now() - asked
    const { found, at } = await look(pool)
    await pool.query("UPDATE demo_counter SET value = $1 WHERE name = 'clicks'", [found + 1])
    await lock?.release()
    turns.push({ wait, found, at })
    progress({ done, text: lock ? `waited ${ms(wait)}` : '' })
    // A process that asked again at once would leave the others little chance.
    await delay(Math.random() * 4)
  }
  return turns
}

/** @param {import('../worker.js').Work} work */
async function hold({ pool, adapter }) {
  const owner = `victim ${process.pid}`
  return await poll(async () => {
    const { at: askedAt } = await look(pool)
    if (!(await adapter.acquire('counter', ORPHAN_TTL, owner))) return null
    const { rows } = await pool.query(
      `SELECT value AS found, row_to_json(held)::text AS row FROM go_goscope_locks AS held, demo_counter
       WHERE key = 'lock:counter' AND owner = $1 AND expires_at > timezone('UTC', clock_timestamp())`,
      [owner],
    )
    // On a machine that stalls the lease may be over by now: then once more.
    return rows[0] ? { askedAt, ...rows[0] } : null
  })
}

/**
 * @template T
 * @param {() => Promise<T | null>} attempt
 */
async function poll(attempt) {
  for (;;) {
    const outcome = await attempt()
    if (outcome !== null) return outcome
    await delay(Math.random() * 10)
  }
}

/**
 * The counter, and the server's clock in milliseconds.
 *
 * @param {import('pg').Pool} pool
 * @returns {Promise<{ found: number, at: number }>}
 */
async function look(pool) {
  const { rows } = await pool.query(
    `SELECT value AS found, (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS at
     FROM demo_counter WHERE name = 'clicks'`,
  )
  return rows[0]
}

module.exports = { title, run, commands: { increment, hold } }
