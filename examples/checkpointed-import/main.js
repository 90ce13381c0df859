// @ts-check
// A file is imported in pieces. Each piece and its checkpoint are saved in one transaction, so an import that is killed
// goes on where it was: no row is there twice, and none is missing.
'use strict'

const { fork } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { PostgresAdapter } = require('goscope-postgres')
const { startPostgres } = require('goscope-postgres/embedded')
const { Pool } = require('pg')

const TASK = 'import measurements'
const LINES_OF_A_PIECE = 50

/**
 * The import, to be started again after each crash. `measurements` has no unique constraint: only the checkpoint says
 * which lines are there.
 *
 * @param {string} url
 * @param {string} file
 * @param {(lines: number) => void} [progress] called at the start, and after each piece
 */
async function importFile(url, file, progress = () => {}) {
  const pool = new Pool({ connectionString: url })
  const adapter = new PostgresAdapter(pool)
  await adapter.connect()
  // One import at a time: a second process waits here, and goes on from the last checkpoint if the first crashes.
  const lease = await adapter.lock(TASK, { ttl: 1_000 })
  const lines = fs.readFileSync(file, 'utf8').trimEnd().split('\n')
  const client = await pool.connect()
  const within = adapter.within(client)

  const last = await adapter.loadLatest(TASK)
  let done = /** @type {{ lines: number } | undefined} */ (last?.data)?.lines ?? 0
  progress(done)
  while (done < lines.length) {
    const piece = lines.slice(done, done + LINES_OF_A_PIECE)
    const next = done + piece.length
    await client.query('BEGIN')
    // It fails if the lease has run out, and another process imports.
    await within.assertHeld(lease)
    for (const [index, line] of piece.entries()) {
      await client.query('INSERT INTO measurements (line, value) VALUES ($1, $2)', [done + index + 1, line])
    }
    await within.save({
      // One checkpoint, which each piece replaces.
      id: TASK,
      taskId: TASK,
      sequence: next,
      timestamp: Date.now(),
      progress: (100 * next) / lines.length,
      data: { lines: next },
    })
    await client.query('COMMIT')
    done = next
    progress(done)
  }
  client.release()
  await lease.release()
  await adapter.disconnect()
}

/** Kills this process at some moment after its second piece, most likely in the middle of another. */
function crashSoon() {
  let calls = 0
  return () => {
    if (++calls === 3) setTimeout(() => process.kill(process.pid, 'SIGKILL'), Math.random() * 10)
  }
}

/** What a reader sees at one moment. @param {Pool} pool */
async function lookAt(pool) {
  const { rows } = await pool.query(`
    SELECT count(*)::int AS rows, count(DISTINCT line)::int AS lines,
           (SELECT (data ->> 'lines')::int FROM go_goscope_checkpoints WHERE id = '${TASK}') AS checkpoint
      FROM measurements`)
  return rows[0]
}

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'checkpointed-import-'))
  const file = path.join(folder, 'measurements.txt')
  fs.writeFileSync(file, Array.from({ length: 1_000 }, (_, n) => `${n * n}\n`).join(''))
  const server = await startPostgres()
  const pool = new Pool({ connectionString: server.url })
  // A session may outlive `pool.end()` until the server stops, and reports that.
  pool.on('error', () => {})
  try {
    await pool.query('CREATE TABLE measurements (line int NOT NULL, value text NOT NULL)')
    for (const crash of [1, 2, 3]) {
      const child = fork(__filename, [server.url, file, 'crashes'])
      await once(child, 'exit')
      const { rows, lines, checkpoint } = await lookAt(pool)
      console.log(`crash ${crash}: the checkpoint agrees with the rows:`, rows === lines && lines === checkpoint)
    }
    await once(fork(__filename, [server.url, file]), 'exit')
    const { rows, lines, checkpoint } = await lookAt(pool)
    console.log(`done: ${rows} rows of ${lines} lines, and the checkpoint says ${checkpoint}`)
  } finally {
    await pool.end()
    await server.stop()
    fs.rmSync(folder, { recursive: true })
  }
}

const [url, file, crashes] = process.argv.slice(2)
if (url && file) importFile(url, file, crashes ? crashSoon() : (lines) => process.send?.({ lines }))
else main()
