// @ts-check
// @configurations first
// Calls on one key keep their order while connections break under them.
'use strict'

const { test, before } = require('node:test')
const pg = require('pg')
const { PostgresAdapter } = require('goscope-postgres')
const { useDatabase } = require('../support/database.js')
const { Figures, SOAK_MINUTES, chance } = require('../support/figures.js')
const { startProxy } = require('../support/proxy.js')
const { inTime } = require('../support/waiting.js')

const database = useDatabase()
const ROUNDS = 25
const KEYS = ['a', 'b', 'c']
const SETS = 20

before(async () => {
  const db = await database
  await new PostgresAdapter(db.pool()).connect()
  // What the server does, in the order in which it does it. A row's trigger fires when the row is locked.
  await db.query(`
    CREATE TABLE done (n BIGSERIAL, key TEXT, value INTEGER);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN INSERT INTO done (key, value) VALUES (NEW.key, NEW.value::text::int); RETURN NULL; END $$;
    CREATE TRIGGER note AFTER INSERT OR UPDATE ON go_goscope_cache FOR EACH ROW EXECUTE FUNCTION note()`)
})

/** @typedef {{ value: number, isDone: boolean }} Set_ */

test('un-awaited sets and gets of a few keys, with a connection cut among them', async () => {
  const db = await database
  const proxy = await startProxy(db.url)
  const cache = new PostgresAdapter(new pg.Pool({ connectionString: proxy.url, max: 3 }))
  const random = chance()
  const figures = new Figures()
  const until = performance.now() + SOAK_MINUTES * 60_000
  for (let round = 0; round < ROUNDS || performance.now() < until; round++) {
    await db.query('TRUNCATE done, go_goscope_cache')
    const text = `cache:${KEYS[Math.floor(random() * KEYS.length)]}`
    const inAnswer = random() < 0.7
    const how = random() < 0.5 ? 'reset' : 'end'
    proxy.strikeNext(text, { in: inAnswer ? 'answer' : 'request', how, after: Math.floor(random() * 30) })
    await inTime('the round', Promise.all(KEYS.map((key) => oneKey(cache, key, figures, random))))
    figures.faults++
  }
  await cache.disconnect()
  figures.report('order of the calls on a key')

  /**
   * @param {PostgresAdapter} cache
   * @param {string} key
   * @param {Figures} figures
   * @param {() => number} random
   */
  async function oneKey(cache, key, figures, random) {
    /** @type {Set_[]} */
    const sets = []
    /** @type {Promise<void>[]} */
    const calls = []
    for (let value = 1; value <= SETS; value++) {
      const set = { value, isDone: false }
      sets.push(set)
      calls.push(
        cache.set(key, value).then(
          () => {
            set.isDone = true
          },
          (error) => figures.error(error, 'set'),
        ),
      )
      if (random() < 0.3) calls.push(readAfter(cache, key, figures, [...sets]))
      // Some are sent together, some one after another.
      if (random() < 0.2) await Promise.all(calls)
    }
    await Promise.all(calls)
    await readAfter(cache, key, figures, sets)
    figures.operations += calls.length + 1
    const rows = await db.query('SELECT value FROM done WHERE key = $1 ORDER BY n', [`cache:${key}`])
    const values = rows.map(({ value }) => value)
    for (let at = 1; at < values.length; at++) {
      if (values[at] <= values[at - 1]) figures.violation(`${key}: done as ${values}`)
    }
    for (const { value, isDone } of sets) {
      if (isDone && !values.includes(value)) figures.violation(`${key}: ${value} was acknowledged, done were ${values}`)
    }
  }

  /**
   * A read sees the last earlier set that took effect: an acknowledged one, or a later one whose outcome is unknown.
   *
   * @param {PostgresAdapter} cache
   * @param {string} key
   * @param {Figures} figures
   * @param {Set_[]} sets made before it
   */
  async function readAfter(cache, key, figures, sets) {
    const found = /** @type {number} */ ((await cache.get(key)) ?? 0)
    // They have settled by now, in the order of the calls.
    const last = sets.findLast(({ isDone }) => isDone)?.value ?? 0
    const made = sets.at(-1)?.value ?? 0
    if (found < last || found > made) figures.violation(`${key}: read ${found} behind ${last} to ${made}`)
  }
})

test('failures counted in one batch: all calls resolve or none, and each failure is counted once', async () => {
  const db = await database
  const proxy = await startProxy(db.url)
  const circuits = new PostgresAdapter(new pg.Pool({ connectionString: proxy.url, max: 3 }))
  const random = chance()
  const figures = new Figures()
  for (let round = 0; round < 20; round++) {
    const key = `together${round}`
    await circuits.recordFailure(key, 1e9)
    const isInAnswer = round % 2 === 0
    proxy.strikeNext(`circuit:${key}`, {
      in: isInAnswer ? 'answer' : 'request',
      how: 'reset',
      after: Math.floor(random() * 30),
    })
    const calls = Array.from({ length: 60 }, () => circuits.recordFailure(key, 1e9))
    const outcomes = await inTime('the failures', Promise.allSettled(calls))
    figures.operations += calls.length
    figures.faults++
    /** @type {number[]} */
    const received = []
    for (const one of outcomes) {
      if (one.status === 'fulfilled') received.push(one.value)
      else figures.error(one.reason, 'recordFailure')
    }
    const count = (await circuits.getState(key))?.failureCount ?? 0
    if (new Set(received).size !== received.length) figures.violation(`${key}: received ${received}`)
    if (received.some((n, at) => at > 0 && n <= received[at - 1]))
      figures.violation(`${key}: out of order, ${received}`)
    if (count < received.length + 1 || count > calls.length + 1)
      figures.violation(`${key}: ${count} of ${received.length} received`)
  }
  await circuits.disconnect()
  figures.report('failures of one breaker counted together')
})
