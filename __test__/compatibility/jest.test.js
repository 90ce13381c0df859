// @ts-check
// @configurations last
// @without first: under jest; here vitest runs, in compatibility/clocks
// @package packed
// The packed package under jest, whose tests run in a vm context: errors and values must be of that context.
'use strict'

const assert = require('node:assert/strict')
const { before, test } = require('node:test')
const { PG, makeConsumer } = require('../support/consumer.js')
const { useDatabase } = require('../support/database.js')
const { variants } = require('../support/variants.js')

const JEST = 'node_modules/jest/bin/jest.js'

const database = useDatabase()
/** @type {import('../support/consumer.js').Consumer} */
let application

before(async () => {
  application = await makeConsumer('jest', [PG, 'jest@30.5.2'])
})

/** @type {[title: string, passed: number, args: string[]][]} */
const MODES = [
  ['in one process, looking for open handles', 6, [JEST, '--runInBand', '--detectOpenHandles']],
  ['in worker processes', 6, [JEST, '--maxWorkers=2']],
  ['in worker threads', 6, [JEST, '--maxWorkers=2', '--workerThreads']],
  [
    'ES modules',
    1,
    ['--experimental-vm-modules', JEST, '--runInBand', '--detectOpenHandles', '--testMatch=**/*.test.mjs'],
  ],
]
for (const [title, passed, args] of variants(MODES)) {
  test(`jest ${title}`, async () => {
    const output = await application.succeed(args, { env: { APP_DATABASE_URL: (await database).url } })
    assert.match(output, new RegExp(`^Tests: +${passed} passed, ${passed} total$`, 'm'))
    assert.doesNotMatch(output, /open handle|did not exit|force exited|failed to exit/i)
  })
}
