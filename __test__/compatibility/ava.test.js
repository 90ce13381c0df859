// @ts-check
// @configurations last
// @without first: under ava; here vitest runs, in compatibility/clocks
// @package packed
// The packed package under ava, in worker threads and in processes.
'use strict'

const assert = require('node:assert/strict')
const { before, test } = require('node:test')
const { PG, makeConsumer } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')

const database = useDatabase()
/** @type {import('../support/consumer.js').Consumer} */
let application

before(async () => {
  application = await makeConsumer('ava', [PG, 'ava@7.0.0'])
})

for (const [where, ...args] of [['in a worker thread'], ['in a process', '--no-worker-threads']]) {
  test(`ava ${where}`, async () => {
    const env = { APP_DATABASE_URL: (await database).url }
    const output = await application.succeed(['node_modules/ava/entrypoints/cli.mjs', '--timeout=2m', ...args], { env })
    assert.match(output, /^ +4 tests passed$/m)
    assert.ok(output.includes(`${where}\n`), output)
  })
}
