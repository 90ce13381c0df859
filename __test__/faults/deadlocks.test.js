// @ts-check
// @configurations first
// Processes that batch overlapping keys in any order, on every table, never report a deadlock to their callers.
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { test } = require('node:test')
const { useDatabase } = require('../support/database.js')
const { inProcesses } = require('../support/processes.js')

const database = useDatabase()

test('6 processes write, lock, count, save and delete the same 100 keys, each in its own order', async () => {
  const { url } = await database
  const calls = await inProcesses(6, 'overlap', { url, rounds: 12 })
  await sleep(1_200) // until the server has reported its statistics
  const [{ deadlocks }] = await (await database).query(
    'SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()',
  )
  const total = calls.reduce((sum, each) => sum + each, 0)
  assert.equal(total, 6 * 12 * 900)
  console.log(`# figure: 6 processes, ${total} calls, ${deadlocks} deadlocks seen by the server, none by a caller`)
})
