// @ts-check
// The demo: real processes, killed where it hurts, share locks, checkpoints, a circuit breaker, idempotent results and
// a cache through goscope-postgres. Each act is a file in acts/, which holds both what the demo does and what its
// processes do.
'use strict'

const { parseArgs } = require('node:util')
const { PostgresAdapter } = require('goscope-postgres')
const { Crew } = require('./crew.js')
const { openDatabase } = require('./database.js')
const { Display } = require('./display.js')
const { Interruption, interruption } = require('./interruption.js')
const { showClaims, showTables } = require('./report.js')
const { Stage } = require('./stage.js')

const HELP = `Usage: npm run demo [-- --plain]
       node examples/demo/main.js [--plain]

Shows goscope-postgres at work in real processes, in about 15 seconds:

  (a) counting under a lock, whose holder is killed with SIGKILL
  (b) an import in checkpointed steps, killed half-way and resumed
  (c) one circuit breaker, shared by all
  (d) orders that arrive many times and are charged once
  (e) reads served from the cache

It starts a PostgreSQL of its own. With DATABASE_URL set it uses that server, in a schema of its own that it drops
again; the role needs the right to create one. Only a kill -9 of the demo itself leaves it behind (goscope_demo_…).

  --plain   plain lines also on a terminal (NO_COLOR is honoured, too)
  --help    this text

Exits with 0 if every claim held, and with 1 otherwise.`

/** @type {[letter: string, file: string][]} */
const ACTS = [
  ['a', './acts/counting.js'],
  ['b', './acts/importing.js'],
  ['c', './acts/breaker.js'],
  ['d', './acts/charging.js'],
  ['e', './acts/caching.js'],
]

/**
 * @param {Display} display
 * @param {import('./database.js').Database} database
 * @param {Crew} crew
 */
async function perform(display, database, crew) {
  const started = performance.now()
  display.line(database.description)
  const adapter = new PostgresAdapter(database.pool)
  const stage = new Stage(display, crew, database.pool, adapter)
  for (const [letter, file] of ACTS) await stage.play(letter, require(file))

  await showTables(display, database.pool)
  showClaims(display, stage.claims)
  await adapter.disconnect()
  const broken = stage.claims.filter(({ holds }) => !holds).length
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  display.line()
  const outcome =
    broken === 0 ? `all ${stage.claims.length} claims held` : `${broken} of ${stage.claims.length} claims did not hold`
  display.line(display.paint(broken === 0 ? 'green' : 'red', `${outcome}, ${seconds} s`))
  return broken === 0 ? 0 : 1
}

/** @param {Display} display */
async function run(display) {
  const interrupted = interruption()
  interrupted.catch(() => {})
  display.line(process.env.DATABASE_URL ? 'Connecting to DATABASE_URL' : 'Starting a PostgreSQL for the demo')
  const database = await openDatabase()
  const crew = new Crew(database.url)
  try {
    return await Promise.race([perform(display, database, crew), interrupted])
  } finally {
    display.close()
    await crew.disband()
    await database.leave()
  }
}

function main() {
  const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h' }, plain: { type: 'boolean' } } })
  if (values.help) return console.log(HELP)
  run(new Display(process.stdout, { plain: values.plain })).then(
    (exitCode) => process.exit(exitCode),
    (error) => {
      console.error(error instanceof Interruption ? `\nThe demo was ${error.message}` : error)
      process.exit(error instanceof Interruption ? error.exitCode : 1)
    },
  )
}

try {
  main()
} catch (error) {
  // A mistyped option.
  console.error(`${error instanceof Error ? error.message : error}\n\n${HELP}`)
  process.exitCode = 2
}
