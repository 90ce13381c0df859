// @ts-check
// One of the demo's processes: an application of its own, with its own pool and adapter, that does what it is asked.
'use strict'

const { Pool } = require('pg')
const { PostgresAdapter } = require('goscope-postgres')

/**
 * What a command works with.
 *
 * @typedef {object} Work
 * @property {import('pg').Pool} pool
 * @property {import('goscope-postgres').PostgresAdapter} adapter
 * @property {(value: unknown) => void} progress
 */

const act = process.argv[2]
/** @type {{ commands: Record<string, (work: Work, order: any) => Promise<unknown>> }} */
const { commands } = require(`./acts/${act}.js`)

// A worker goes when its parent goes, however that ended; a Ctrl-C is the parent's to deal with.
process.on('disconnect', () => process.exit())
process.on('SIGINT', () => {})

/** @param {object} message */
const tell = (message) => process.connected && process.send?.(message)

async function start() {
  const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 2, application_name: `demo ${act}` })
  const adapter = new PostgresAdapter(pool)
  // All processes of an act do this at once. The first one makes the tables.
  await adapter.connect()

  /** @type {Work} */
  const work = { pool, adapter, progress: (value) => tell({ progress: value }) }
  /** @type {typeof commands} */
  const known = { ...commands, leave: () => adapter.disconnect() }
  process.on('message', async (/** @type {any} */ { command, order }) => {
    try {
      tell({ answer: await known[command]?.(work, order) })
      if (command === 'leave') process.disconnect()
    } catch (error) {
      tell({ error: describe(error) })
    }
  })
  tell({ answer: 'ready' })
}

/** @param {unknown} error */
const describe = (error) => (error instanceof Error && error.stack) || String(error)

start().catch((error) => tell({ error: describe(error) }))
