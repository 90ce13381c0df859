// @ts-check
// The cost of a call with more and more rows in its table: windows on tables of all sizes, one after the other.
'use strict'

const { Pool } = require('pg')
const { PostgresAdapter, PostgresIdempotencyAdapter } = require('goscope-postgres')
const { number, spread, times } = require('../figures.js')
const { KEYS, ROWS_OPERATIONS, VALUE } = require('../operations.js')
const { Side } = require('../side.js')

const SIZES = [1000, 10_000, 100_000, 1_000_000]
const HUGE = 10_000_000

/**
 * One at a time, a call costs a round trip, as its caller sees it. Several share that, and what is left is the server's
 * search in index and table: of a large one, more pages than its processor's caches hold.
 */
const IN_FLIGHT = [1, 16]
const LEAD = 0.3

/**
 * Before each window, by then a checkpoint has just been made: the first write to a page after one puts the whole page into
 * the log, and in a large table each key has pages of its own. That is paid once a checkpoint, not once a call. So each
 * key is called before the clock runs.
 */
const WARM_UP = { inFlight: 16, leadMs: 0, ms: 250 }

/** So that filling is bound by the processors, not by checkpoints. The defaults are back before anything is measured. */
const WHILE_FILLING = { full_page_writes: 'off', max_wal_size: "'8GB'", checkpoint_timeout: "'30min'" }

/**
 * In no order that the index has, as rows are that have come one by one; the keys in use are anywhere among them. The
 * factor has no divisor in common with the sizes, so each number comes once; to sort ten million takes minutes.
 */
const NUMBERS = (/** @type {number} */ rows) =>
  `(SELECT i * 6180339887 % ${rows} AS n FROM generate_series(0::bigint, ${rows - 1}) AS i) AS numbers`
const EXPIRY = "timezone('UTC', now()) + INTERVAL '10 days' * (1 + random())"
const JSON_VALUE = `'${JSON.stringify(VALUE)}'::jsonb`

/**
 * @param {number} rows
 * @returns {string[]} the statements that fill each table with as many rows
 */
const fillings = (rows) => [
  `INSERT INTO go_goscope_cache (key, value, expires_at)
   SELECT 'cache:key:' || n, ${JSON_VALUE}, ${EXPIRY} FROM ${NUMBERS(rows)}`,
  `INSERT INTO go_goscope_idempotency (key, value, expires_at)
   SELECT 'key:' || n, ${JSON_VALUE}, now() + INTERVAL '10 days' * (1 + random()) FROM ${NUMBERS(rows)}`,
  `INSERT INTO go_goscope_locks (key, owner, expires_at)
   SELECT 'lock:held:' || n, gen_random_uuid(), ${EXPIRY} FROM ${NUMBERS(rows)}`,
  `INSERT INTO go_goscope_circuit (key, state, failure_count, last_failure_time, updated_at)
   SELECT 'circuit:key:' || n, 'closed', 1, timezone('UTC', now()), timezone('UTC', now() - INTERVAL '1 day' * random())
     FROM ${NUMBERS(rows)}`,
  // As many tasks as keys, with longer and longer histories.
  `INSERT INTO go_goscope_checkpoints (id, task_id, sequence, timestamp, progress, data)
   SELECT 'key:' || n % ${KEYS} || ':' || sequence, 'key:' || n % ${KEYS}, sequence, 1700000000000, 50, ${JSON_VALUE}
     FROM (SELECT n, ${rows > KEYS ? `n / ${KEYS}` : '9'} AS sequence FROM ${NUMBERS(rows)}) AS numbered`,
]

/**
 * @param {import('../server.js').Server} server
 * @param {import('../arguments.js').Options} options
 * @param {import('../progress.js').Progress} progress
 */
