// @ts-check
// @configurations first, last
// The import of examples/checkpointed-import, killed at random points: no row twice, none missing, and at every moment the
// checkpoint says which rows are there.
'use strict'

const assert = require('node:assert/strict')
const { fork } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { useDatabase } = require('../support/database.js')
const { Figures, SOAK_MINUTES, chance } = require('../support/figures.js')
const { extent } = require('../support/variants.js')
const { inTime } = require('../support/waiting.js')

const database = useDatabase()
const PROGRAM = path.join(__dirname, '../../examples/checkpointed-import/main.js')

const LINES = extent(30_000, 6_000)
const KILLS = extent(40, 8)
/** A process is killed within this time after it has begun to import: in it, it imports some pieces. */
const LONGEST_LIFE_MS = 120

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'goscope-import-'))
after(() => fs.rmSync(folder, { recursive: true }))

/**
 * Starts the import. `begun` resolves to the number of lines from which it goes on.
 *
 * @param {string} url
 * @param {string} file
 */
function start(url, file) {
  const child = fork(PROGRAM, [url, file], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  after(() => child.kill('SIGKILL'))
  const begun = new Promise((resolve) => child.once('message', (/** @type {any} */ { lines }) => resolve(lines)))
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)))
  return { child, begun, ended }
}

/**
 * Compares rows and checkpoint in one snapshot after the other, until it is stopped.
 *
 * @param {Awaited<typeof database>} db
 * @param {Figures} figures
 */
function observe(db, figures) {
  let isStopped = false
  const seen = new Set()
  const look = async () => {
    const client = await db.plain.connect()
    while (!isStopped) {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
      // In two statements: it is the snapshot that makes them agree.
      const { rows: latest } = await client.query(
        "SELECT (data ->> 'lines')::int AS lines FROM go_goscope_checkpoints ORDER BY sequence DESC LIMIT 1",
      )
      const { rows } = await client.query(
        'SELECT count(*)::int AS n, count(DISTINCT line)::int AS lines, coalesce(max(line), 0) AS last FROM measurements',
      )
      await client.query('COMMIT')
      const wanted = latest[0]?.lines ?? 0
      figures.operations++
      seen.add(wanted)
      const [{ n, lines, last }] = rows
      if (n !== wanted || lines !== wanted || last !== wanted) {
        figures.violation(`${n} rows of ${lines} lines up to ${last}, and the checkpoint says ${wanted}`)
      }
    }
    client.release()
    return seen.size
  }
  const looking = look()
  return async () => {
    isStopped = true
    return await looking
  }
}

test('no row is imported twice, none is missing, and the checkpoint agrees at every moment', async () => {
  const db = await database
  const file = path.join(folder, 'lines.txt')
  fs.writeFileSync(file, Array.from({ length: LINES }, (_, n) => `${n * 7}\n`).join(''))
  const figures = new Figures()
  const random = chance()
  const end = performance.now() + SOAK_MINUTES * 60_000
  let moments = 0
  do {
    await db.query('DROP TABLE IF EXISTS measurements; DROP TABLE IF EXISTS go_goscope_checkpoints')
    await db.query('CREATE TABLE measurements (line int NOT NULL, value text NOT NULL)')
    // The program makes the table of checkpoints; the observer begins with it.
    const first = start(db.ownUrl, file)
    await inTime('the import', first.begun)
    const stop = observe(db, figures)
    let kills = 0
    for (let process = first; ; process = start(db.ownUrl, file)) {
      const from = await inTime('the import', process.begun)
      const [{ n }] = await db.query('SELECT count(*)::int AS n FROM measurements')
      assert.ok(from <= n, `it goes on from line ${from}, and ${n} are there`)
      if (kills < KILLS) {
        kills++
        await sleep(random() * LONGEST_LIFE_MS)
        process.child.kill('SIGKILL')
        figures.faults++
      }
      if ((await inTime('the end of the import', process.ended)) === 0) break
    }
    moments += await stop()
    const rows = await db.query('SELECT line, value FROM measurements ORDER BY line')
    assert.deepEqual(
      rows,
      Array.from({ length: LINES }, (_, n) => ({ line: n + 1, value: String(n * 7) })),
    )
  } while (performance.now() < end)
  figures.report('the checkpointed import', `seen at ${moments} checkpoints`)
  assert.ok(moments > 5, 'the observer has seen it on its way')
})
