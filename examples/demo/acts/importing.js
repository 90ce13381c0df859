// @ts-check
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { setTimeout: delay } = require('node:timers/promises')
const { isDeepStrictEqual } = require('node:util')

const FILE = path.join(__dirname, '..', 'data', 'zone1970.tab')
const TASK = 'import-zones'
const STEP = 10
const KEPT_CHECKPOINTS = 5
// As if each row had to be looked up somewhere: long enough to watch, and to be killed in the middle of a step.
const ROW_MS = 4

const title = 'An import in checkpointed steps, killed half-way'

/** @typedef {{ name: string, countries: string, coordinates: string, comments: string }} Zone */

/** @param {import('../stage.js').Stage} stage */
async function run(stage) {
  await stage.pool.query(
    `CREATE TABLE demo_zones (line INTEGER PRIMARY KEY, name TEXT NOT NULL, countries TEXT NOT NULL,
                              coordinates TEXT NOT NULL, comments TEXT NOT NULL)`,
  )
  const zones = readZones()
  stage.note(`${zones.length} rows of ${path.basename(FILE)}, a checkpoint after every ${STEP}`)
  const killed = await importUntil(stage, zones.length, Math.floor(zones.length / 2 / STEP) * STEP + STEP / 2)
  stage.note(
    `${killed.name} was killed with ${killed.signal} at row ${killed.line}, its last checkpoint at ${killed.saved}`,
  )
  const second = await importUntil(stage, zones.length)
  const { from, repeated } = second.outcome
  stage.note(`${second.name} took over at row ${from}`)

  const { rows } = await stage.pool.query('SELECT name, countries, coordinates, comments FROM demo_zones ORDER BY line')
  const checkpoints = await stage.adapter.list(TASK)
  stage.claim(
    'the second process began at the last checkpoint',
    killed.signal === 'SIGKILL' && killed.saved > 0 && from >= killed.saved && from <= killed.saved + STEP,
    `row ${from} of ${zones.length}`,
  )
  stage.claim(`it repeated no more than one step of ${STEP}`, repeated <= STEP, `${repeated} rows`)
  stage.claim('the table is the file', isDeepStrictEqual(rows, zones), `${rows.length} of ${zones.length} rows`)
  stage.claim(
    `cleanup kept the newest ${KEPT_CHECKPOINTS} checkpoints`,
    checkpoints.length === KEPT_CHECKPOINTS && checkpoints.at(-1)?.progress === 100,
    `${checkpoints.map(({ sequence }) => sequence).join(', ')}`,
  )
}

/**
 * Has a process import, and kills it at a row, if one is given.
 *
 * @param {import('../stage.js').Stage} stage
 * @param {number} total
 * @param {number} [fatal]
 */
async function importUntil(stage, total, fatal) {
  const [importer] = await stage.crew.start('importing', 1)
  if (!importer) throw new Error('there is no process to import')
  const row = { name: importer.name, done: 0, total, text: '' }
  let saved = 0
  const outcome = await stage.watch('rows', [row], () =>
    importer.ask('importFile', { fatal }, async (progress) => {
      saved = progress.saved
      row.done = progress.line
      row.text = `checkpoint at row ${saved}, about ${progress.remaining} ms to go`
      if (row.done === fatal) await importer.kill()
    }),
  )
  await (outcome ? importer.dismiss() : importer.gone)
  return { name: importer.name, signal: importer.signal, line: row.done, saved, outcome }
}

/** @returns {Zone[]} */
function readZones() {
  const lines = fs.readFileSync(FILE, 'utf8').split('\n')
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split('\t'))
    .map(([countries = '', coordinates = '', name = '', comments = '']) => ({ name, countries, coordinates, comments }))
}

// What the processes do

/**
 * @param {import('../worker.js').Work} work
 * @param {{ fatal?: number }} order
 */
async function importFile({ pool, adapter, progress }, { fatal }) {
  const zones = readZones()
  const checkpoint = await adapter.loadLatest(TASK)
  const from = /** @type {any} */ (checkpoint?.data)?.nextLine ?? 0
  let sequence = checkpoint?.sequence ?? 0
  let saved = from
  let repeated = 0
  const started = performance.now()
  for (let line = from; line < zones.length; ) {
    if (!(await insert(pool, line, /** @type {Zone} */ (zones[line])))) repeated++
    await delay(ROW_MS)
    line++
    const remaining = Math.round(((performance.now() - started) / (line - from)) * (zones.length - line))
    if (line % STEP === 0 || line === zones.length) {
      sequence++
      await adapter.save({
        id: `${TASK}-${sequence}`,
        taskId: TASK,
        sequence,
        timestamp: Date.now(),
        progress: (100 * line) / zones.length,
        data: { nextLine: line },
        estimatedTimeRemaining: remaining,
      })
      await adapter.cleanup(TASK, KEPT_CHECKPOINTS)
      saved = line
    }
    progress({ line, saved, remaining })
    // Where the killer is slow, the import would be done before it strikes.
    if (line === fatal) await new Promise(() => {})
  }
  return { from, repeated }
}

/**
 * @param {import('pg').Pool} pool
 * @param {number} line
 * @param {Zone} zone
 * @returns {Promise<boolean>} false where the row was there already
 */
async function insert(pool, line, { name, countries, coordinates, comments }) {
  const { rowCount } = await pool.query(
    'INSERT INTO demo_zones VALUES ($1, $2, $3, $4, $5) ON CONFLICT (line) DO NOTHING',
    [line, name, countries, coordinates, comments],
  )
  return rowCount === 1
}

module.exports = { title, run, commands: { importFile } }
