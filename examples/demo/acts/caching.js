// @ts-check
'use strict'

const { PostgresCacheAdapter } = require('goscope-postgres')

const PROCESSES = 4
const DIRECT_READS = 25
const CACHED_READS = 1500
const COUNTRIES = ['AR', 'AU', 'BR', 'CA', 'CD', 'CH', 'CL', 'CN', 'DE', 'FM', 'FR', 'GB', 'GL', 'ID', 'IN', 'JP']
const TTL = 60_000
const SHORT_TTL = 1000

const title = 'Reads served from the cache'

/** @typedef {Awaited<ReturnType<import('../crew.js').Crew['start']>>[number]} Member */

/** @param {import('../stage.js').Stage} stage */
async function run(stage) {
  stage.note(
    `${PROCESSES} processes count the time zones of ${COUNTRIES.length} countries, by a query that takes 20 ms`,
  )
  const readers = await stage.crew.start('caching', PROCESSES)
  const expected = await Promise.all(COUNTRIES.map((country) => countZones(stage.pool, country)))
  const direct = await read(stage, readers, 'readDirectly', DIRECT_READS, expected)
  stage.note(`without the cache ${direct.rate} reads/s`)
  const cached = await read(stage, readers, 'readThroughCache', CACHED_READS, expected)
  stage.note(`with it ${cached.rate} reads/s; hit ratio ${(cached.hits / cached.reads).toFixed(3)}`)
  const expiry = await watchExpiry(readers)
  await Promise.all(readers.map((reader) => reader.dismiss()))

  const reads = direct.reads + cached.reads
  stage.claim(
    'every value read was right',
    direct.right + cached.right === reads,
    `${direct.right + cached.right} of ${reads}`,
  )
  stage.claim(
    'no process ran the query twice for one country',
    cached.hits > 0 && cached.misses <= PROCESSES * COUNTRIES.length && cached.hits + cached.misses === cached.reads,
    `${cached.hits} hits, ${cached.misses} misses`,
  )
  const { lastHit, firstMiss, expiresAt } = expiry
  stage.claim(
    `an entry of ${SHORT_TTL} ms was served to its end and not after it`,
    lastHit > 0 && lastHit < expiresAt && firstMiss >= expiresAt,
    `hit ${(expiresAt - lastHit).toFixed(1)} ms before, miss ${(firstMiss - expiresAt).toFixed(1)} ms after`,
  )
}

/**
 * @param {import('../stage.js').Stage} stage
 * @param {Member[]} readers
 * @param {string} command
 * @param {number} count for each process
 * @param {number[]} expected
 */
async function read(stage, readers, command, count, expected) {
  const rows = readers.map(({ name }) => ({ name, done: 0, total: count, text: '' }))
  const started = performance.now()
  const outcomes = await stage.watch('reads', rows, () =>
    Promise.all(
      readers.map((reader, at) =>
        reader.ask(command, { count, expected }, (progress) => Object.assign(rows[at] ?? {}, progress)),
      ),
    ),
  )
  const seconds = (performance.now() - started) / 1000
  /** @param {'right' | 'hits' | 'misses'} figure */
  const sum = (figure) => outcomes.reduce((total, outcome) => total + outcome[figure], 0)
  const reads = count * readers.length
  return { reads, rate: Math.round(reads / seconds), right: sum('right'), hits: sum('hits'), misses: sum('misses') }
}

/**
 * One process stores an entry, another reads it until it is gone.
 *
 * @param {Member[]} readers
 */
async function watchExpiry([writer, reader]) {
  for (;;) {
    const expiresAt = await writer?.ask('storeBriefly')
    const seen = await reader?.ask('readUntilGone')
    // On a machine that stalls the entry may have ended before it was first read: then there was nothing to see.
    if (seen.lastHit > 0 || seen.firstMiss < expiresAt) return { expiresAt, ...seen }
  }
}

/**
 * @param {import('pg').Pool} pool
 * @param {string} country
 * @returns {Promise<number>}
 */
async function countZones(pool, country) {
  const { rows } = await pool.query(
    `SELECT count(*)::int AS count FROM demo_zones, pg_sleep(0.02) WHERE $1 = ANY (string_to_array(countries, ','))`,
    [country],
  )
  return rows[0].count
}

// What the processes do

/**
 * @param {import('../worker.js').Work} work
 * @param {{ count: number, expected: number[] }} order
 */
async function readDirectly(work, order) {
  return { right: await readAtRandom(work, order, (country) => countZones(work.pool, country)), hits: 0, misses: 0 }
}

/**
 * @param {import('../worker.js').Work} work
 * @param {{ count: number, expected: number[] }} order
 */
async function readThroughCache(work, order) {
  const cache = new PostgresCacheAdapter(work.pool, { tableName: 'demo_cache', keyPrefix: 'zones:' })
  await cache.initialize()
  const right = await readAtRandom(work, order, async (country) => {
    const known = await cache.get(country)
    if (known !== null) return known
    const count = await countZones(work.pool, country)
    await cache.set(country, count, TTL)
    return count
  })
  const { hits, misses } = await cache.stats()
  return { right, hits, misses }
}

/**
 * @param {import('../worker.js').Work} work
 * @param {{ count: number, expected: number[] }} order
 * @param {(country: string) => Promise<unknown>} look
 * @returns {Promise<number>} how many values were right
 */
async function readAtRandom({ progress }, { count, expected }, look) {
  let right = 0
  for (let done = 1; done <= count; done++) {
    const at = Math.floor(Math.random() * COUNTRIES.length)
    const country = COUNTRIES[at] ?? ''
    const value = await look(country)
    if (value === expected[at]) right++
    if (done % 10 === 0 || done === count) progress({ done, text: `${country} has ${value}` })
  }
  return right
}

/**
 * @param {import('../worker.js').Work} work
 * @returns {Promise<number>} when the entry will end, in milliseconds of the server's clock
 */
async function storeBriefly({ pool, adapter }) {
  // First, as each set removes what is over.
  await adapter.set('currencies', ['EUR', 'CHF'])
  await adapter.set('rates', { EUR: 1, CHF: 0.93 }, SHORT_TTL)
  const { rows } = await pool.query(
    "SELECT extract(epoch FROM expires_at) * 1000 AS ends FROM go_goscope_cache WHERE key = 'cache:rates'",
  )
  return Number(rows[0].ends)
}

/** @param {import('../worker.js').Work} work */
async function readUntilGone({ pool, adapter }) {
  for (let lastHit = 0; ; ) {
    const before = await serverTime(pool)
    const value = await adapter.get('rates')
    if (value === null) return { lastHit, firstMiss: await serverTime(pool) }
    lastHit = before
  }
}

/** @param {import('pg').Pool} pool */
async function serverTime(pool) {
  const { rows } = await pool.query('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now')
  return Number(rows[0].now)
}

module.exports = { title, run, commands: { readDirectly, readThroughCache, storeBriefly, readUntilGone } }
