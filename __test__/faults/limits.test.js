// @ts-check
// @configurations first
// The server's limits: a full disk, time limits for locks and statements, serializable transactions.
'use strict'

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const pg = require('pg')
const { startPostgres } = require('goscope-postgres/embedded')
const { Load } = require('../support/load.js')
const { adaptersOn } = require('../support/operations.js')
const { administer, useDatabase } = require('../support/database.js')
const { Figures } = require('../support/figures.js')
const { inProcesses } = require('../support/processes.js')

const database = useDatabase()

/** A file system of a few megabytes, if the machine allows one. */
function smallDisk() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-small-disk-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=700', 'tmpfs', folder])
  if (mounted.status === 0) return folder
  fs.rmdirSync(folder)
  return undefined
}

const disk = process.platform === 'linux' && process.getuid?.() === 0 ? smallDisk() : undefined
const noDisk = disk ? false : 'no file system may be mounted here (Linux, as root)'
process.once('exit', () => {
  if (!disk) return
  spawnSync('umount', ['-l', disk])
  fs.rmSync(disk, { recursive: true, force: true })
})

test('disk full (53100): acknowledged writes stay, and later writes succeed', { skip: noDisk }, async () => {
  const figures = new Figures()
  const folder = /** @type {string} */ (disk)
  // A server of its own: a server that cannot write cannot make a checkpoint either, so it cannot drop a database.
  const server = await startPostgres({ settings: { log_statement: 'none' } })
  const { uid, gid } = fs.statSync(path.dirname(server.logFile))
  fs.chownSync(folder, uid, gid)
  // The file that frees space when it is removed.
  const spare = path.join(folder, 'spare')
  await administer(`CREATE TABLESPACE small LOCATION '${folder}'`, server.url)
  await administer('CREATE DATABASE small TEMPLATE template0 TABLESPACE small', server.url)
  fs.writeFileSync(spare, Buffer.alloc(6 << 20))
  const url = new URL(server.url)
  url.pathname = '/small'
  const pool = new pg.Pool({ connectionString: url.href, max: 3 })
  const on = adaptersOn(pool)
  const load = new Load(pool, figures, { fails: ({ code }) => code === '53100' })
  try {
    await load.start()
    // Incompressible.
    const filler = () => Array.from({ length: 10_000 }, () => Math.random())
    /** @type {string[]} */
    const kept = []
    /** @type {any} */
    let full
    for (let n = 0; !full && n < 1_000; n++) {
      figures.operations++
      await on.main.set(`filler${n}`, filler()).then(
        () => kept.push(`filler${n}`),
        (error) => {
          full = error
        },
      )
    }
    figures.faults++
    figures.error(full, 'set')
    assert.equal(full?.code, '53100')
    for (const key of kept) if (!(await on.main.has(key))) figures.violation(`acknowledged, and lost: ${key}`)
    fs.rmSync(spare)
    await on.main.set('room', 1)
    await load.stop()
    await load.verify(on)
    figures.report('a full disk', `${kept.length} large values looked up`)
  } finally {
    await load.stop()
    await pool.end()
    await server.stop()
  }
})

for (const [title, setting, code] of /** @type {[string, import('pg').PoolConfig, string][]} */ ([
  ['lock_timeout', { lock_timeout: 150 }, '55P03'],
  ['statement_timeout', { statement_timeout: 400 }, '57014'],
])) {
  test(`${title}: a call that waits too long fails, and the calls that share its statement do not`, async () => {
    const figures = new Figures()
    const db = await database
    const on = adaptersOn(db.pool({ ...setting, max: 2 }))
    const stuckAt = `stuck by ${title}`
    // Without the limit: a slow machine may take longer, also for the final look at the rows.
    const unlimited = adaptersOn(db.pool({ max: 2 })).main
    await Promise.all([
      unlimited.set(stuckAt, 0),
      unlimited.recordFailure(stuckAt, 9),
      unlimited.acquire(stuckAt, 1, 'x'),
    ])
    const holder = await db.hold(
      `SELECT FROM go_goscope_cache c, go_goscope_circuit b, go_goscope_locks l
        WHERE c.key = 'cache:' || $1 AND b.key = 'circuit:' || $1 AND l.key = 'lock:' || $1 FOR UPDATE`,
      [stuckAt],
    )
    const values = Array.from({ length: 60 }, (_, n) => n)
    const stuck = [on.main.set(stuckAt, 1), on.main.recordFailure(stuckAt, 9), on.main.acquire(stuckAt, 60_000)]
    const others = values.flatMap((n) => [
      on.main.set(`free${n}`, n),
      on.main.recordFailure(`free${n}`, 9),
      on.main.acquire(`free${n}`, 60_000, 'me'),
    ])
    figures.faults++
    for (const one of await Promise.allSettled(stuck)) {
      if (one.status === 'fulfilled') figures.violation(`it did not wait: ${one.value}`)
      else if (one.reason.code !== code) figures.violation(`not ${code}: ${one.reason.stack}`)
      else figures.error(one.reason, title)
    }
    for (const one of await Promise.allSettled(others)) {
      // The server is slow at times, so a call may time out. But no call may receive the time-out of another.
      if (one.status === 'rejected' && one.reason.code !== code) figures.violation(`not ${code}: ${one.reason.stack}`)
      if (one.status === 'rejected') figures.error(one.reason, `${title}, in company`)
    }
    figures.operations += stuck.length + others.length
    await holder.rollback()
    assert.deepEqual([await unlimited.get(stuckAt), (await unlimited.getState(stuckAt))?.failureCount], [0, 1])
    figures.report(title)
  })
}

test('a database that is serializable by default: 40001 reaches no caller', async () => {
  const figures = new Figures()
  const db = await database
  await db.query(`ALTER DATABASE ${db.name} SET default_transaction_isolation = serializable`)
  const rounds = 4
  const calls = await inProcesses(3, 'overlap', { url: db.url, rounds })
  figures.operations = calls.reduce((sum, each) => sum + each, 0)
  figures.faults = 3 * rounds
  figures.report('3 processes on the same keys, serializable by default')
})

test('a server that answers 40001: each call is retried until it succeeds, a batch call by call', async () => {
  const figures = new Figures()
  const db = await database
  await db.query(`
    CREATE SEQUENCE trouble;
    CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF nextval('trouble') % 20 = 0 THEN RAISE EXCEPTION 'trouble' USING ERRCODE = '40001'; END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER trouble BEFORE INSERT OR UPDATE ON go_goscope_circuit FOR EACH ROW EXECUTE FUNCTION trouble()`)
  const { main } = adaptersOn(db.pool())
  const counts = await Promise.all(Array.from({ length: 400 }, (_, n) => main.recordFailure(`trouble${n % 40}`, 99)))
  figures.operations = counts.length
  const [{ n }] = await db.query('SELECT last_value::int AS n FROM trouble')
  figures.faults = Math.floor(n / 20)
  assert.ok(figures.faults > 0, 'the server refused no statement')
  const sum = await db.query(
    "SELECT sum(failure_count)::int AS n FROM go_goscope_circuit WHERE key LIKE 'circuit:trouble%'",
  )
  if (sum[0].n !== counts.length) figures.violation(`${counts.length} failures, counted ${sum[0].n}`)
  await db.query('DROP TRIGGER trouble ON go_goscope_circuit')
  figures.report('serialization failures')
})
