// @ts-check
// @configurations first
// The tables change under prepared statements, are dropped and come back, while work of every kind continues.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')
const { Load } = require('../support/load.js')
const { adaptersOn } = require('../support/operations.js')
const { useDatabase } = require('../support/database.js')
const { Figures, SOAK_MINUTES } = require('../support/figures.js')
const { until } = require('../support/waiting.js')

const database = useDatabase()

/** Each changes the type of a result or of a parameter, and the next one changes it back. */
const CHANGES = [
  'ALTER TABLE go_goscope_cache ADD COLUMN extra INTEGER',
  'ALTER TABLE go_goscope_cache DROP COLUMN extra',
  'ALTER TABLE go_goscope_cache ALTER COLUMN key TYPE VARCHAR(400)',
  'ALTER TABLE go_goscope_cache ALTER COLUMN key TYPE TEXT',
  'ALTER TABLE go_goscope_locks ALTER COLUMN owner TYPE VARCHAR(400)',
  'ALTER TABLE go_goscope_locks ALTER COLUMN owner TYPE TEXT',
  "ALTER TABLE go_goscope_locks ALTER COLUMN expires_at TYPE TIMESTAMPTZ USING expires_at AT TIME ZONE 'UTC'",
  "ALTER TABLE go_goscope_locks ALTER COLUMN expires_at TYPE TIMESTAMP USING expires_at AT TIME ZONE 'UTC'",
  'ALTER TABLE go_goscope_circuit ALTER COLUMN failure_count TYPE BIGINT',
  'ALTER TABLE go_goscope_circuit ALTER COLUMN failure_count TYPE INTEGER',
  'ALTER TABLE go_goscope_checkpoints ALTER COLUMN id TYPE VARCHAR(400)',
  'ALTER TABLE go_goscope_checkpoints ALTER COLUMN id TYPE TEXT',
  'ALTER TABLE go_goscope_checkpoints ALTER COLUMN sequence TYPE INTEGER',
  'ALTER TABLE go_goscope_checkpoints ALTER COLUMN sequence TYPE BIGINT',
  'DROP INDEX idx_cache_expires',
  'CREATE INDEX idx_cache_expires ON go_goscope_cache (expires_at)',
]

// Every statement names the types that it returns, so the server has no reason to refuse a cached plan (0A000).
test('columns change their types under prepared statements: no caller notices', async () => {
  const figures = new Figures()
  const db = await database
  const load = new Load(db.pool({ max: 3 }), figures, { fails: () => false })
  await load.start()
  const lists = adaptersOn(db.pool())
  const end = performance.now() + (SOAK_MINUTES * 60_000) / 2
  do {
    for (const change of CHANGES) {
      await db.query(change)
      figures.faults++
      // Statements that return columns in their own types.
      await Promise.all([lists.main.keys('load%'), lists.main.list('load0:save:0'), lists.results.get('x')])
      figures.operations += 3
      await sleep(60)
    }
  } while (performance.now() < end)
  await load.stop()
  await load.verify(adaptersOn(db.pool()))
  figures.report('DDL under prepared statements')
})

test('a cached plan that the server refuses (0A000): statements are prepared again, the call is retried', async () => {
  const figures = new Figures()
  const db = await database
  const { main } = adaptersOn(db.pool())
  // Every other statement, and each one separately: the second execution of each call is let through.
  await db.query(`
    CREATE SEQUENCE stale;
    CREATE FUNCTION stale() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF nextval('stale') % 2 = 1 THEN
        RAISE EXCEPTION 'cached plan must not change result type' USING ERRCODE = '0A000';
      END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER stale BEFORE INSERT ON go_goscope_circuit FOR EACH ROW EXECUTE FUNCTION stale()`)
  for (let n = 1; n <= 20; n++) {
    figures.operations++
    figures.faults++
    const count = await main.recordFailure('stale', 99).catch((error) => error)
    if (count !== n) figures.violation(`the ${n}th: ${count?.stack ?? count}`)
  }
  await db.query('DROP TRIGGER stale ON go_goscope_circuit')
  figures.report('refused plans')
})

test('tables dropped while in use are made again, and no caller notices', async () => {
  const figures = new Figures()
  const db = await database
  const { main, results, entries } = adaptersOn(db.pool({ max: 3 }))
  const calls = (/** @type {number} */ n) => [
    () => main.set(`k${n % 7}`, n),
    () => main.get(`k${n % 7}`),
    () => main.acquire(`k${n % 7}`, 60_000, 'me'),
    () => main.recordFailure(`k${n % 7}`, 9),
    () => main.save({ id: `k${n % 7}`, taskId: 'k', sequence: n, timestamp: n, progress: 0, data: n }),
    () => main.list('k'),
    () => results.set(`k${n % 7}`, n),
    () => entries.set(`k${n % 7}`, n),
    () => entries.stats(),
  ]
  let stopping = false
  const work = async () => {
    for (let n = 0; !stopping; n++) {
      const all = calls(n).map((call) => call().catch((error) => figures.violation(`a call failed: ${error.stack}`)))
      figures.operations += (await Promise.all(all)).length
    }
  }
  const working = Promise.all([work(), work()])
  for (const table of ['cache', 'locks', 'circuit', 'checkpoints', 'idempotency']) {
    await sleep(100)
    await db.query(`DROP TABLE go_goscope_${table}`)
    figures.faults++
  }
  await sleep(100)
  await db.query('DROP TABLE cache')
  figures.faults++
  await sleep(200)
  stopping = true
  await working
  figures.report('dropped tables')
})

test('a whole schema is dropped and made again: errors have codes, and then calls succeed', async () => {
  const figures = new Figures()
  const db = await database
  const pool = db.pool({ max: 3 })
  const load = new Load(pool, figures, { fails: () => true })
  // Acknowledged writes are dropped with the schema, so only the errors are checked.
  load.forgets = true
  await load.start()
  for (let n = 0; n < 3; n++) {
    await db.query('DROP SCHEMA public CASCADE')
    await sleep(100)
    await db.query('CREATE SCHEMA public')
    figures.faults++
    const back = performance.now()
    await until('calls succeed again', () => load.lastSuccess > back)
    await sleep(150)
  }
  await load.stop()
  await until('all tables', async () => {
    const [{ n }] = await db.query("SELECT count(*)::int AS n FROM pg_tables WHERE schemaname = 'public'")
    return n >= 5
  })
  figures.report('a schema dropped and made again')
})