async function measureRows(server, { huge, windowMs, rounds }, progress) {
  progress.restart()
  const sizes = huge ? [...SIZES, HUGE] : SIZES
  /** @type {{ rows: number, side: Side }[]} */
  const places = []
  try {
    await alterSystem(
      server,
      Object.entries(WHILE_FILLING).map(([name, value]) => `SET ${name} = ${value}`),
    )
    for (const rows of sizes) {
      progress.say(`filling tables with ${rows.toLocaleString('en-US')} rows`)
      const side = new Side('rows', await fill(server, `rows_${rows}`, rows))
      places.push({ rows, side })
      await side.open()
    }
    await alterSystem(server, ['RESET ALL'])
    progress.line(
      `${'microseconds a call'.padEnd(FIRST_COLUMN)} ${sizes.map((rows) => width(rows.toLocaleString('en-US'))).join('')} rows`,
    )
    const cases = Object.entries(ROWS_OPERATIONS).flatMap(([operation, { title }]) =>
      IN_FLIGHT.map((inFlight) => ({ operation, title: `${title}, ${inFlight} in flight`, inFlight })),
    )
    const found = []
    for (const each of cases) {
      progress.at(found.length, cases.length, each.title)
      const measured = await measureCase(each, places, { windowMs, rounds }, progress)
      found.push({ ...each, rounds, ...measured })
      const cells = measured.sizes.map(({ micros }) => width(number(micros.median))).join('')
      progress.line(`${each.title.padEnd(FIRST_COLUMN)} ${cells}  at most ${times(measured.ratio)} of the least rows'`)
      const cpu = measured.sizes.map(({ serverCpu }) => width(number(serverCpu.median))).join('')
      progress.line(`${"  of the server's CPU".padEnd(FIRST_COLUMN)} ${cpu}`)
    }
    await Promise.all(places.map(({ side }) => side.close()))
    return found
  } finally {
    for (const { side } of places) side.kill()
  }
}

/**
 * @param {import('../server.js').Server} server
 * @param {string[]} changes
 */
async function alterSystem(server, changes) {
  for (const change of changes) await server.run('postgres', `ALTER SYSTEM ${change}`)
  await server.run('postgres', 'SELECT pg_reload_conf()')
}

/**
 * @param {import('../server.js').Server} server
 * @param {string} database
 * @param {number} rows
 */
async function fill(server, database, rows) {
  const place = await server.createDatabase(database)
  const pool = new Pool({ connectionString: place.url })
  await Promise.all([new PostgresAdapter(pool).connect(), new PostgresIdempotencyAdapter(pool).connect()])
  await pool.end()
  await Promise.all(fillings(rows).map((statement) => server.run(database, statement)))
  await server.run(database, 'VACUUM ANALYZE')
  return place
}

/**
 * @param {{ operation: string, inFlight: number }} what
 * @param {{ rows: number, side: Side }[]} places
 * @param {{ windowMs: number, rounds: number }} size
 * @param {import('../progress.js').Progress} progress
 */
async function measureCase({ operation, inFlight }, places, { windowMs, rounds }, progress) {
  const window = async (/** @type {(typeof places)[number]} */ { side, rows }) => {
    await side.place.tidy()
    progress.say(`${rows.toLocaleString('en-US')} rows`)
    await side.window(operation, WARM_UP)
    const figures = await side.window(operation, { inFlight, leadMs: LEAD * windowMs, ms: windowMs })
    return { micros: (1e6 * inFlight) / figures.rate, serverCpu: figures.serverCpuMicros ?? Number.NaN }
  }
  /** @type {{ micros: number, serverCpu: number }[][]} by place, then by round */
  const windows = places.map(() => [])
  for (let round = 0; round < rounds; round++) {
    const order = places.map((_, at) => at)
    if (round % 2 === 1) order.reverse()
    for (const at of order) windows[at]?.push(await window(/** @type {typeof places[number]} */ (places[at])))
  }
  const least = windows[0] ?? []
  const sizes = places.map(({ rows }, at) => {
    const here = windows[at] ?? []
    /** @param {'micros' | 'serverCpu'} figure */
    const byLeast = (figure) => spread(here.map((each, round) => each[figure] / (least[round]?.[figure] ?? Number.NaN)))
    return {
      rows,
      micros: spread(here.map(({ micros }) => micros)),
      serverCpu: spread(here.map(({ serverCpu }) => serverCpu)),
      ratio: byLeast('micros'),
      serverCpuRatio: byLeast('serverCpu'),
    }
  })
  const [worst] = sizes.map(({ ratio }) => ratio).sort((a, b) => b.median - a.median)
  return { sizes, ratio: /** @type {import('../figures.js').Spread} */ (worst) }
}

const FIRST_COLUMN = 32
const width = (/** @type {string} */ cell) => cell.padStart(12)

module.exports = { measureRows }
